"""What one integration did in an hour, a day, a week or 30 days, with its history in bars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from deliveries.models import AttemptStats
from deliveries.models.stats import NOTHING_SENT
from deliveries.stats.attempts import AttemptTotal, attempts_since
from deliveries.stats.durations import percentile
from deliveries.stats.queries import WINDOWS, Series, throughput
from deliveries.stats.rollups import start_of
from deliveries.stats.waiting import Waiting, waiting
from integrations.models import Integration

Kind = AttemptStats.Kind
SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Durations:
    """Percentiles in milliseconds; None of nothing. Never further off than a third (`stats.durations`)."""

    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, bins: Mapping[int, int]) -> Durations:
        return cls(*(percentile(bins, share) for share in SHARES.values()))


@dataclass(slots=True)
class Period:
    """One bar: deliveries accepted, delivered and failed for good in it, and attempts that are retried."""

    start: datetime
    end: datetime
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    retried: int = 0
    #: By bin of the receiver's own time.
    receiver_bins: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    #: By bin of the time from push to delivery.
    delivered_bins: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def receiver(self) -> Durations:
        return Durations.of(self.receiver_bins)

    @property
    def push_to_delivered(self) -> Durations:
        return Durations.of(self.delivered_bins)


@dataclass(frozen=True)
class Figures:
    """Of one integration in one window."""

    window: str
    series: Series
    periods: list[Period]
    waiting: Waiting
    now: datetime

    @property
    def since(self) -> datetime:
        return self.periods[0].start

    @property
    def retried(self) -> int:
        return sum(period.retried for period in self.periods)

    @property
    def push_to_delivered(self) -> Durations:
        return Durations.of(self.series.bins)

    @property
    def receiver(self) -> Durations:
        return Durations.of(_summed(period.receiver_bins for period in self.periods))

    @property
    def oldest_due(self) -> float:
        """Seconds."""
        return self.waiting.overdue(self.now)

    @property
    def is_nothing_delivered(self) -> bool:
        """Whether it fails all that it gets: what failed or is being retried, and nothing arrived."""
        return self.series.is_nothing_delivered or (not self.series.succeeded and bool(self.retried))


def _summed(many: Iterable[Mapping[int, int]]) -> dict[int, int]:
    found: dict[int, int] = defaultdict(int)
    for bins in many:
        for place, number in bins.items():
            found[place] += number
    return found


def figures(*, integration: Integration, window: str, now: datetime) -> Figures:
    """`window`: one of `WINDOWS`; raises KeyError for another."""
    width = WINDOWS[window][1]
    series = throughput(window=window, now=now, integrations=[integration.pk]).total
    periods = {
        bucket: Period(start_of(bucket * width), min(now, start_of((bucket + 1) * width))) for bucket in series.buckets
    }
    for bucket, period in periods.items():
        period.accepted = series.accepted_by_bucket.get(bucket, 0)
        period.delivered, period.failed = series.by_bucket.get(bucket, (0, 0))
        period.delivered_bins = series.bins_by_bucket.get(bucket, {})
    since = start_of(series.buckets.start * width)
    for one in attempts_since(since=since, width=width, integrations=[integration.pk]):
        if one.bucket in periods:
            _add(periods[one.bucket], one)
    found = waiting(now, [integration.pk]).get(integration.pk, Waiting())
    return Figures(window, series, list(periods.values()), found, now)


def _add(period: Period, one: AttemptTotal) -> None:
    if one.kind == Kind.RETRYING:
        period.retried += one.number
    if one.kind != Kind.DELIVERED and one.bin != NOTHING_SENT:
        period.receiver_bins[one.bin] += one.number
