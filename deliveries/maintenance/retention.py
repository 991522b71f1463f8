"""Prune what is older than the retention, in small transactions, so that pushes and engines never wait for it.

Stores may have a retention of their own (`integrations.services.retention`), separately for successes and failures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from deliveries.maintenance.walks import Limits, OldDeliveries, OldEntries, OldEvents, Walk, prune_records
from deliveries.models import (
    BulkFix,
    Delivery,
    Event,
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
from integrations.foundation.identifiers import first_id_at
from integrations.services.retention import cutoffs_of
from subscriptions.services.versions import prune_versions

#: Idempotency keys are kept for 24 hours at least (docs/contract.md#guarantees).
KEYS_KEPT = timedelta(hours=24)
#: Repeated requests at sources are recognised for at least 72 hours.
SOURCE_KEYS_KEPT = timedelta(hours=72)
#: Simulations are kept briefly: they only say what would have happened; saved changes are in the history.
SIMULATIONS_KEPT = timedelta(days=7)
VISITS_KEPT = timedelta(days=1)


@dataclass(slots=True)
class Pruned:
    """How many rows were deleted."""

    deliveries: int = 0
    events: int = 0
    idempotency_keys: int = 0
    records: int = 0
    audit_entries: int = 0

    @property
    def total(self) -> int:
        return self.deliveries + self.events + self.idempotency_keys + self.records + self.audit_entries


def prune_finished(
    *,
    before: datetime,
    batch: int = 1000,
    now: datetime | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Delete what finished before `before`; return the number of rows. See `prune`."""
    return prune(before=before, batch=batch, now=now, progress=progress).total


def prune(
    *,
    before: datetime,
    batch: int = 1000,
    now: datetime | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Pruned:
    """Delete deliveries that finished before `before`, with their attempts and revisions, and equally old events that
    have no delivery left; idempotency keys after 24 h, those of sources after 72 h. Records and the audit trail stay.

    A store with a rule of its own (`Retention`) is pruned by that rule, which may include records and audit entries.
    `progress` is called with the number of rows of each batch. Safe to interrupt, repeat and run concurrently.
    """
    now = now or timezone.now()
    limits = Limits.at(before, now)
    pruned = Pruned(
        deliveries=_prune_all(OldDeliveries(limits, batch, now), progress),
        events=_prune_all(OldEvents(limits, batch), progress),
    )
    for count in _until_none(lambda: _prune_keys(IdempotencyKey, now - KEYS_KEPT, batch)):
        pruned.idempotency_keys += count
        progress(count)
    for count in _until_none(lambda: _prune_keys(SourceKey, now - SOURCE_KEYS_KEPT, batch)):
        pruned.idempotency_keys += count
        progress(count)
    for _ in _until_none(lambda: prune_simulations(now - SIMULATIONS_KEPT, batch)):
        pass
    for store_id, cutoff in cutoffs_of("records", now).of_store.items():
        for count in _until_none(partial(prune_records, store_id, cutoff, batch)):
            pruned.records += count
            progress(count)
    pruned.audit_entries = _prune_all(OldEntries(cutoffs_of("audit", now), batch), progress)
    for step in (_prune_items, _prune_proposals, prune_values, prune_versions, _prune_origins):
        for _ in _until_none(partial(step, before, batch)):
            pass
    prune_drafts(now - DRAFT_KEPT)
    SourceRequest.objects.filter(received_at__lt=before).delete()  # a few hundred per source
    WizardPresence.objects.filter(at__lt=now - VISITS_KEPT).delete()
    return pruned


def count_prunable(*, before: datetime, now: datetime | None = None) -> int:
    """Count the deliveries that `prune` would delete now."""
    limits = Limits.at(before, now or timezone.now())
    return Delivery.objects.filter(limits.condition, finished_at__lt=limits.latest).count()


def _until_none(step: Callable[[], int]) -> Iterator[int]:
    while count := step():
        yield count


def _prune_all(walk: Walk, progress: Callable[[int], None]) -> int:
    total = 0
    while not walk.is_at_end:
        count = walk.prune_next()
        total += count
        progress(count)
    return total


def _prune_keys(model: type[IdempotencyKey] | type[SourceKey], before: datetime, batch: int) -> int:
    with transaction.atomic():
        ids = model.objects.filter(created_at__lt=before).order_by("created_at").values_list("id", flat=True)
        return model.objects.filter(id__in=list(ids[:batch])).delete()[0]


def _prune_origins(before: datetime, batch: int) -> int:
    """Delete the origins (source requests) of events that no longer exist."""
    event = Event.objects.filter(id=OuterRef("event_id"))
    old = SourceEvent.objects.filter(~Exists(event), event_id__lt=first_id_at(before)).values_list(
        "event_id", flat=True
    )
    ids = list(old[:batch])
    return SourceEvent.objects.filter(event_id__in=ids).delete()[0] if ids else 0


def _prune_proposals(before: datetime, batch: int) -> int:
    """Delete old proposals, decided or not, because they hold payloads. The actions that followed from them stay."""
    with transaction.atomic():
        ids = list(Proposal.objects.filter(created_at__lt=before).values_list("id", flat=True)[:batch])
        orphans = BulkFix.objects.filter(status=BulkFix.Status.PROPOSED, proposal__in=ids)
        orphans.update(status=BulkFix.Status.REJECTED)
        return Proposal.objects.filter(id__in=ids).delete()[1].get("deliveries.Proposal", 0)


def _prune_items(before: datetime, batch: int) -> int:
    """Delete the items of old replays. The replays themselves stay, with their counts."""
    with transaction.atomic():
        ids = ReplayItem.objects.filter(replay__finished_at__lt=before).values_list("id", flat=True)[:batch]
        return ReplayItem.objects.filter(id__in=list(ids)).delete()[0]
