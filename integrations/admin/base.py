"""What all lists and pages of the desk share: only the stores that a member of staff may see, and no endless counts."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

#: Rows of a large table that can be paged to; searching and filtering reach the others.
LISTED_ROWS = 1_000


def visible_store_ids(user: Any) -> list[uuid.UUID] | None:
    """The stores to which this member of staff is limited; None: every store."""
    if user.is_superuser:
        return None
    ids: list[uuid.UUID] = list(user.stores.values_list("id", flat=True))
    return ids or None


class CappedPaginator(Paginator):
    """Counts no further than people page: a count of a million rows would cost more than the page itself."""

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[: LISTED_ROWS + 1].count())

    @property
    def count(self) -> int:
        return min(LISTED_ROWS, self._counted)

    @property
    def shown_count(self) -> str:
        """`412`, or `more than 1,000`."""
        return f"more than {LISTED_ROWS:,}" if self._counted > LISTED_ROWS else f"{self._counted:,}"


class DeskAdmin(admin.ModelAdmin):
    """A ModelAdmin that shows what belongs to the stores its viewer may see. `store_path` leads to the store."""

    store_path: ClassVar[str | None] = "store"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    paginator = CappedPaginator

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        ids = visible_store_ids(request.user)
        if ids is None or self.store_path is None:
            return rows
        key = "pk" if self.store_path == "self" else self.store_path
        return rows.filter(**{f"{key}__in": ids})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Titled by what is listed, not by what one is asked to select."""
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if (row := kwargs.get("obj")) is not None:
            context |= {"title": str(row), "subtitle": None}
        return super().render_change_form(request, context, *args, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Stores and integrations that are offered in forms are those that the viewer may see."""
        ids = visible_store_ids(request.user)
        related = db_field.related_model._meta.label
        if ids is not None and related in _STORE_PATHS:
            rows = kwargs.get("queryset") or db_field.related_model._default_manager.all()
            kwargs["queryset"] = rows.filter(**{f"{_STORE_PATHS[related]}__in": ids})
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


_STORE_PATHS = {"integrations.Store": "pk", "integrations.Integration": "store"}


class ReadOnlyAdmin(DeskAdmin):
    """For what has happened: nobody adds, changes or deletes it here."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
