"""One search over deliveries, events and records."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Literal

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from deliveries.models import (
    Delivery,
    DeliveryDocument,
    Event,
    EventDocument,
    Record,
    RecordDocument,
    SearchState,
)
from deliveries.search.documents import Unsearched, delivery_documents
from deliveries.search.indexing import OVERLAP, unindexed_failures
from deliveries.search.matching import LISTED, MOST, Documents, Found, Scope, documents_with
from deliveries.search.words import Word, words_of
from deliveries.stats.queries import capped_count
from integrations.foundation.identifiers import first_id_at, parse_public_id
from integrations.foundation.written import grouped

Kind = Literal["delivery", "event", "record"]
KINDS: Final[tuple[Kind, ...]] = ("delivery", "event", "record")

#: Failures that are not in the index yet and are looked through for each search.
FRESH: Final = 200
#: Before the index is first filled, failures of this time.
FRESH_SPAN: Final = timedelta(hours=1)
#: The index is behind if events that are older are not in it yet.
BEHIND: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: words (`words_of`), and where. `statuses` and `integration` (a primary key) are of deliveries."""

    text: str
    scope: Scope
    statuses: tuple[str, ...] = ()
    integration: int | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """Exact, or at least that many and more."""

    number: int
    is_exact: bool

    def __str__(self) -> str:
        number = grouped(self.number)
        return number if self.is_exact else _("more than %(number)s") % {"number": number}


