"""Walks for pruning the large tables: each walks its table once, in its own order, batch by batch."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from deliveries import hooks
from deliveries.failures.groups import close_empty_groups
from deliveries.models import Delivery, Event, FailureGroup, Record
from deliveries.storage.locks import lock_groups
from integrations.foundation.identifiers import first_id_at
from integrations.models import AuditEntry
from integrations.services.retention import Cutoffs, cutoffs_of


class Walk(Protocol):
    is_at_end: bool

    def prune_next(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The time before which finished deliveries, and events without deliveries, are deleted."""

    successes: Cutoffs
    failures: Cutoffs

    @classmethod
    def at(cls, before: datetime, now: datetime) -> Limits:
        """Return the limits now. `before` applies to stores without a rule of their own."""
        return cls(*(cutoffs_of(kind, now, default=before) for kind in ("successes", "failures")))

    @property
    def latest(self) -> datetime:
        return max(moment for each in (self.successes, self.failures) if (moment := each.latest) is not None)

    def is_old(self, store_id: uuid.UUID, status: str, finished_at: datetime) -> bool:
        kind = self.successes if status == Delivery.Status.SUCCEEDED else self.failures
        cutoff = kind.of(store_id)
        return cutoff is not None and finished_at < cutoff

    def of_events(self, store_id: uuid.UUID) -> datetime:
        """Return the limit for events: the earlier one, since an event may have both successes and failures."""
        return min(moment for each in (self.successes, self.failures) if (moment := each.of(store_id)) is not None)

    @property
    def condition(self) -> Q:
        """The same condition as `is_old`, as a query for counting."""
        ruled = {*self.successes.of_store, *self.failures.of_store}
        is_success = Q(status=Delivery.Status.SUCCEEDED)
        found = ~Q(store__in=ruled) & Q(finished_at__lt=self.successes.default)
        for store_id in ruled:
            is_old = is_success & Q(finished_at__lt=self.successes.of(store_id))
            found |= Q(store=store_id) & (is_old | ~is_success & Q(finished_at__lt=self.failures.of(store_id)))
        return found


@dataclass(slots=True)
class OldDeliveries:
    """Walks the deliveries that finished before the latest limit once, in the order in which they finished, so that
    deliveries which a store keeps longer are not read again.
    """

    limits: Limits
    batch: int
    now: datetime
    cursor: tuple[datetime, uuid.UUID] | None = None
    is_at_end: bool = False

    def prune_next(self) -> int:
        rows = self._next()
        self.is_at_end = len(rows) < self.batch
        if not rows:
            return 0
        self.cursor = rows[-1][:2]
        old = {key: group for moment, key, store, status, group in rows if self.limits.is_old(store, status, moment)}
        return self._delete(old) if old else 0

    def _next(self) -> list[Any]:
        found = Delivery.objects.filter(finished_at__lt=self.limits.latest)
        if self.cursor is not None:
            moment, key = self.cursor
            found = found.filter(finished_at__gte=moment).filter(Q(finished_at__gt=moment) | Q(id__gt=key))
        columns = ("finished_at", "id", "store_id", "status", "failure_group_id")
        return list(found.order_by("finished_at", "id").values_list(*columns)[: self.batch])

    def _delete(self, old: dict[uuid.UUID, int | None]) -> int:
        with transaction.atomic():
            groups = {group for group in old.values() if group is not None}
            # Also lock groups whose sample is deleted. Groups come before deliveries: see `deliveries.storage.locks`.
            lock_groups(groups.union(FailureGroup.objects.filter(sample__in=list(old)).values_list("id", flat=True)))
            # Skip rows that are being resent or referenced at this moment; the next run deletes them. Deleting needs
            # the strongest row lock, so it must not wait.
            mine = Delivery.objects.filter(id__in=list(old), finished_at__isnull=False).order_by("id")
            found = mine.select_for_update(skip_locked=True).values_list(
                "id", "failure_group_id", "store_id", "status", "finished_at"
            )
            free = [
                key
                for key, group, store, status, moment in found
                if (group is None or group in groups) and moment and self.limits.is_old(store, status, moment)
            ]
            hooks.deliveries_pruned(free)
            deleted: int = Delivery.objects.filter(id__in=free).delete()[1].get("deliveries.Delivery", 0)
            close_empty_groups(groups, self.now)
        return deleted


@dataclass(slots=True)
class OldEvents:
    """Walks the old events once, by id (which sorts by time), so that events which must stay are not read again."""

    limits: Limits
    batch: int
    cursor: uuid.UUID = field(default_factory=lambda: uuid.UUID(int=0))
    is_at_end: bool = False

    def prune_next(self) -> int:
        bound = first_id_at(self.limits.latest)
        old = Event.objects.filter(id__gt=self.cursor, id__lt=bound).order_by("id")
        rows = list(old.values_list("id", "store_id")[: self.batch])
        self.is_at_end = len(rows) < self.batch
        if not rows:
            return 0
        self.cursor = rows[-1][0]
        ids = [key for key, store in rows if key < first_id_at(self.limits.of_events(store))]
        wanted = Delivery.objects.filter(event_id=OuterRef("pk"))
        with transaction.atomic():
            return Event.objects.filter(~Exists(wanted), id__in=ids).delete()[1].get("deliveries.Event", 0)


@dataclass(slots=True)
class OldEntries:
    """Walks the audit trail by id (later entries have higher ids) up to the latest limit of any store."""

    cutoffs: Cutoffs
    batch: int
    cursor: int = 0
    is_at_end: bool = False

    def prune_next(self) -> int:
        latest = self.cutoffs.latest
        if latest is None:
            self.is_at_end = True
            return 0
        entries = AuditEntry.objects.filter(id__gt=self.cursor).order_by("id")
        rows = list(entries.values_list("id", "store_id", "created_at")[: self.batch])
        self.is_at_end = len(rows) < self.batch or rows[-1][2] >= latest
        if not rows:
            return 0
        self.cursor = rows[-1][0]
        old = [key for key, store, moment in rows if (cutoff := self.cutoffs.of(store)) and moment < cutoff]
        return AuditEntry.objects.filter(id__in=old).delete()[0] if old else 0


def prune_records(store_id: uuid.UUID, before: datetime, batch: int) -> int:
    old = Record.objects.filter(store=store_id, version__gt=0, updated_at__lt=before)
    ids = list(old.values_list("id", flat=True)[:batch])
    with transaction.atomic():
        # Deleting needs the stronger row lock: skip records that a push has locked at this moment.
        free = old.filter(id__in=ids).select_for_update(skip_locked=True).values_list("id", flat=True)
        return Record.objects.filter(id__in=list(free)).delete()[0]
