"""The desk's queries on large tables, each with bounded cost.

Nothing here counts a whole table: past slots are counted once (`rollups`), open work is read from partial
indexes, and what is unbounded is counted up to a limit and shown as "more than".
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import BooleanField, F, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models import Count as CountRows
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from deliveries.models import Delivery, Engine, FailureGroup
from deliveries.models.engine import HEARTBEAT_STALE
from deliveries.stats.durations import percentile
from deliveries.stats.rollups import ACCEPTED, Count, counts, slot_of, start_of
from integrations.foundation.written import date_and_minute, grouped
from integrations.models import Integration

#: Rows are counted up to here; more is shown as "1,000+".
COUNT_LIMIT: Final = 1_000
#: Deliveries that are being retried are counted up to here; a larger backlog shows in what was accepted.
RETRYING_LIMIT: Final = 5_000
#: A due delivery that waits longer than this is shown in red.
LATE_AFTER: Final = timedelta(seconds=30)
#: Window → (its length, slots of five minutes per bar).
WINDOWS: Final = {
    "1h": (timedelta(hours=1), 1),
    "24h": (timedelta(hours=24), 6),
    "7d": (timedelta(days=7), 36),
    "30d": (timedelta(days=30), 288),
}
INTEGRATION_ROWS: Final = 50
GROUP_ROWS: Final = 8


@dataclass(frozen=True)
class EngineHealth:
    """Engine liveness and queue age. `oldest_due` in seconds, None if nothing is due."""

    is_alive: bool
    beat_at: datetime | None
    oldest_due: float | None

    @property
    def is_late(self) -> bool:
        return self.oldest_due is not None and self.oldest_due > LATE_AFTER.total_seconds()


def engine_health(now: datetime, stores: Sequence[uuid.UUID] | None = None) -> EngineHealth:
    """For all stores, or for these only."""
    beat = Engine.objects.order_by("-beat_at").values_list("beat_at", flat=True).first()
    oldest = (
        Delivery.objects.filter(integration=OuterRef("pk"), due_at__lte=now).order_by("due_at").values("due_at")[:1]
    )
    integrations = Integration.objects.filter(is_enabled=True).annotate(waiting_since=Subquery(oldest))
    if stores is not None:
        integrations = integrations.filter(store_id__in=stores)
    due = integrations.aggregate(due=Min("waiting_since"))["due"]
    return EngineHealth(
        is_alive=beat is not None and beat > now - HEARTBEAT_STALE,
        beat_at=beat,
        oldest_due=(now - due).total_seconds() if due else None,
    )


@dataclass(frozen=True)
class Bar:
    """One bar of the chart."""

    start: datetime
    succeeded: int
    failed: int
    end: datetime

    @property
    def title(self) -> str:
        values = {
            "moment": date_and_minute(self.start),
            "delivered": grouped(self.succeeded),
            "failed": grouped(self.failed),
        }
        if self.failed:
            return _("%(moment)s: %(delivered)s delivered, %(failed)s failed") % values
        return _("%(moment)s: %(delivered)s delivered") % values


@dataclass
class Series:
    """Totals of a window. Durations from push to delivery in milliseconds."""

    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    #: Being retried now, so not delivered yet.
    retrying: int = 0
    bins: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    by_bucket: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    accepted_by_bucket: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    bins_by_bucket: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    buckets: range = range(0)
    width: int = 1

    def add(self, count: Count) -> None:
        self.accepted += count.accepted
        self.succeeded += count.succeeded
        self.failed += count.failed
        self.accepted_by_bucket[count.slot] += count.accepted
        if count.bin != ACCEPTED:
            self.bins[count.bin] += count.succeeded
            self.bins_by_bucket[count.slot][count.bin] += count.succeeded
            self.by_bucket[count.slot][0] += count.succeeded
            self.by_bucket[count.slot][1] += count.failed

    @property
    def rate(self) -> float | None:
        """Share delivered of those finished in the window or being retried."""
        total = self.succeeded + self.failed + self.retrying
        return self.succeeded / total if total else None

    @property
    def p50(self) -> float | None:
        return percentile(self.bins, 0.5)

    @property
    def p95(self) -> float | None:
        return percentile(self.bins, 0.95)

    @property
    def p99(self) -> float | None:
        return percentile(self.bins, 0.99)

    @property
    def bars(self) -> list[Bar]:
        return [
            Bar(
                start=start_of(bucket * self.width),
                succeeded=self.by_bucket.get(bucket, (0, 0))[0],
                failed=self.by_bucket.get(bucket, (0, 0))[1],
                end=start_of((bucket + 1) * self.width),
            )
            for bucket in self.buckets
        ]

    @property
    def span(self) -> Bar:
        """The whole window."""
        ends = [start_of(bucket * self.width) for bucket in (self.buckets.start, self.buckets.stop)]
        return Bar(ends[0], self.succeeded, self.failed, end=ends[1])

    @property
    def is_nothing_delivered(self) -> bool:
        """Whether nothing arrived, although something failed or is being retried: not even once is it well."""
        return not self.succeeded and bool(self.failed or self.retrying)

    @property
    def totals(self) -> list[int]:
        return [bar.succeeded + bar.failed for bar in self.bars]

    @property
    def failures(self) -> list[int]:
        return [bar.failed for bar in self.bars]


@dataclass(frozen=True)
class Throughput:
    total: Series
    by_integration: dict[int, Series]

    def of(self, integration_id: int) -> Series:
        return self.by_integration.get(integration_id) or Series(buckets=self.total.buckets, width=self.total.width)


def throughput(*, window: str, now: datetime, integrations: Sequence[int] | None = None) -> Throughput:
    """What was accepted and delivered in one of `WINDOWS`; of these integrations, or of all."""
    length, width = WINDOWS[window]
    buckets = range(slot_of(now - length) // width + 1, slot_of(now) // width + 1)
    since = start_of(buckets.start * width)
    total = Series(buckets=buckets, width=width)
    each: dict[int, Series] = {}
    for count in counts(since=since, now=now, width=width, integrations=integrations):
        total.add(count)
        each.setdefault(count.integration_id, Series(buckets=buckets, width=width)).add(count)
    retrying = _retrying()
    wanted = retrying.keys() if integrations is None else retrying.keys() & set(integrations)
    for integration_id in wanted:
        each.setdefault(integration_id, Series(buckets=buckets, width=width)).retrying = retrying[integration_id]
        total.retrying += retrying[integration_id]
    if retrying.total() >= RETRYING_LIMIT:
        for series in (total, *each.values()):
            series.retrying = max(series.retrying, series.accepted - series.succeeded - series.failed)
    return Throughput(total, each)


def _retrying() -> Counter[int]:
    """How many deliveries of each integration are being retried, of the newest `RETRYING_LIMIT` of all."""
    rows = in_failing_index(Delivery.objects.filter(status=Delivery.Status.RETRYING)).order_by("-id")
    return Counter(rows.values_list("integration_id", flat=True)[:RETRYING_LIMIT])


def capped_count(queryset: QuerySet[Any], limit: int = COUNT_LIMIT) -> int:
    """Row count, capped at `limit` + 1."""
    return queryset.order_by().values("pk")[: limit + 1].count()


def in_failing_index(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """The same rows of status failed or retrying, found by the partial index `delivery_failing`.

    SQLite uses a partial index only if its condition is in the query verbatim; with the values as
    parameters it would walk through every delivery.
    """
    condition = RawSQL("deliveries_delivery.status IN ('retrying', 'failed')", [], output_field=BooleanField())
    return rows.filter(condition)


def shown_count(number: int, limit: int = COUNT_LIMIT) -> str:
    return f"{grouped(limit)}+" if number > limit else grouped(number)


def integration_rows(store_ids: Sequence[uuid.UUID] | None) -> list[Integration]:
    """Integrations with their health and in-flight count; unhealthy ones first."""
    in_flight = (
        Delivery.objects.filter(integration=OuterRef("pk"), status=Delivery.Status.SENDING)
        .order_by()
        .values("integration")
        .annotate(number=CountRows("pk"))
        .values("number")
    )
    rows = Integration.objects.alive().select_related("store", "health", "objectives")
    if store_ids is not None:
        rows = rows.filter(store_id__in=store_ids)
    is_quiet = Q(health__isnull=True) | Q(health__breaker="closed", health__first_failure_at=None)
    rows = rows.annotate(in_flight=Coalesce(Subquery(in_flight), 0), is_well=Q(is_enabled=True) & is_quiet)
    latest_failure = F("health__last_failure_at").desc(nulls_last=True)
    return list(rows.order_by("is_well", latest_failure, "name")[:INTEGRATION_ROWS])  # type: ignore[misc]  # annotated


#: Failing deliveries of a group, counted up to the limit through the index on (failure_group, id).
_FAILING_IN_GROUP = """
SELECT g.id, (SELECT COUNT(*) FROM (SELECT 1 FROM deliveries_delivery d
              WHERE d.failure_group_id = g.id AND d.status IN ('failed', 'retrying') LIMIT %s) AS capped)
FROM deliveries_failuregroup g WHERE g.id IN ({marks})
"""


def open_groups(store_ids: Sequence[uuid.UUID] | None, now: datetime, limit: int = GROUP_ROWS) -> list[FailureGroup]:
    """The open cases that changed last and are not snoozed, each with `failing`: how many deliveries need attention."""
    groups = FailureGroup.objects.cases().awake(now).select_related("integration", "store", "assignee")
    if store_ids is not None:
        groups = groups.filter(store_id__in=store_ids)
    return with_failing(list(groups.order_by("-last_at")[:limit]))


def with_failing(groups: list[FailureGroup]) -> list[FailureGroup]:
    """The same groups, each with `failing` set; one query for all of them."""
    if groups:
        marks = ", ".join(["%s"] * len(groups))
        with connection.cursor() as cursor:
            values = [COUNT_LIMIT + 1, *(group.pk for group in groups)]
            cursor.execute(_FAILING_IN_GROUP.format(marks=marks), values)
            numbers = dict(cursor.fetchall())
        for group in groups:
            group.failing = numbers.get(group.pk, 0)  # type: ignore[attr-defined]
            group.failing_text = shown_count(group.failing)  # type: ignore[attr-defined]
    return groups
