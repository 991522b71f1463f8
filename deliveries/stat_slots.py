"""Counts what finished, in slots of five minutes: closed slots once, the rest on each look.

Both databases do it with one statement over the index on `finished_at` and one over the time-ordered ids.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import BigIntegerField, ExpressionWrapper, F, Max, Sum

from deliveries.models import Delivery, StatSlot

SLOT_SECONDS: Final = 300
#: A slot is closed when nothing of it can still be on its way into the database.
SETTLING: Final = timedelta(seconds=60)
#: How far back slots are counted and kept.
KEPT: Final = timedelta(days=8)
#: Upper bounds of the durations from push to delivery, in milliseconds.
BINS: Final = (5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000,
               30_000, 60_000, 300_000, 3_600_000)  # fmt: skip
ACCEPTED: Final = -1


@dataclass(frozen=True, slots=True)
class Count:
    """What an integration did in one slot (or several, when added up), for one duration."""

    slot: int
    integration_id: int
    bin: int
    accepted: int = 0
    succeeded: int = 0
    failed: int = 0


def slot_of(moment: datetime) -> int:
    return int(moment.timestamp()) // SLOT_SECONDS


def start_of(slot: int) -> datetime:
    return datetime.fromtimestamp(slot * SLOT_SECONDS, UTC)


def fill(now: datetime) -> int:
    """Count the closed slots that are not yet; returns how many. Run twice, or by two at once, it does no harm."""
    closed = slot_of(now - SETTLING)
    first = slot_of(now - KEPT)
    last = StatSlot.objects.filter(integration_id=0).aggregate(last=Max("slot"))["last"]
    begin = max(first, last + 1) if last is not None else first
    if begin >= closed:
        return 0
    rows = [
        StatSlot(
            slot=count.slot,
            integration_id=count.integration_id,
            bin=count.bin,
            accepted=count.accepted,
            succeeded=count.succeeded,
            failed=count.failed,
        )
        for count in _counted(begin, closed)
    ]
    rows.append(StatSlot(slot=closed - 1, integration_id=0, bin=ACCEPTED))
    StatSlot.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    StatSlot.objects.filter(slot__lt=first).delete()
    return closed - begin


def counts(*, since: datetime, now: datetime, width: int, integrations: Iterable[int] | None) -> list[Count]:
    """The counts from `since` to `now`, added up over `width` slots each (`Count.slot` is then slot // width)."""
    fill(now)
    open_from = slot_of(now - SETTLING)
    wanted = set(integrations) if integrations is not None else None
    stored = StatSlot.objects.filter(slot__gte=slot_of(since), slot__lt=open_from).exclude(integration_id=0)
    if wanted is not None:
        stored = stored.filter(integration_id__in=wanted)
    rows = (
        stored.annotate(bucket=ExpressionWrapper(F("slot") / width, output_field=BigIntegerField()))
        .values_list("bucket", "integration_id", "bin")
        .annotate(Sum("accepted"), Sum("succeeded"), Sum("failed"))
        .order_by()
    )
    found = [Count(*row) for row in rows]
    for count in _counted(max(open_from, slot_of(since)), slot_of(now) + 1):
        if wanted is None or count.integration_id in wanted:
            found.append(replace(count, slot=count.slot // width))
    return found


def percentile(counts_by_bin: dict[int, int], share: float) -> float | None:
    """The duration in milliseconds that `share` of the deliveries stayed under, interpolated in its bin."""
    total = sum(counts_by_bin.values())
    if not total:
        return None
    wanted, passed = total * share, 0
    for index in sorted(counts_by_bin):
        inside = counts_by_bin[index]
        if passed + inside >= wanted:
            low = BINS[index - 1] if index else 1
            high = BINS[index] if index < len(BINS) else BINS[-1] * 2
            return float(low * (high / low) ** ((wanted - passed) / inside))
        passed += inside
    return float(BINS[-1])


def id_at(moment: datetime) -> uuid.UUID:
    """The lowest time-ordered id of that millisecond."""
    return uuid.UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


_FINISHED = """
SELECT {slot}, integration_id, {bin},
       SUM(CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END), SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END)
FROM deliveries_delivery
WHERE finished_at >= %s AND finished_at < %s AND "trigger" <> 'test' AND status IN ('succeeded', 'failed')
GROUP BY 1, 2, 3
"""
_ACCEPTED = """
SELECT {slot}, integration_id, COUNT(*) FROM deliveries_delivery
WHERE id >= %s AND id < %s AND created_at >= %s AND created_at < %s AND "trigger" <> 'test'
GROUP BY 1, 2
"""


def _counted(begin: int, end: int) -> list[Count]:
    """What the deliveries themselves say about the slots from `begin` up to `end`."""
    if begin >= end:
        return []
    to_id = Delivery._meta.pk.get_db_prep_value
    low, high = start_of(begin), start_of(end)
    times = [connection.ops.adapt_datetimefield_value(moment) for moment in (low, high)]
    ids = [to_id(id_at(low - timedelta(seconds=5)), connection), to_id(id_at(high + timedelta(seconds=5)), connection)]
    found = [
        Count(int(slot), integration, int(size), 0, int(good), int(bad))
        for slot, integration, size, good, bad in _rows(_FINISHED.format(slot=_slot("finished_at"), bin=_bin()), times)
    ]
    found += [
        Count(int(slot), integration, ACCEPTED, int(number))
        for slot, integration, number in _rows(_ACCEPTED.format(slot=_slot("created_at")), [*ids, *times])
    ]
    return found


def _rows(statement: str, values: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _slot(column: str) -> str:
    if connection.vendor == "postgresql":
        return f"floor(extract(epoch from {column}) / {SLOT_SECONDS})::bigint"
    return f"CAST(strftime('%%s', {column}) AS INTEGER) / {SLOT_SECONDS}"


def _bin() -> str:
    if connection.vendor == "postgresql":
        took = "extract(epoch from finished_at - created_at) * 1000"
    else:
        took = "(julianday(finished_at) - julianday(created_at)) * 86400000"
    whens = " ".join(f"WHEN {took} < {bound} THEN {index}" for index, bound in enumerate(BINS))
    return f"CASE {whens} ELSE {len(BINS)} END"
