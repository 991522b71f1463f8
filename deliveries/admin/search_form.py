"""What the search page's query string says: words, where, order, columns."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from deliveries.models import Delivery
from deliveries.search.finding import Kind, Query
from deliveries.search.matching import Scope
from deliveries.search.words import LENGTH_LIMIT

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PERIODS: Final = (
    ("", _("any time")),
    ("1h", _("last hour")),
    ("24h", _("last 24 hours")),
    ("today", _("today")),
    ("yesterday", _("yesterday")),
    ("7d", _("last 7 days")),
    ("30d", _("last 30 days")),
    ("custom", _("from … until …")),
)
_SPANS: Final = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
NAMES: Final = ("q", "kind", "store", "topic", "status", "integration", "period", "since", "until", "sort", "columns")


@dataclass(frozen=True, slots=True)
class Column:
    """Of the table. `order`: the field to sort by, if that is possible."""

    name: str
    label: StrOrPromise
    order: str = ""
    is_usual: bool = True


COLUMNS: Final[dict[Kind, tuple[Column, ...]]] = {
    "delivery": (
        Column("status", _("Status"), "status"),
        Column("topic", _("Event"), "topic"),
        Column("integration", _("Integration"), "integration__name"),
        Column("match", _("Found")),
        Column("response", _("Last response"), "last_status"),
        Column("attempts", _("Attempts"), "attempt_count"),
        Column("store", _("Store"), "store__name", is_usual=False),
        Column("id", _("Id"), is_usual=False),
        Column("finished", _("Finished"), "finished_at", is_usual=False),
        Column("created", _("Age"), "created_at"),
    ),
    "event": (
        Column("topic", _("Event"), "topic"),
        Column("match", _("Found")),
        Column("origin", _("Origin"), "origin"),
        Column("store", _("Store"), "store__name"),
        Column("id", _("Id"), is_usual=False),
        Column("created", _("Received"), "created_at"),
    ),
    "record": (
        Column("topic", _("Record"), "external_id"),
        Column("match", _("Found")),
        Column("version", _("Version"), "version"),
        Column("store", _("Store"), "store__name"),
        Column("updated", _("Updated"), "updated_at"),
    ),
}
LABELS: Final[dict[Kind, StrOrPromise]] = {
    "delivery": _("Deliveries"), "event": _("Events"), "record": _("Records"),
}  # fmt: skip


@dataclass(slots=True)
class Asked:
    """The fields as they were given, and what they mean."""

    fields: dict[str, str]
    kind: Kind
    query: Query
    columns: list[Column]
    order: Column
    is_descending: bool
    page: int = 1
    problems: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.fields["q"]

    @property
    def written(self) -> str:
        """The query string, without the page: what a saved view keeps."""
        kept = QueryDict(mutable=True)
        kept.update({name: value for name, value in self.fields.items() if value})
        return kept.urlencode()


def asked_of(given: QueryDict, kinds: Sequence[Kind], stores: Sequence[uuid.UUID] | None) -> Asked:
    """`kinds`: those that the viewer may see, one at least; `stores`: theirs, None for all."""
    fields = {name: given.get(name, "").replace("\0", "").strip()[:LENGTH_LIMIT] for name in NAMES}
    if len(given.getlist("columns")) > 1:
        fields["columns"] = ",".join(given.getlist("columns"))[:LENGTH_LIMIT]
    kind = next((one for one in kinds if one == fields["kind"]), kinds[0])
    problems: list[str] = []
    since, until = _period(fields, problems)
    status = fields["status"] if fields["status"] in Delivery.Status.values else ""
    number = fields["integration"]
    query = Query(
        fields["q"],
        Scope(_chosen(fields["store"], stores), since, until, fields["topic"]),
        statuses=(status,) if status else (),
        integration=int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else None,
    )
    order, is_descending = _order(kind, fields["sort"])
    page = given.get("page", "")
    return Asked(
        fields, kind, query, _columns(kind, fields["columns"]), order, is_descending,
        int(page) if page.isascii() and page.isdecimal() and 0 < len(page) < 4 and int(page) else 1, problems,
    )  # fmt: skip


def _chosen(text: str, stores: Sequence[uuid.UUID] | None) -> Sequence[uuid.UUID] | None:
    """The store that was chosen, if it is one of theirs; none for one that is not."""
    if not text:
        return stores
    try:
        wanted = uuid.UUID(text)
    except ValueError:
        return []
    return [wanted] if stores is None or wanted in stores else []


def _period(fields: Mapping[str, str], problems: list[str]) -> tuple[datetime | None, datetime | None]:
    now, period = timezone.now(), fields["period"]
    if period in _SPANS:
        return now - _SPANS[period], None
    midnight = timezone.make_aware(datetime.combine(timezone.localtime(now).date(), time.min))
    if period == "today":
        return midnight, None
    if period == "yesterday":
        return midnight - timedelta(days=1), midnight
    found: list[datetime | None] = []
    for name, label in (("since", gettext("From")), ("until", gettext("Until"))):
        moment = _moment(fields[name])
        if fields[name] and moment is None:
            problems.append(gettext("%(field)s is not a time, so it was left out.") % {"field": label})
        found.append(moment)
    return found[0], found[1]


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    if moment is None or not 1970 < moment.year < 9000:
        return None
    return moment if moment.tzinfo else timezone.make_aware(moment)


def _order(kind: Kind, text: str) -> tuple[Column, bool]:
    possible = {column.name: column for column in COLUMNS[kind] if column.order}
    column = possible.get(text.removeprefix("-"))
    return (COLUMNS[kind][-1], True) if column is None else (column, text.startswith("-"))


def _columns(kind: Kind, text: str) -> list[Column]:
    wanted = set(text.split(","))
    return [one for one in COLUMNS[kind] if one.name in wanted] or [one for one in COLUMNS[kind] if one.is_usual]
