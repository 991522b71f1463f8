"""Fills the search index behind the hot path: what is new, what failed, what changed, then what is old.

Runs in a task worker every few seconds while there is something to do. Small transactions, which on SQLite let others
write in between, and a limit of time for each run, which is short while many pushes come in: then it catches up later.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.fields import BooleanField
from django.utils import timezone

from deliveries.models import (
    Delivery,
    DeliveryDocument,
    Event,
    EventDocument,
    Record,
    RecordDocument,
    SearchedStore,
    SearchState,
)
from deliveries.search import documents
from deliveries.search.documents import Unsearched
from deliveries.search.switching import purge_next
from deliveries.stats.queries import in_failing_index
from deliveries.storage import backend
from deliveries.storage.write_lock import WriteLock
from integrations.foundation.identifiers import first_id_at
from integrations.models import Store

logger = logging.getLogger("hookdesk.search")

#: Documents of one transaction.
BATCH: Final = 100
#: Pause between two transactions, so that others can write on SQLite.
PAUSE: Final = 0.005
#: Seconds of a run; fewer while so many events come in, or so many deliveries end, within BUSY_SPAN: pushes and engines
#: need the processor. A run that finds so only later ends then.
SECONDS: Final = 10.0
BUSY_SECONDS: Final = 0.3
BUSY_ROWS: Final = 1_500
BUSY_SPAN: Final = timedelta(seconds=5)
#: A transaction that began earlier has mostly ended; what ended later than LATEST is not found.
SETTLED: Final = timedelta(seconds=3)
LATEST: Final = timedelta(minutes=10)
#: Failures are looked for again that ended so long before the last run: their commit may have come after it.
OVERLAP: Final = timedelta(seconds=30)
LEASE: Final = timedelta(minutes=2)
#: Retrying deliveries that are looked through for new failures.
RETRYING: Final = 2_000
#: Old events that are looked at in one step.
OLD_EVENTS: Final = 500


def state_of_index(now: datetime) -> SearchState:
    """The one row; made when the index is first filled."""
    found = SearchState.objects.filter(pk=1).first()
    if found is None:
        here = first_id_at(now)
        found, _ = SearchState.objects.get_or_create(
            pk=1,
            defaults={
                "events_upto": here,
                "events_from": here,
                "checked_upto": first_id_at(now - LATEST),
                "failures_upto": now,
            },
        )
    return found


def run(now: datetime, *, seconds: float | None = None) -> int:
    """One run; returns how many documents were written or deleted. None and 0 while another process is at it.

    Outside a transaction. Safe to interrupt and to repeat.
    """
    state = state_of_index(now)
    is_free = Q(leased_until=None) | Q(leased_until__lt=now) | Q(leased_until__gt=now + 2 * LEASE)
    if not SearchState.objects.filter(is_free, pk=state.pk).update(leased_until=now + LEASE, worked_at=now):
        return 0
    lock = WriteLock(backend().database_file())
    try:
        return _Run(state, now, time.monotonic() + (seconds or SECONDS), lock, gives_way=seconds is None).work()
    finally:
        lock.close()
        SearchState.objects.filter(pk=state.pk).update(leased_until=None)


def is_busy(now: datetime) -> bool:
    """Whether pushes or engines have much to do."""
    since = now - BUSY_SPAN
    pushed = Event.objects.filter(id__gt=first_id_at(since))
    ended = Delivery.objects.filter(_finished(), finished_at__gt=since)
    return any(rows.order_by().values("pk")[:BUSY_ROWS].count() == BUSY_ROWS for rows in (pushed, ended))


def _finished() -> RawSQL:
    """A copy of the condition of the index, which SQLite does not find otherwise."""
    return RawSQL("deliveries_delivery.finished_at IS NOT NULL", [], output_field=BooleanField())


def unindexed_failures(since: datetime, limit: int, unsearched: Unsearched) -> list[Delivery]:
    """Deliveries that failed since then, and the newest that are being retried, without a document that says so."""
    current = DeliveryDocument.objects.filter(delivery=OuterRef("pk"), attempts__gte=OuterRef("attempt_count"))
    any_ = DeliveryDocument.objects.filter(delivery=OuterRef("pk"))
    failed = Delivery.objects.filter(_finished(), ~Exists(current), finished_at__gte=since, status="failed")
    newest = in_failing_index(Delivery.objects.filter(status="retrying")).order_by("-id").values_list("id", flat=True)
    retrying = Delivery.objects.filter(~Exists(any_), id__in=list(newest[:RETRYING]))
    rows: list[Delivery] = []
    for found in (failed.order_by("finished_at"), retrying.order_by("-id")):
        searched = found.exclude(unsearched.of_deliveries()).select_related("event", "integration")
        rows += searched.defer("integration__token", "integration__parameters")[: limit - len(rows)]
    return rows


@dataclass(slots=True)
class _Run:
    state: SearchState
    now: datetime
    until: float
    lock: WriteLock
    #: Whether it ends when pushes or engines turn out to have much to do.
    gives_way: bool = False
    _looks_at: float = field(default_factory=lambda: time.monotonic() + BUSY_SECONDS)

    def work(self) -> int:
        steps: list[Callable[[Unsearched], int]] = [
            self._failures, self._new_events, self._records, self._purges, self._late_events, self._old_events,
        ]  # fmt: skip
        count = 0
        for step in steps:
            try:
                count += self._while_there_is_time(step)
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                logger.exception("search index: %s failed; continuing with the rest", step.__name__)
        return count

    @property
    def is_over(self) -> bool:
        moment = time.monotonic()
        if self.gives_way and moment > self._looks_at:
            self._looks_at = moment + BUSY_SECONDS
            if is_busy(timezone.now()):
                self.until = moment
        return moment >= self.until

    def _while_there_is_time(self, step: Callable[[Unsearched], int]) -> int:
        """A step returns how many documents it wrote, and -1 when there is nothing left for it."""
        total, unsearched = 0, Unsearched()
        while not self.is_over and (count := step(unsearched)) >= 0:
            total += count
            time.sleep(PAUSE)
        return total

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction. On SQLite, in the queue of those who write constantly."""
        with self.lock.acquire(), transaction.atomic():
            yield

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self.state, name, value)
        SearchState.objects.filter(pk=self.state.pk).update(**values)

    def _failures(self, unsearched: Unsearched) -> int:
        rows = unindexed_failures(self.state.failures_upto - OVERLAP, BATCH, unsearched)
        made = documents.delivery_documents(rows, unsearched)
        with self._writing():
            documents.write_deliveries(made)
            if len(rows) < BATCH:
                self._set(failures_upto=self.now)
        return len(made) if len(rows) == BATCH else -1

    def _new_events(self, unsearched: Unsearched) -> int:
        rows = Event.objects.filter(id__gt=self.state.events_upto, id__lt=first_id_at(self.now - SETTLED))
        events = list(rows.order_by("id")[:BATCH])
        if not events:
            return -1
        made = documents.event_documents(events, unsearched)
        with self._writing():
            documents.write_events(made)
            self._set(events_upto=events[-1].pk)
        return len(events)

    def _late_events(self, unsearched: Unsearched) -> int:
        """Those whose ids are older than their commits by so much that they were passed over."""
        bound = min(first_id_at(self.now - LATEST), self.state.events_upto)
        rows = Event.objects.filter(id__gt=self.state.checked_upto, id__lte=bound)
        ids = list(rows.order_by("id").values_list("id", flat=True)[:OLD_EVENTS])
        if not ids:
            return -1
        return self._missing(ids, unsearched, checked_upto=ids[-1])

    def _old_events(self, unsearched: Unsearched) -> int:
        """From before the index was begun, or before a topic was taken in: the newest first."""
        if self.state.events_from is None:
            return -1
        rows = Event.objects.filter(id__lt=self.state.events_from)
        ids = list(rows.order_by("-id").values_list("id", flat=True)[:OLD_EVENTS])
        count = self._missing(ids, unsearched, events_from=ids[-1] if ids else None)
        return count if ids else -1

    def _missing(self, ids: Sequence[uuid.UUID], unsearched: Unsearched, **reached: uuid.UUID | None) -> int:
        """Write what is missing of these events and of their failed deliveries; then note how far it got."""
        known = EventDocument.objects.filter(event=OuterRef("pk"))
        rows = Event.objects.filter(~Exists(known), id__in=ids).exclude(unsearched.of_events())
        missing = list(rows.order_by("-id").values_list("id", flat=True))
        for start in range(0, len(missing), BATCH):
            events = list(Event.objects.filter(id__in=missing[start : start + BATCH]))
            made = documents.event_documents(events, unsearched)
            failed = _failures_of(events, unsearched)
            with self._writing():
                documents.write_events(made)
                documents.write_deliveries(failed)
            time.sleep(PAUSE)
        self._set(**reached)
        return len(missing)

    def _records(self, unsearched: Unsearched) -> int:
        """One pass over all stores."""
        known = dict(SearchedStore.objects.values_list("store_id", "records_upto"))
        for store_id in Store.objects.order_by("pk").values_list("pk", flat=True):
            if self.is_over:
                break
            self._records_of(store_id, known.get(store_id), unsearched)
        return -1

    def _records_of(self, store_id: uuid.UUID, since: datetime | None, unsearched: Unsearched) -> None:
        while not self.is_over:
            rows = _changed_records(store_id, since).exclude(type__in=unsearched.types_of(store_id))
            records = list(rows.order_by("updated_at", "pk")[:BATCH])
            made = documents.record_documents(records, unsearched)
            if records:
                with self._writing():
                    documents.write_records(made)
            is_all = len(records) < BATCH
            since = self.now if is_all else records[-1].updated_at
            SearchedStore.objects.update_or_create(store_id=store_id, defaults={"records_upto": since})
            if is_all:
                return
            time.sleep(PAUSE)

    def _purges(self, _: Unsearched) -> int:
        return purge_next(lambda: self.is_over)


def _failures_of(events: Sequence[Event], unsearched: Unsearched) -> list[DeliveryDocument]:
    """Documents of their failed deliveries that have none."""
    known = DeliveryDocument.objects.filter(delivery=OuterRef("pk"))
    failing = Delivery.objects.failing().filter(~Exists(known), event__in=[event.pk for event in events])
    failing = failing.exclude(unsearched.of_deliveries()).select_related("event", "integration")
    rows = list(failing.defer("integration__token", "integration__parameters")[: 5 * BATCH])
    return documents.delivery_documents(rows, unsearched)


def _changed_records(store_id: uuid.UUID, since: datetime | None) -> QuerySet[Record]:
    """Without those whose document is of this version."""
    known = RecordDocument.objects.filter(record=OuterRef("pk"), version=OuterRef("version"))
    # The condition of the index `record_newest`, word for word: SQLite does not use a partial index otherwise.
    indexed = RawSQL("deliveries_record.version > 0", [], output_field=BooleanField())
    rows = Record.objects.filter(indexed, ~Exists(known), store_id=store_id)
    return rows if since is None else rows.filter(updated_at__gte=since - OVERLAP)
