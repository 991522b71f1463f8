"""The search page: one box over deliveries, events and records, and the searches that people keep."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from deliveries.admin.access import render
from deliveries.admin.changelist import choices
from deliveries.admin.saved_lists import LISTS, address_of, kept_query
from deliveries.admin.search_form import COLUMNS, LABELS, PERIODS, Asked, asked_of
from deliveries.models import SavedView
from deliveries.search.finding import KINDS, Kind, Search, Total
from deliveries.search.matches import lines_found
from deliveries.search.saved_views import NAME_LIMIT, SavedViewError, delete_view, save_view, views_for
from integrations.admin.base import ReadOnlyAdmin
from integrations.security.staff import visible_store_ids

PAGE_SIZE: Final = 50
#: Fields that the table does not show and that may be large or secret.
_UNSHOWN: Final[dict[Kind, tuple[str, ...]]] = {
    "delivery": ("event__data", "integration__parameters", "integration__token", "integration__handshake"),
    "event": ("data",),
    "record": ("data",),
}
_RELATED: Final[dict[Kind, tuple[str, ...]]] = {
    "delivery": ("event", "integration", "store"), "event": ("store",), "record": ("store",),
}  # fmt: skip


@admin.register(SavedView)
class SearchAdmin(ReadOnlyAdmin):
    """Under the saved searches, because a page of the desk belongs to a model. Everybody has their own."""

    list_title = _("Search")
    stock_pages = ("changelist",)
    store_path = None

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("save/", self.save_view, "save"),
            self.route("<number:pk>/delete/", self.delete_search, "forget"),
            *super().get_urls(),
        ]

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(kinds_for(request))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not (kinds := kinds_for(request)):
            raise PermissionDenied
        asked = asked_of(request.GET, kinds, visible_store_ids(request.user))
        search = Search(asked.query, timezone.now())
        context = {
            "asked": asked,
            "tabs": _tabs(search, asked, kinds),
            "columns": COLUMNS[asked.kind],
            "periods": PERIODS,
            "notes": [*asked.problems, *(search.notes([asked.kind]) if search.words else [])],
            "views": views_for(request.user),
            "name_limit": NAME_LIMIT,
            **_page_of(search, asked),
            **choices(request),
        }
        return render(request, "admin/deliveries/search/search.html", gettext("Search"), context)

    @method_decorator(require_POST)
    def save_view(self, request: HttpRequest) -> HttpResponse:
        """A search, or a view of the list that `page` names."""
        kinds: list[str] = list(kinds_for(request))
        page, query = request.POST.get("page", ""), request.POST.get("query", "")
        if not kinds or (page in LISTS and page not in kinds):
            raise PermissionDenied
        if page in LISTS:
            query = kept_query(page, query)
        else:
            page = SavedView.Page.SEARCH
            query = asked_of(QueryDict(query), kinds_for(request), visible_store_ids(request.user)).written
        try:
            view = save_view(
                owner=request.user,
                name=request.POST.get("name", ""),
                query=query,
                is_shared="shared" in request.POST,
                page=page,
            )
        except SavedViewError as error:
            messages.error(request, str(error))
        else:
            text = gettext("“%(name)s” is saved and shared.") if view.is_shared else gettext("“%(name)s” is saved.")
            messages.success(request, text % {"name": view.name})
        return redirect(address_of(page, query))

    @method_decorator(require_POST)
    def delete_search(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not kinds_for(request):
            raise PermissionDenied
        if (view := delete_view(user=request.user, pk=pk)) is None:
            raise Http404(gettext("This saved search does not exist, or is somebody else’s."))
        messages.success(request, gettext("“%(name)s” is deleted.") % {"name": view.name})
        return redirect(address_of(view.page))


def kinds_for(request: HttpRequest) -> list[Kind]:
    """What this person may see of what can be found."""
    return [kind for kind in KINDS if request.user.has_perm(f"deliveries.view_{kind}")]


def _tabs(search: Search, asked: Asked, kinds: list[Kind]) -> list[dict[str, Any]]:
    def total(kind: Kind) -> Total | str:
        return search.total(kind) if search.words else ""

    return [
        {"name": kind, "label": LABELS[kind], "count": total(kind), "is_current": kind == asked.kind} for kind in kinds
    ]


def _page_of(search: Search, asked: Asked) -> dict[str, Any]:
    field = F(asked.order.order)
    order = field.desc(nulls_last=True) if asked.is_descending else field.asc(nulls_last=True)
    rows: QuerySet[Any] = search.rows(asked.kind)
    start = (asked.page - 1) * PAGE_SIZE
    found: list[Any] = []
    if search.words:
        shown = rows.select_related(*_RELATED[asked.kind]).defer(*_UNSHOWN[asked.kind])
        found = list(shown.order_by(order, "-pk")[start : start + PAGE_SIZE + 1])
    lines = lines_found(asked.kind, found[:PAGE_SIZE], search.words)
    return {
        "rows": [(row, lines.get(row.pk, "")) for row in found[:PAGE_SIZE]],
        "newer": asked.page - 1 if asked.page > 1 else None,
        "older": asked.page + 1 if len(found) > PAGE_SIZE else None,
    }
