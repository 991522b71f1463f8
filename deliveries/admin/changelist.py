"""The list of deliveries: tabs, filters, search and pages by id, each with bounded cost."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from deliveries.access import stores_for, visible_to
from deliveries.filters import FilterError, apply_filters
from deliveries.models import Delivery
from deliveries.stats.queries import capped_count, in_failing_index, shown_count
from integrations.foundation.identifiers import parse_public_id
from integrations.models import Integration, Store

PAGE_SIZE = 50
#: Tab → (its label, the statuses it shows).
TABS = {
    "needs": (_("Needs attention"), "failed"),
    "retrying": (_("Retrying"), "retrying"),
    "all": (_("All"), ""),
}
#: Filter → what a page calls it.
FILTERS = {
    "q": _("search"),
    "integration": _("integration"),
    "topic": _("topic"),
    "status": _("status"),
    "store": _("store"),
    "since": _("since"),
    "until": _("until"),
    "finished_since": _("finished since"),
    "finished_until": _("finished until"),
    "group": _("case"),
    "subscription": _("subscription"),
    "replay": _("bulk resend"),
    "left_alone": _("left alone"),
    "approval": _("approval"),
}
SINCE = (("", _("any time")), ("1h", _("last hour")), ("24h", _("last 24 hours")), ("7d", _("last 7 days")))


@dataclass
class Page:
    """One page of the list, with its tabs, filters and cursors."""

    tab: str
    rows: list[Delivery] = field(default_factory=list)
    newer: uuid.UUID | None = None
    older: uuid.UUID | None = None
    filters: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def period(self) -> list[tuple[str, str]]:
        """The times that a link to this list has given it, which the form keeps."""
        names = ("since", "until", "finished_since", "finished_until")
        given = [(name, self.filters[name]) for name in names if name in self.filters]
        return [
            (name, value) for name, value in given if (name, value) not in {("since", key) for key, _label in SINCE}
        ]

    @property
    def statuses(self) -> str:
        """For people: `succeeded or failed`."""
        words = status_names(self.filters.get("status", ""))
        if len(words) == 2:
            return gettext("%(one)s or %(other)s") % {"one": words[0], "other": words[1]}
        return ", ".join(words)

    @property
    def is_filtered(self) -> bool:
        return any(name not in ("status",) for name in self.filters)


def page_of(request: HttpRequest) -> Page:
    """The requested page. An invalid filter shows an error and no rows."""
    page, rows = rows_of(request)
    return page if page.error else _cut(page, rows, request.GET)


def rows_of(request: HttpRequest) -> tuple[Page, QuerySet[Delivery]]:
    """The page without its rows, and all rows that match; `page.error` says what is wrong with a filter."""
    tab = request.GET.get("tab", "needs")
    page = Page(tab if tab in TABS else "needs")
    page.filters = chosen_filters(request.GET)
    scoped = visible_to(Delivery.objects.all(), request.user)
    if page.tab != "all":
        page.filters["status"] = TABS[page.tab][1]
        scoped = in_failing_index(scoped)
    try:
        rows = apply_filters(scoped, resolved(page.filters))
    except FilterError as error:
        page.error = error.message
        rows = scoped.none()
    return page, rows


def chosen_filters(parameters: Any) -> dict[str, str]:
    """The query string's non-empty filters."""
    found = {name: parameters.get(name, "").strip() for name in FILTERS}
    return {name: value for name, value in found.items() if value}


def resolved(filters: dict[str, str]) -> dict[str, str]:
    """The same, with relative times such as `24h` resolved."""
    spans = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
    span = spans.get(filters.get("since", ""))
    return filters if span is None else {**filters, "since": (timezone.now() - span).isoformat()}


def status_names(text: str) -> list[str]:
    """`failed,retrying` as people read it."""
    labels = dict(Delivery.Status.choices)
    return [str(labels.get(word.strip(), word.strip())) for word in text.split(",")]


def described(filters: dict[str, str]) -> list[tuple[str, str]]:
    """The filters for display: stores and integrations by name."""
    shown = []
    for name, label in FILTERS.items():
        if not (value := filters.get(name)):
            continue
        if name == "integration" and value.isdecimal() and len(value) < 19:
            value = Integration.objects.filter(pk=int(value)).values_list("name", flat=True).first() or value
        elif name == "integration" and (number := parse_public_id("int", value)):
            value = Integration.objects.filter(uuid=number).values_list("name", flat=True).first() or value
        elif name == "group" and "," in value:
            count = value.count(",") + 1
            value = ngettext("%(number)s case", "%(number)s cases", count) % {"number": count}
        elif name == "store":
            keys = [key for key in map(_id, value.split(",")) if key]
            value = ", ".join(Store.objects.filter(pk__in=keys).order_by("name").values_list("name", flat=True)[:5])
        elif name == "status":
            value = ", ".join(status_names(value))
        shown.append((str(label), value))
    return shown


def _cut(page: Page, rows: QuerySet[Delivery], parameters: Any) -> Page:
    """Paged by id, not by number: every page costs the same."""
    before, after = _id(parameters.get("before")), _id(parameters.get("after"))
    if after is not None:
        found = list(_shown(rows.filter(id__gt=after).order_by("id"))[: PAGE_SIZE + 1])
        has_more, found = len(found) > PAGE_SIZE, found[:PAGE_SIZE][::-1]
        page.rows = found
        page.newer = found[0].pk if has_more and found else None
        page.older = found[-1].pk if found else None
        return page
    if before is not None:
        rows = rows.filter(id__lt=before)
    found = list(_shown(rows.order_by("-id"))[: PAGE_SIZE + 1])
    page.rows = found[:PAGE_SIZE]
    page.older = page.rows[-1].pk if len(found) > PAGE_SIZE else None
    page.newer = page.rows[0].pk if before is not None and page.rows else None
    return page


def _shown(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """With what the list shows, without payloads."""
    return rows.select_related("event", "integration", "store").defer(
        "event__data", "integration__parameters", "integration__token", "integration__handshake"
    )


def _id(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None


def tabs(request: HttpRequest, current: str) -> list[dict[str, Any]]:
    """The tabs, with counts for those that need attention."""
    scoped = visible_to(Delivery.objects.all(), request.user)
    found = []
    for name, (label, status) in TABS.items():
        count = shown_count(capped_count(in_failing_index(scoped.filter(status=status)))) if status else ""
        found.append({"name": name, "label": label, "count": count, "is_current": name == current})
    return found


def choices(request: HttpRequest) -> dict[str, Any]:
    """The filters' options."""
    stores = list(stores_for(request.user).order_by("name")[:200])
    integrations = (
        visible_to(Integration.objects.alive(), request.user).order_by("name").values_list("pk", "name")[:500]
    )
    return {
        "stores": stores,
        "integrations": [(str(pk), name) for pk, name in integrations],
        "statuses": Delivery.Status.choices,
        "since_choices": SINCE,
    }
