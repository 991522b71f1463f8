"""Rollups of finished deliveries in slots of five minutes: closed slots once, the rest on each query.

Both databases do it with one statement over the index on `finished_at` and one over the time-ordered ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import BigIntegerField, ExpressionWrapper, F, Max, Min, Sum

from deliveries.models import Delivery, StatsBucket
from deliveries.models.stats import SLOT_SECONDS
from deliveries.stats.durations import BINS
from deliveries.storage import backend
from integrations.foundation.identifiers import first_id_at

#: A slot is closed when no more rows for it can be committed.
SETTLING: Final = timedelta(seconds=60)
#: How far back the first count reaches. What is counted is kept longer: see `compaction`.
KEPT: Final = timedelta(days=31)
#: How far back somebody who looks at figures lets count; the rest is left to the periodic job.
REACH: Final = timedelta(days=8)
HOUR_SLOTS: Final = 3_600 // SLOT_SECONDS
DAY_SLOTS: Final = 86_400 // SLOT_SECONDS
#: Slots are kept for so long, and only hours after it.
SLOTS_KEPT: Final = timedelta(days=2)
ACCEPTED: Final = -1
#: Nobody else locks this number (`Backend.lock_numbers`).
_LOCK: Final = 0x526F6C6C7570


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


def fill(now: datetime, since: datetime | None = None) -> int:
    """Count the closed slots from the day of `since` on (default: `KEPT`) that are not yet; returns how many.

    The counted range is contiguous, with marked ends; it grows forward with time and backward when a longer window is
    requested, a day in each transaction, the newest first. Idempotent and safe to run concurrently.
    """
    total = 0
    while _next_stretch(now, since) is not None:
        with transaction.atomic():
            backend().lock_numbers([_LOCK])
            stretch = _next_stretch(now, since)
            if stretch is None:  # another process has counted it meanwhile
                break
            _store(*stretch, is_old=stretch[1] <= slot_of(now - SLOTS_KEPT) // HOUR_SLOTS * HOUR_SLOTS)
        total += stretch[1] - stretch[0]
    return total


def _next_stretch(now: datetime, since: datetime | None) -> tuple[int, int] | None:
    """Slots of one day to count next: the first, and the one after the last."""
    closed = slot_of(now - SETTLING)
    oldest = slot_of(now - KEPT)
    begin = _day(oldest if since is None else max(oldest, slot_of(since)))
    marks = StatsBucket.objects.filter(integration_id=0).aggregate(first=Min("slot"), last=Max("slot"))
    if marks["first"] is None:
        return (max(begin, _day(closed - 1)), closed) if begin < closed else None
    following = max(_day(oldest), marks["last"] + 1)
    if following < closed:
        return following, min(closed, _day(following) + DAY_SLOTS)
    return (_day(marks["first"] - 1), marks["first"]) if begin < marks["first"] else None


def _day(slot: int) -> int:
    """The first slot of its day: days are counted whole, so that they can become hours and days."""
    return slot - slot % DAY_SLOTS


def counts(*, since: datetime, now: datetime, width: int, integrations: Iterable[int] | None) -> list[Count]:
    """The counts from `since` to `now`, added up over `width` slots each (`Count.slot` is then slot // width)."""
    fill(now, max(since, now - REACH))
    open_from = slot_of(now - SETTLING)
    wanted = set(integrations) if integrations is not None else None
    stored = StatsBucket.objects.filter(slot__gte=slot_of(since), slot__lt=open_from).exclude(integration_id=0)
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


_FINISHED = """
SELECT slot, integration_id, bin, 0, SUM(good), SUM(bad) FROM (
    SELECT {slot} AS slot, integration_id, {bin} AS bin,
           CASE WHEN status = 'succeeded' THEN 1 ELSE 0 END AS good,
           CASE WHEN status = 'failed' THEN 1 ELSE 0 END AS bad
    FROM (
        SELECT finished_at, integration_id, status, {took} AS took FROM deliveries_delivery
        WHERE finished_at >= %s AND finished_at < %s AND "trigger" <> 'test' AND status IN ('succeeded', 'failed')
    ) AS measured
) AS sorted GROUP BY 1, 2, 3
"""
_ACCEPTED = """
SELECT {slot}, integration_id, -1, COUNT(*), 0, 0 FROM deliveries_delivery
WHERE id >= %s AND id < %s AND created_at >= %s AND created_at < %s AND "trigger" <> 'test'
GROUP BY 1, 2
"""
_INSERT = (
    "INSERT INTO deliveries_statsbucket (slot, integration_id, bin, accepted, succeeded, failed) {select}"
    " ON CONFLICT DO NOTHING"
)


def _counted(begin: int, end: int) -> list[Count]:
    """Counts from the deliveries themselves for the slots from `begin` up to `end`."""
    found = []
    for statement, values in _statements(begin, end):
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            found += [Count(*(int(value) for value in row)) for row in cursor.fetchall()]
    return found


def _store(begin: int, end: int, *, is_old: bool) -> None:
    """The same, written by the database itself: a day may have millions of deliveries. `is_old`: by the hour."""
    for statement, values in _statements(begin, end, HOUR_SLOTS if is_old else 1):
        with connection.cursor() as cursor:
            cursor.execute(_INSERT.format(select=statement), values)
    marks = [StatsBucket(slot=slot, integration_id=0, bin=ACCEPTED) for slot in {begin, end - 1}]
    StatsBucket.objects.bulk_create(marks, ignore_conflicts=True)


def _statements(begin: int, end: int, width: int = 1) -> list[tuple[str, list[Any]]]:
    if begin >= end:
        return []
    to_id = Delivery._meta.pk.get_db_prep_value
    low, high = start_of(begin), start_of(end)
    times = [connection.ops.adapt_datetimefield_value(moment) for moment in (low, high)]
    ids = [
        to_id(first_id_at(low - timedelta(seconds=5)), connection),
        to_id(first_id_at(high + timedelta(seconds=5)), connection),
    ]
    took = backend().milliseconds("created_at", "finished_at")  # from push to delivery
    return [
        (_FINISHED.format(slot=_slot("finished_at", width), bin=backend().bin_of("took", BINS), took=took), times),
        (_ACCEPTED.format(slot=_slot("created_at", width)), [*ids, *times]),
    ]


def _slot(column: str, width: int) -> str:
    return f"{backend().unix_seconds(column)} / {SLOT_SECONDS * width} * {width}"
