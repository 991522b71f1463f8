"""Deleting what is older than the retention, in small transactions, so that pushes and engines never wait for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from deliveries import hooks
from deliveries.failures.groups import close_empty_groups
from deliveries.models import (
    BulkFix,
    Delivery,
    Event,
    FailureGroup,
    IdempotencyKey,
    Proposal,
    ReplayItem,
    SourceEvent,
    SourceKey,
    SourceRequest,
    WizardPresence,
)
from deliveries.recipes.drafts import DRAFT_KEPT, prune_drafts, prune_values
from deliveries.simulation.runner import prune_simulations
from deliveries.storage.locks import lock_groups
from integrations.foundation.identifiers import first_id_at
from subscriptions.services.versions import prune_versions

#: Idempotency keys are kept for 24 hours at least (docs/contract.md#guarantees).
KEYS_KEPT = timedelta(hours=24)
#: What sources sent is recognised for 72 hours at least.
SOURCE_KEYS_KEPT = timedelta(hours=72)
#: Simulations say what would have happened; what is saved is in the history.
SIMULATIONS_KEPT = timedelta(days=7)
VISITS_KEPT = timedelta(days=1)


@dataclass(slots=True)
class Pruned:
    """How many rows were deleted."""

    deliveries: int = 0
    events: int = 0
    idempotency_keys: int = 0

    @property
    def total(self) -> int:
        return self.deliveries + self.events + self.idempotency_keys


def prune_finished(
    *,
    before: datetime,
    batch: int = 1000,
    now: datetime | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Delete what finished before `before`; returns the number of rows. See `prune`."""
    return prune(before=before, batch=batch, now=now, progress=progress).total


def prune(
    *,
    before: datetime,
    batch: int = 1000,
    now: datetime | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Pruned:
    """Deliveries that finished before `before` with their attempts and revisions, and equally old events that have
    no delivery left; idempotency keys after 24 h, those of sources after 72 h. Records, notifications and the audit
    trail stay.

    `progress` is called with the number of rows of each batch. Safe to interrupt, to repeat, and to run concurrently.
    """
    now = now or timezone.now()
    pruned = Pruned()
    for count in _until_none(lambda: _prune_deliveries(before, batch, now)):
        pruned.deliveries += count
        progress(count)
    events = _OldEvents(before, batch)
    while not events.is_at_end:
        count = events.prune_next()
        pruned.events += count
        progress(count)
    for count in _until_none(lambda: _prune_keys(IdempotencyKey, now - KEYS_KEPT, batch)):
        pruned.idempotency_keys += count
        progress(count)
    for count in _until_none(lambda: _prune_keys(SourceKey, now - SOURCE_KEYS_KEPT, batch)):
        pruned.idempotency_keys += count
        progress(count)
    for _ in _until_none(lambda: prune_simulations(now - SIMULATIONS_KEPT, batch)):
        pass
    for step in (_prune_items, _prune_proposals, prune_values, prune_versions, _prune_origins):
        for _ in _until_none(partial(step, before, batch)):
            pass
    prune_drafts(now - DRAFT_KEPT)
    SourceRequest.objects.filter(received_at__lt=before).delete()  # a few hundred of each source
    WizardPresence.objects.filter(at__lt=now - VISITS_KEPT).delete()
    return pruned


def count_prunable(*, before: datetime) -> int:
    """Deliveries that `prune` would delete now."""
    return Delivery.objects.filter(finished_at__lt=before).count()


def _until_none(step: Callable[[], int]) -> Iterator[int]:
    while count := step():
        yield count


def _prune_deliveries(before: datetime, batch: int, now: datetime) -> int:
    with transaction.atomic():
        old = Delivery.objects.filter(finished_at__lt=before).order_by("finished_at")
        rows = list(old.values_list("id", "failure_group_id")[:batch])
        ids = [key for key, _ in rows]
        groups = {group for _, group in rows if group is not None}
        # A group loses its sample with it. In the order of `deliveries.storage.locks`: groups before deliveries.
        lock_groups(groups.union(FailureGroup.objects.filter(sample__in=ids).values_list("id", flat=True)))
        # Skips rows being resent or referenced at this moment; the next run takes them. Deleting takes the
        # strongest lock, and skips.
        mine = Delivery.objects.filter(id__in=ids, finished_at__lt=before).order_by("id")
        found = list(mine.select_for_update(skip_locked=True).values_list("id", "failure_group_id"))
        free = [key for key, group in found if group is None or group in groups]
        hooks.deliveries_pruned(free)
        deleted: int = Delivery.objects.filter(id__in=free).delete()[1].get("deliveries.Delivery", 0)
        close_empty_groups(groups, now)
    return deleted


@dataclass(slots=True)
class _OldEvents:
    """Walks the old events once, by their ids, which sort by time: those that must stay are not read again."""

    before: datetime
    batch: int
    cursor: uuid.UUID = field(default_factory=lambda: uuid.UUID(int=0))
    is_at_end: bool = False

    def prune_next(self) -> int:
        bound = first_id_at(self.before)
        old = Event.objects.filter(id__gt=self.cursor, id__lt=bound).order_by("id")
        ids = list(old.values_list("id", flat=True)[: self.batch])
        self.is_at_end = len(ids) < self.batch
        if not ids:
            return 0
        self.cursor = ids[-1]
        wanted = Delivery.objects.filter(event_id=OuterRef("pk"))
        with transaction.atomic():
            return Event.objects.filter(~Exists(wanted), id__in=ids).delete()[1].get("deliveries.Event", 0)


def _prune_keys(model: type[IdempotencyKey] | type[SourceKey], before: datetime, batch: int) -> int:
    with transaction.atomic():
        ids = model.objects.filter(created_at__lt=before).order_by("created_at").values_list("id", flat=True)
        return model.objects.filter(id__in=list(ids[:batch])).delete()[0]


def _prune_origins(before: datetime, batch: int) -> int:
    """Which source events came from, of events that are gone."""
    event = Event.objects.filter(id=OuterRef("event_id"))
    old = SourceEvent.objects.filter(~Exists(event), event_id__lt=first_id_at(before)).values_list(
        "event_id", flat=True
    )
    ids = list(old[:batch])
    return SourceEvent.objects.filter(event_id__in=ids).delete()[0] if ids else 0


def _prune_proposals(before: datetime, batch: int) -> int:
    """Old proposals, decided or not: they hold payloads. What they became stays."""
    with transaction.atomic():
        ids = list(Proposal.objects.filter(created_at__lt=before).values_list("id", flat=True)[:batch])
        orphans = BulkFix.objects.filter(status=BulkFix.Status.PROPOSED, proposal__in=ids)
        orphans.update(status=BulkFix.Status.REJECTED)
        return Proposal.objects.filter(id__in=ids).delete()[1].get("deliveries.Proposal", 0)


def _prune_items(before: datetime, batch: int) -> int:
    """Items of old replays; the replays themselves stay, with their counts."""
    with transaction.atomic():
        ids = ReplayItem.objects.filter(replay__finished_at__lt=before).values_list("id", flat=True)[:batch]
        return ReplayItem.objects.filter(id__in=list(ids)).delete()[0]
