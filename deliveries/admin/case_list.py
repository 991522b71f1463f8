"""The list of cases: its tabs, and what a row shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from deliveries.failures.trend import trends
from deliveries.models import CaseComment, FailureGroup
from deliveries.stats.queries import capped_count, shown_count, with_failing
from integrations.admin.lists import LISTED_ROWS, TAB_PAGE_SIZE

COUNTED_TO = 99


@dataclass(frozen=True)
class Tab:
    """`count` is empty where nobody needs it."""

    name: str
    label: str
    rows: Any
    is_current: bool
    count: str = ""


def tabs_of(request: HttpRequest, rows: Any, now: datetime) -> list[Tab]:
    """`rows` are the cases that this person sees."""
    cases = rows.cases()
    awake = cases.awake(now)
    each = (
        ("open", _("Open"), awake),
        ("mine", _("Mine"), cases.open().filter(assignee=request.user.pk)),
        ("unassigned", _("Unassigned"), awake.filter(assignee=None)),
        ("returned", _("Came back"), cases.open().filter(returned_at__isnull=False)),
        ("snoozed", _("Snoozed"), cases.snoozed(now)),
        ("resolved", _("Resolved"), cases.filter(status=FailureGroup.Status.RESOLVED)),
    )
    wanted = request.GET.get("tab", "open")
    wanted = wanted if wanted in [name for name, _label, _found in each] else "open"
    return [Tab(name, label, found, name == wanted, _count(name, found)) for name, label, found in each]


def _count(name: str, rows: QuerySet[FailureGroup]) -> str:
    return "" if name == "resolved" else shown_count(capped_count(rows, COUNTED_TO), COUNTED_TO)


def page_of(request: HttpRequest, tab: Tab, now: datetime) -> dict[str, Any]:
    """The rows of `?page=`, last seen first, each with `failing`, `trend`, `comment_count` and `is_asleep`."""
    written = request.GET.get("page", "1")
    is_number = written.isascii() and written.isdecimal() and len(written) < 6
    page = min(int(written), LISTED_ROWS // TAB_PAGE_SIZE) if is_number else 1
    start = (max(1, page) - 1) * TAB_PAGE_SIZE
    rows = tab.rows.select_related("integration", "store", "assignee").order_by("-last_at", "-id")
    found = list(rows[start : start + TAB_PAGE_SIZE + 1])
    shown = with_failing(found[:TAB_PAGE_SIZE])
    describe(shown, now)
    return {
        "cases": shown,
        "newer": page - 1 if page > 1 else None,
        "older": page + 1 if len(found) > TAB_PAGE_SIZE else None,
    }


def describe(cases: Sequence[FailureGroup], now: datetime) -> None:
    """Set on each what lists show besides its own fields: two queries for all."""
    hours = trends(cases, now)
    comments = CaseComment.objects.filter(case__in=cases).order_by().values("case").annotate(number=Count("pk"))
    numbers = dict(comments.values_list("case", "number"))
    for case in cases:
        case.trend = hours[case.pk]  # type: ignore[attr-defined]
        case.comment_count = numbers.get(case.pk, 0)  # type: ignore[attr-defined]
        case.is_asleep = case.is_snoozed_at(now)  # type: ignore[attr-defined]
