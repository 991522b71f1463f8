"""Django's changelist, restricted: bounded counts, known filters only, values that databases accept."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.admin import RelatedFieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.admin.keys import LARGEST
from integrations.foundation.written import grouped

#: The most rows of a large table that can be paged through; search and filters reach the others.
LISTED_ROWS = 1_000
#: Characters of a search, and of a filter's value.
SEARCH_LIMIT = 200
ODD_LIST = _("Unknown filter or invalid value. Reload the list and choose a filter from its sidebar.")

_INTEGER = re.compile(r"\s*[-+]?\d+\s*")


class CappedPaginator(Paginator):
    """Counts only as far as people page: counting a million rows would cost more than the page itself."""

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
        if self._counted > LISTED_ROWS:
            return gettext("more than %(number)s") % {"number": grouped(LISTED_ROWS)}
        return grouped(self._counted)


class DeskChangeList(ChangeList):
    """Rejects values that would fail in the database, and fetches the page here, where errors are handled."""

    def get_filters_params(self, params: Any = None) -> Any:
        found = super().get_filters_params(params)
        for values in found.values():
            for value in values if isinstance(values, list) else [values]:
                if len(str(value)) > SEARCH_LIMIT or _is_too_large(str(value)):
                    raise IncorrectLookupParameters(ODD_LIST)
        return found

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
            len(self.result_list)
        except (DataError, OverflowError, ValueError) as error:
            raise IncorrectLookupParameters(ODD_LIST) from error


def _is_too_large(text: str) -> bool:
    """Whether any value of a list exceeds every integer column."""
    return any(
        len(part) > 40 or abs(int(part)) > LARGEST for part in re.split("[,.]", text) if _INTEGER.fullmatch(part)
    )


class VisibleRelatedFilter(RelatedFieldListFilter):
    """The sidebar offers, and accepts, only related rows that the viewer may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        rows: QuerySet[Any] = model_admin.choices_of(field.remote_field.model, request)
        ordering = self.field_admin_ordering(field, request, model_admin)
        return field.get_choices(include_blank=False, ordering=ordering, limit_choices_to={"pk__in": rows.values("pk")})


VisibleRelatedFilter.register(lambda field: bool(field.remote_field), VisibleRelatedFilter, take_priority=True)


#: Of a list with the tabs "Open" and "Resolved".
TAB_PAGE_SIZE = 50
TABS = (("open", _("Open")), ("resolved", _("Resolved")))


def tab_page(request: HttpRequest, rows: QuerySet[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The rows of `?tab=` and `?page=`, last seen first, and what the template needs to draw tabs and pages."""
    status = "resolved" if request.GET.get("tab") == "resolved" else "open"
    number = request.GET.get("page", "1")
    page = min(int(number), LISTED_ROWS // TAB_PAGE_SIZE) if number.isdecimal() and len(number) < 6 else 1
    start = (max(1, page) - 1) * TAB_PAGE_SIZE
    found = list(rows.filter(status=status).order_by("-last_at")[start : start + TAB_PAGE_SIZE + 1])
    return found[:TAB_PAGE_SIZE], {
        "tabs": [{"name": name, "label": label, "is_current": name == status} for name, label in TABS],
        "status": status,
        "newer": page - 1 if page > 1 else None,
        "older": page + 1 if len(found) > TAB_PAGE_SIZE else None,
    }