@dataclass
class Search:
    """The answer to a query. Each part is looked for when it is asked for, once."""

    query: Query
    now: datetime
    words: list[Word] = field(default_factory=list)
    _found: dict[Documents, Found] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.words = words_of(self.query.text)

    def rows(self, kind: Kind) -> QuerySet[Any]:
        """What matches, unordered: all of it, or the newest if there is more than is counted."""
        rows: dict[Kind, Callable[[], QuerySet[Any]]] = {
            "delivery": self._deliveries, "event": self._events, "record": self._records,
        }  # fmt: skip
        return rows[kind]() if self.words else Delivery.objects.none()

    def total(self, kind: Kind) -> Total:
        founds = self._founds(kind)
        is_exact = all(found.is_all for found in founds)
        if kind != "delivery":
            return Total(sum(found.number for found in founds), is_exact)
        is_narrowed = bool(self.query.statuses or self.query.integration)
        if not is_narrowed and any(found.number == MOST and not found.is_all for found in founds):
            return Total(MOST, False)
        number = capped_count(self.rows(kind), MOST)
        return Total(min(number, MOST), is_exact and number <= MOST)

    def notes(self, kinds: Sequence[Kind] = KINDS) -> list[str]:
        """What somebody should know who relies on the answer."""
        founds = [found for kind in kinds for found in self._founds(kind) if not found.is_all]
        notes = [found.note or _more_match(len(found.keys)) for found in founds]
        return [*dict.fromkeys(notes), *behind(self.now)]

    def _founds(self, kind: Kind) -> list[Found]:
        if not self.words:
            return []
        models: dict[Kind, tuple[Documents, ...]] = {
            "delivery": (DeliveryDocument,) if self._is_of_failures else (EventDocument, DeliveryDocument),
            "event": (EventDocument,),
            "record": (RecordDocument,),
        }
        return [self._documents(model) for model in models[kind]]

    def _documents(self, model: Documents) -> Found:
        if model not in self._found:
            self._found[model] = documents_with(model, self.words, self.query.scope)
        return self._found[model]

    @property
    def _is_of_failures(self) -> bool:
        """All that is asked for failed, so that the documents of failed deliveries have it."""
        return bool(self.query.statuses) and set(self.query.statuses) <= {"failed", "retrying"}

    def _deliveries(self) -> QuerySet[Delivery]:
        founds = self._founds("delivery")
        failed, events = founds[-1], founds[0] if len(founds) == 2 else Found()
        # Where not all events are listed, neither are their failures.
        keys = failed.keys if events.is_all else failed.keys[:LISTED]
        mine = Q(event_id__in=events.keys) | Q(pk__in=[*keys, *self._fresh])
        if len(self.words) == 1 and (pk := parse_public_id("dlv", self.words[0].written)):
            mine = Q(pk=pk) | Q(event_id=pk)  # a whole id, also of what is not in the index yet
        rows = Delivery.objects.filter(mine)
        if self.query.statuses:
            rows = rows.annotate(said=_unindexed("status")).filter(said__in=self.query.statuses)
        if self.query.integration is not None:
            rows = rows.annotate(goes_to=_unindexed("integration_id")).filter(goes_to=self.query.integration)
        return self._in_stores(rows)

    def _events(self) -> QuerySet[Event]:
        keys = self._documents(EventDocument).keys
        if len(self.words) == 1 and (pk := parse_public_id("evt", self.words[0].written)):
            keys = [pk, *keys]
        return self._in_stores(Event.objects.filter(pk__in=keys))

    def _records(self) -> QuerySet[Record]:
        return self._in_stores(Record.objects.filter(pk__in=self._documents(RecordDocument).keys))

    def _in_stores(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        stores = self.query.scope.stores
        return rows if stores is None else rows.annotate(of=_unindexed("store_id")).filter(of__in=list(stores))

    @cached_property
    def _fresh(self) -> list[uuid.UUID]:
        """Deliveries that failed since the index was last filled: looked through one by one."""
        state = SearchState.objects.filter(pk=1).first()
        since = state.failures_upto - OVERLAP if state is not None else self.now - FRESH_SPAN
        unsearched, scope = Unsearched(), self.query.scope
        rows = unindexed_failures(since, FRESH, unsearched)
        stores = None if scope.stores is None else set(scope.stores)
        wanted = [row for row in rows if (stores is None or row.store_id in stores) and _is_in(row, scope)]
        return [
            made.delivery_id
            for made in delivery_documents(wanted, unsearched)
            if all(word.is_in(made.text) for word in self.words)
        ]


def _more_match(number: int) -> str:
    words = ngettext(
        "More match: the newest %(number)s is listed.", "More match: the newest %(number)s are listed.", number
    )
    return words % {"number": grouped(number)}


def _unindexed(name: str) -> Coalesce:
    """A column by whose index nothing is looked up: there are keys, and a store has a million others."""
    return Coalesce(F(name), F(name))


def _is_in(delivery: Delivery, scope: Scope) -> bool:
    event = delivery.event_id
    if scope.since is not None and event < first_id_at(scope.since):
        return False
    if scope.until is not None and event >= first_id_at(scope.until):
        return False
    if scope.topic.endswith(".*"):
        return delivery.topic.startswith(scope.topic[:-1])
    return not scope.topic or delivery.topic == scope.topic


def behind(now: datetime, by: timedelta = BEHIND) -> list[str]:
    """Which events are not in the index although they are older than `by`, as sentences."""
    state = SearchState.objects.filter(pk=1).first()
    if state is None:
        if not Event.objects.exists():
            return []
        return [_("Nothing is in the search yet but failures of the last hour. A worker fills it: is one running?")]
    notes = []
    waiting = Event.objects.filter(id__gt=state.events_upto, id__lt=first_id_at(now - by)).order_by("id")
    if oldest := waiting.values_list("created_at", flat=True).first():
        words = _("What was received after %(time)s UTC is not all in the search yet.")
        notes.append(words % {"time": f"{oldest:%Y-%m-%d %H:%M}"})
    if state.events_from is not None:
        older = Event.objects.filter(id__lt=state.events_from).order_by("-id")
        if latest := older.values_list("created_at", flat=True).first():
            words = _("The search is being filled: events before %(time)s UTC are not all in it.")
            notes.append(words % {"time": f"{latest:%Y-%m-%d %H:%M}"})
    return notes
