"""Base classes of the desk's admins: one URL per row, limited to the stores that the viewer may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.filters import SimpleListFilter
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import transaction
from django.db.models import JSONField, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.admin.fields import CheckList, KnownRowField, KnownRowsField, StrictJSONField
from integrations.admin.keys import key_route, parse_key
from integrations.admin.lists import LISTED_ROWS, ODD_LIST, SEARCH_LIMIT, CappedPaginator, DeskChangeList
from integrations.foundation.audit import Actor
from integrations.security.staff import visible_store_ids
from integrations.services.exports import KINDS, PERMISSION, Columns, ExportedList, exported

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["LISTED_ROWS", "DeskAdmin", "ReadOnlyAdmin", "visible_store_ids"]


class DeskAdmin(admin.ModelAdmin):
    """A ModelAdmin that shows what belongs to the stores its viewer may see. `store_path` leads to the store.

    Every admin of the site is one (the site rejects others). Of Django's own pages it has those in `stock_pages`,
    under the canonical spelling of a key. An admin that replaces a stock page omits it there.
    """

    store_path: ClassVar[str | None] = "store"
    #: The list's name in menu, heading and breadcrumbs, and what one row is called; by default the model's names.
    list_title: ClassVar[StrOrPromise] = ""
    one_of_them: ClassVar[StrOrPromise] = ""
    #: What the desk calls the model's fields. In the model, it would need a migration.
    field_names: ClassVar[Mapping[str, StrOrPromise]] = MappingProxyType({})
    #: What would be in the list, for one that is empty.
    empty_text: ClassVar[StrOrPromise] = ""
    stock_pages: ClassVar[tuple[str, ...]] = ("changelist", "add", "change", "delete")
    #: What a file of the list has; empty: there is none. And the field by which its rows sort, never null.
    export_columns: ClassVar[Columns] = ()
    export_order: ClassVar[str] = "pk"
    formfield_overrides = {JSONField: {"form_class": StrictJSONField}}
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    paginator = CappedPaginator

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        for name, words in self.field_names.items():
            model._meta.get_field(name).verbose_name = words  # type: ignore[union-attr]

    # --- Addresses --------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Replaces Django's URLs, which accept any spelling of a key. History pages are in the audit list."""
        key = key_route(self.opts.pk, "object_id")
        pages: dict[str, tuple[str, Callable[..., Any]]] = {
            "changelist": ("", self.changelist_view),
            "add": ("add/", self.add_view),
            "change": (f"{key}/change/", _with_text_key(self.change_view)),
            "delete": (f"{key}/delete/", _with_text_key(self.delete_view)),
        }
        found = [self.route(*pages[name], name) for name in self.stock_pages]
        files = KINDS if self.export_columns else ()
        return [
            *(self.route(f"export/{kind}/", partial(self.export_view, kind=kind), f"export_{kind}") for kind in files),
            *found,
        ]

    def route(self, address: str, view: Callable[..., Any], name: str) -> URLPattern:
        full_name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(address, self.admin_site.admin_view(view), name=full_name)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """By the primary key, whatever `_to_field` says."""
        key = parse_key(self.opts.pk, str(object_id))
        return None if key is None else self.get_queryset(request).filter(pk=key).first()

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return to_field == self.opts.pk.name

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        raise Http404(_("%(name)s: not found. It may have been deleted.") % {"name": capfirst(str(opts.verbose_name))})

    # --- What a viewer may see --------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        ids = visible_store_ids(request.user)
        if ids is None or self.store_path is None:
            return rows
        key = "pk" if self.store_path == "self" else self.store_path
        return rows.filter(**{f"{key}__in": ids})

    def choices_of(self, model: type[Model], request: HttpRequest) -> QuerySet[Any]:
        """What forms and filters may offer of another model: what its own list would show this person."""
        related = self.admin_site._registry.get(model)
        if isinstance(related, DeskAdmin):
            return related.get_queryset(request)
        rows = model._default_manager.all()
        return rows if visible_store_ids(request.user) is None else rows.none()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            # Its links would open Django's pop-ups, which the desk's own pages do not support.
            field.widget = field.widget.widget
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", self.choices_of(db_field.remote_field.model, request))
        return super().formfield_for_foreignkey(db_field, request, **{"form_class": KnownRowField, **kwargs})

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", self.choices_of(db_field.remote_field.model, request))
        # Not Django's two boxes with arrows: what they say of themselves no screen reader may read, and on a phone
        # they do not fit.
        kwargs.setdefault("widget", CheckList())
        return super().formfield_for_manytomany(db_field, request, **{"form_class": KnownRowsField, **kwargs})

    # --- Lists ------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Titled by what is listed. An action and its audit entry are one transaction."""
        context = {"title": self.title_of_list(), "empty_text": self.empty_text, **(extra_context or {})}
        if request.method != "POST":
            return super().changelist_view(request, context)
        with transaction.atomic():
            return super().changelist_view(request, context)

    def export_rows(self, request: HttpRequest) -> QuerySet[Any]:
        """What the list shows, on all its pages. Overridden together with `changelist_view`."""
        rows: QuerySet[Any] = self.get_changelist_instance(request).queryset
        return rows

    @method_decorator(require_POST)
    def export_view(self, request: HttpRequest, kind: str) -> StreamingHttpResponse:
        """The list as a file, with the filter of the query string. A POST: it leaves an audit entry."""
        if not self.has_view_permission(request) or not request.user.has_perm(PERMISSION):
            raise PermissionDenied(PERMISSION)
        with translation.override("en"):  # in the audit and in the name of the file
            name = self.title_of_list()
        return exported(
            ExportedList(name, self.export_columns, self.export_order),
            rows=self.export_rows(request),
            kind=kind,
            filters=dict(request.GET.lists()),
            actor=Actor.of_user(request.user),
        )

    def title_of_list(self) -> str:
        return str(self.list_title) or capfirst(str(self.opts.verbose_name_plural))

    def name_of_one(self) -> str:
        return str(self.one_of_them) or str(self.opts.verbose_name)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DeskChangeList]:
        return DeskChangeList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            return super().get_changelist_instance(request)
        except (IncorrectLookupParameters, DisallowedModelAdminLookup):
            raise BadRequest(ODD_LIST) from None

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only the list's own filters; no other field of the row or of related rows."""
        offered: set[Any] = set()
        for item in self.get_list_filter(request):
            if isinstance(item, type) and issubclass(item, SimpleListFilter):
                offered.add(item.parameter_name)
            else:
                offered.add(item[0] if isinstance(item, list | tuple) else item)
        name, _, rest = lookup.partition("__")
        # `groups__id__exact` is how a filter names the related row; `groups__user__password` would be a question.
        return name in offered and rest in ("", "exact", "isnull", "gte", "lt", "id__exact")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return super().get_search_results(request, queryset, search_term[:SEARCH_LIMIT])

    def response_action(self, request: HttpRequest, queryset: Any, *args: Any) -> HttpResponse | None:
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if any(parse_key(self.opts.pk, text) is None for text in chosen):
            raise BadRequest(_("One of the selected rows has an invalid id. Reload the list and select again."))
        return super().response_action(request, queryset, *args)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if (row := kwargs.get("obj")) is not None:
            context |= {"title": self.title_of_row(row), "subtitle": None}
        return super().render_change_form(request, context, *args, **kwargs)

    def title_of_row(self, row: Any) -> str:
        return str(row)


def _with_text_key(view: Callable[..., Any]) -> Callable[..., Any]:
    """Django's pages take the key as text from the URL."""

    def with_text_key(request: HttpRequest, object_id: Any) -> Any:
        return view(request, str(object_id))

    return update_wrapper(with_text_key, view)


class ReadOnlyAdmin(DeskAdmin):
    """Read-only: nothing can be added, changed or deleted, and there are no URLs for that."""

    stock_pages: ClassVar[tuple[str, ...]] = ("changelist", "change")
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
