"""Counts become coarser with age: five minutes, hours, days, and nothing. Small transactions, one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F, Max, Min, QuerySet
from django.db.models.functions import Mod

from deliveries.models import AttemptCount, AttemptStats, StatsBucket
from deliveries.stats.rollups import DAY_SLOTS, HOUR_SLOTS, SLOTS_KEPT, slot_of
from deliveries.storage import backend
from deliveries.storage.counters import Counters

#: Fresh counts of a slot are moved this long after its end; what comes later still is moved when it has come.
FRESH: Final = timedelta(minutes=10)
#: Hours become days after this, and days are deleted.
HOURS_KEPT, DAYS_KEPT = timedelta(days=35), timedelta(days=400)
#: Slot 0: all that was ever counted.
EVER: Final = 0
BATCH: Final = 5_000
#: Per run, so that the first one after a long pause does not hold up the others.
MOST_BATCHES: Final = 20
#: Nobody else locks this number (`Backend.lock_numbers`).
_LOCK: Final = 0x5374617473

_Keys = tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    """Counts with a `slot`; rows with the same `keys` are added up."""

    counters: Counters
    keys: _Keys
    added: _Keys


_ATTEMPTS: Final = _Table(
    Counters(
        AttemptStats,
        unique=("integration_id", "slot", "kind", "bin"),
        added=("number", "milliseconds"),
        replaced=(),
        computed={},
    ),
    ("integration_id", "kind", "bin"),
    ("number", "milliseconds"),
)
_DELIVERIES: Final = _Table(
    Counters(
        StatsBucket,
        unique=("integration_id", "slot", "bin"),
        added=("accepted", "succeeded", "failed"),
        replaced=(),
        computed={},
    ),
    ("integration_id", "bin"),
    ("accepted", "succeeded", "failed"),
)


def compact(now: datetime) -> int:
    """Move fresh counts, make old ones coarser, delete the oldest; returns how many rows were taken away."""
    deliveries = StatsBucket.objects.exclude(integration_id=0)
    attempts = AttemptStats.objects.exclude(slot=EVER)
    hours, days = slot_of(now - SLOTS_KEPT), slot_of(now - HOURS_KEPT)
    moved = _in_batches(lambda: _move_fresh(now))
    for table, rows in ((_ATTEMPTS, attempts), (_DELIVERIES, deliveries)):
        for width, before in ((DAY_SLOTS, days), (HOUR_SLOTS, hours)):
            moved += _in_batches(lambda t=table, r=rows, w=width, b=before: _coarsen(t, r, w, b))  # type: ignore[misc]
    oldest = slot_of(now - DAYS_KEPT)
    return moved + attempts.filter(slot__lt=oldest).delete()[0] + deliveries.filter(slot__lt=oldest).delete()[0]


def drop_marks() -> int:
    """Of the marks that say which slots were counted, only the first and the last say something."""
    marks = StatsBucket.objects.filter(integration_id=0)
    ends = marks.aggregate(first=Min("slot"), last=Max("slot"))
    return marks.filter(slot__gt=ends["first"], slot__lt=ends["last"]).delete()[0] if ends["first"] is not None else 0


def _in_batches(step: Callable[[], int]) -> int:
    total = 0
    for _ in range(MOST_BATCHES):
        with transaction.atomic():
            backend().lock_numbers([_LOCK])
            count = step()
        total += count
        if count < BATCH:
            break
    return total


def _move_fresh(now: datetime) -> int:
    """From all processes, into their slot and into what was ever counted."""
    rows = AttemptCount.objects.filter(slot__lt=slot_of(now - FRESH)).order_by("slot", "id")
    found = _taken(rows, _ATTEMPTS)
    _add(_ATTEMPTS, [*found, *({**row, "slot": EVER} for row in found)])
    return len(found)


def _coarsen(table: _Table, rows: QuerySet[Any], width: int, before: int) -> int:
    """Rows of slots before `before` into the first slot of their hour or day."""
    old = rows.filter(slot__lt=before - before % width).annotate(rest=Mod(F("slot"), width)).exclude(rest=0)
    found = _taken(old.order_by("slot", "id"), table)
    _add(table, [{**row, "slot": row["slot"] - row["slot"] % width} for row in found])
    return len(found)


def _taken(rows: QuerySet[Any], table: _Table) -> list[dict[str, Any]]:
    """Up to a batch of rows, which are deleted. Nobody can have changed them meanwhile."""
    if connection.features.has_select_for_update:
        # A process that stood still for minutes may be adding to one just now: it is taken the next time.
        rows = rows.select_for_update(skip_locked=True, of=("self",))
    found = list(rows.values("id", "slot", *table.keys, *table.added)[:BATCH])
    ids = [row.pop("id") for row in found]
    rows.model._default_manager.filter(id__in=ids).delete()
    return found


def _add(table: _Table, rows: Sequence[dict[str, Any]]) -> None:
    sums: dict[tuple[Any, ...], list[int]] = {}
    names = ("slot", *table.keys)
    for row in rows:
        known = sums.setdefault(tuple(row[name] for name in names), [0] * len(table.added))
        for index, name in enumerate(table.added):
            known[index] += row[name]
    table.counters.add(
        [dict(zip((*names, *table.added), (*key, *sums[key]), strict=True)) for key in sorted(sums)],
    )
