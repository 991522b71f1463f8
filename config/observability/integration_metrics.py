"""Metrics by integration and by store. Their number is bounded: beyond `METRICS_MAX_INTEGRATIONS`, all are `other`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from deliveries.models import AttemptStats
from deliveries.models.stats import NOTHING_SENT
from deliveries.stats.attempts import AttemptTotal, attempts_ever
from deliveries.stats.durations import BINS, bin_until
from deliveries.stats.pushes import NOBODY, flush, pushes_ever
from deliveries.stats.queries import engine_health
from deliveries.stats.waiting import Waiting, waiting
from integrations.models import Integration, Store

#: Upper bounds of the buckets, in seconds: fewer than we count, because each is a series of each integration.
BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400)
OTHER: Final = "other"

Kind = AttemptStats.Kind
_Labels = tuple[str, str]
_OTHERS: Final[_Labels] = (OTHER, OTHER)
_OF_INTEGRATION: Final = ["store", "integration"]


class IntegrationCounters(Collector):
    """They never fall while an integration exists: what is counted is moved, added up, and kept."""

    def collect(self) -> Iterator[Metric]:
        with suppress(DatabaseError):
            flush()  # this process's own; the others' come within seconds
        labels, totals = _labels(), attempts_ever()
        yield _attempts(labels, totals)
        yield _durations(
            "push_to_delivered_seconds",
            "From push to delivery, of deliveries that arrived.",
            labels,
            [one for one in totals if one.kind == Kind.DELIVERED],
        )
        yield _durations(
            "receiver_seconds",
            "How long receivers took, of all attempts that sent something.",
            labels,
            [one for one in totals if one.kind != Kind.DELIVERED and one.bin != NOTHING_SENT],
        )
        yield from _pushes()


class IntegrationGauges(Collector):
    """What waits, and what fails."""

    def collect(self) -> Iterator[Metric]:
        now, labels = timezone.now(), _labels()
        yield from _waiting(labels, waiting(now), now)
        yield _failing(labels, now)


def _alive() -> Any:
    return Integration.objects.alive().order_by("id")


def _labels() -> dict[int, _Labels]:
    """Store (its id) and slug of each integration that is not deleted. The oldest ones keep theirs."""
    rows = _alive().values_list("id", "store_id", "slug")
    most = settings.METRICS_MAX_INTEGRATIONS
    return {key: (str(store_id), slug) if index < most else _OTHERS for index, (key, store_id, slug) in enumerate(rows)}


def _attempts(labels: dict[int, _Labels], totals: Sequence[AttemptTotal]) -> Metric:
    outcomes = {Kind.SUCCEEDED: "succeeded", Kind.RETRYING: "retrying", Kind.FAILED: "failed"}
    family = CounterMetricFamily(
        "hookdesk_attempts", "Attempts that ended, without tests.", labels=[*_OF_INTEGRATION, "outcome"]
    )
    # Each begins at 0, or the first failure of an integration would be no increase.
    sums = {(*pair, outcome): 0 for pair in labels.values() for outcome in outcomes.values()}
    for one in totals:
        if one.integration_id in labels and one.kind in outcomes:
            sums[(*labels[one.integration_id], outcomes[Kind(one.kind)])] += one.number
    for values, number in sums.items():
        family.add_metric(values, number)
    return family


def _durations(name: str, text: str, labels: dict[int, _Labels], totals: Sequence[AttemptTotal]) -> Metric:
    family = HistogramMetricFamily(f"hookdesk_{name}", text, labels=_OF_INTEGRATION)
    bins: dict[_Labels, dict[int, int]] = {pair: defaultdict(int) for pair in labels.values()}
    sums: dict[_Labels, int] = defaultdict(int)
    for one in totals:
        if one.integration_id in labels:
            pair = labels[one.integration_id]
            bins[pair][one.bin] += one.number
            sums[pair] += one.milliseconds
    for pair, found in bins.items():
        family.add_metric(pair, _cumulative(found), sums[pair] / 1000)
    return family


def _cumulative(bins: dict[int, int]) -> list[tuple[str, float]]:
    found = [
        (str(float(bound)), float(sum(number for place, number in bins.items() if place < limit)))
        for bound, limit in _LIMITS
    ]
    return [*found, ("+Inf", float(sum(bins.values())))]


_LIMITS: Final = [(bound, bin_until(bound * 1000)) for bound in BUCKETS]
assert all(round(bound * 1000) in BINS for bound in BUCKETS)


def _waiting(labels: dict[int, _Labels], found: dict[int, Waiting], now: datetime) -> Iterator[Metric]:
    backlog = GaugeMetricFamily(
        "hookdesk_backlog", "Deliveries that are not finished, counted up to a limit.", labels=_OF_INTEGRATION
    )
    oldest = GaugeMetricFamily(
        "hookdesk_oldest_due_seconds",
        "Age of the oldest delivery that is due; without labels: of all enabled integrations.",
    )
    oldest.add_sample(oldest.name, {}, engine_health(now).oldest_due or 0)
    disabled = set(_alive().filter(is_enabled=False).values_list("id", flat=True))
    numbers: dict[_Labels, int] = defaultdict(int)
    ages: dict[_Labels, float] = defaultdict(float)
    for key, pair in labels.items():
        one = found.get(key, Waiting())
        numbers[pair] += one.number
        ages[pair] = max(ages[pair], 0.0 if key in disabled else one.overdue(now))
    for pair in numbers:
        backlog.add_metric(pair, numbers[pair])
        oldest.add_sample(oldest.name, dict(zip(_OF_INTEGRATION, pair, strict=True)), ages[pair])
    yield backlog
    yield oldest


def _failing(labels: dict[int, _Labels], now: datetime) -> Metric:
    family = GaugeMetricFamily(
        "hookdesk_failing_since_seconds",
        "How long no attempt has succeeded since the first that failed; 0 if the last one succeeded.",
        labels=_OF_INTEGRATION,
    )
    since = dict(_alive().exclude(health__first_failure_at=None).values_list("id", "health__first_failure_at"))
    ages: dict[_Labels, float] = defaultdict(float)
    for key, pair in labels.items():
        age = (now - since[key]).total_seconds() if key in since else 0.0
        ages[pair] = max(ages[pair], age)
    for pair, age in ages.items():
        family.add_metric(pair, age)
    return family


def _pushes() -> Iterator[Metric]:
    """Stores are as few as integrations; those beyond the limit are `other` too."""
    named = dict(
        Store.objects.order_by("created_at", "id").values_list("id", "name")[: settings.METRICS_MAX_INTEGRATIONS]
    )
    family = CounterMetricFamily(
        "hookdesk_pushes",
        "Requests to push objects or events, by the status of their answer; without a store: refused as nobody's.",
        labels=["store", "status"],
    )
    sums: dict[tuple[str, str], int] = {(str(key), "202"): 0 for key in named}
    for (store_id, status), number in pushes_ever().items():
        store = "" if store_id == NOBODY else str(store_id) if store_id in named else OTHER
        sums[store, str(status)] = sums.get((store, str(status)), 0) + number
    for pair, number in sums.items():
        family.add_metric(pair, number)
    yield family
    names = GaugeMetricFamily("hookdesk_store_info", "1 for each store, with its name.", labels=["store", "name"])
    for key, name in named.items():
        names.add_metric((str(key), name), 1)
    yield names
