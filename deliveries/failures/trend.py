"""The trend of a case: failures per hour, derived from the occurrences that are counted anyway.

Each minute, a task adds new occurrences to the hour of the latest failure, so that recording a failure costs nothing
extra.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from deliveries.models import FailureGroup, FailureHour
from deliveries.storage.counters import Counters

HOUR = timedelta(hours=1)
KEPT = timedelta(days=8)
#: Most cases counted by one call.
BATCH = 500

HOURS = Counters(FailureHour, unique=("case_id", "start"), added=("failures",), replaced=(), computed={})


def count_hours(now: datetime) -> int:
    """Add new occurrences to their hours, for at most `BATCH` cases; delete old hours. Returns how many cases."""
    FailureHour.objects.filter(start__lt=now - KEPT).delete()
    news = FailureGroup.objects.filter(Q(counted=None) | Q(counted__lt=F("occurrences"))).order_by("id")
    count = 0
    for pk, counted, occurrences, last_at in news.values_list("id", "counted", "occurrences", "last_at")[:BATCH]:
        with transaction.atomic():
            # Another process may have counted them in the meantime.
            mine = FailureGroup.objects.filter(id=pk, counted=counted).update(counted=occurrences)
            if mine and counted is not None and last_at > now - KEPT:
                HOURS.add([{"case_id": pk, "start": hour_of(last_at), "failures": occurrences - counted}])
            count += mine
    return count


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def trends(cases: Sequence[FailureGroup], now: datetime, *, bars: int = 24, hours: int = 1) -> dict[int, list[int]]:
    """Return each case's failures in the last `bars` periods of `hours` hours, oldest first. One query."""
    end = hour_of(now) + HOUR
    start = end - bars * hours * HOUR
    found: dict[int, list[int]] = defaultdict(lambda: [0] * bars)
    rows = FailureHour.objects.filter(case__in=cases, start__gte=start, start__lt=end)
    each = list(rows.values_list("case_id", "start", "failures"))
    each += [(case.pk, case.last_at, case.occurrences - case.counted) for case in cases if case.counted is not None]
    for case_id, at, failures in each:
        if start <= at < end:
            found[case_id][int((at - start) / (hours * HOUR))] += max(0, failures)
    return {case.pk: found[case.pk] for case in cases}
