"""Counting once what finished: the sums are those of the deliveries, however often and by whom they are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deliveries.models import Delivery, StatsBucket
from deliveries.stats import queries, rollups
from deliveries.stats.durations import bin_of
from integrations.foundation.identifiers import uuid7
from tests.factories import DeliveryFactory, SubscriptionFactory

NOW = datetime(2026, 3, 4, 12, 2, tzinfo=UTC)


def finished(ago: timedelta, status: str = "succeeded", took: float = 0.04, **values: object) -> Delivery:
    at = NOW - ago
    delivery: Delivery = DeliveryFactory(
        id=uuid7(int(at.timestamp() * 1000)),
        status=status,
        created_at=at,
        finished_at=at + timedelta(seconds=took),
        **values,
    )
    return delivery


def totals(window: str = "24h", integrations: list[int] | None = None) -> tuple[int, int, int]:
    series = queries.throughput(window=window, now=NOW, integrations=integrations).total
    return series.accepted, series.succeeded, series.failed


def test_open_and_closed_slots_add_up(db: None) -> None:
    for minutes in (0, 1, 7, 40, 300, 1300):
        finished(timedelta(minutes=minutes, seconds=30))
    finished(timedelta(minutes=20), status="failed")
    assert totals() == (7, 6, 1)


def test_counting_again_counts_nothing_twice(db: None) -> None:
    finished(timedelta(minutes=20))
    first = rollups.slot_of((NOW - rollups.KEPT).replace(hour=0, minute=0))
    assert rollups.fill(NOW) == rollups.slot_of(NOW - rollups.SETTLING) - first
    assert rollups.fill(NOW) == 0
    StatsBucket.objects.filter(integration_id=0).delete()  # as if two had begun at once
    rollups.fill(NOW)
    assert totals() == (1, 1, 0)


def test_later_slots_join_the_earlier_ones(db: None) -> None:
    finished(timedelta(minutes=20))
    rollups.fill(NOW - timedelta(minutes=10))
    finished(timedelta(minutes=9))
    assert totals() == (2, 2, 0)


def test_looking_further_back_counts_what_lies_there(db: None) -> None:
    finished(timedelta(minutes=20))
    finished(timedelta(days=3))
    assert totals("1h") == (1, 1, 0)
    assert totals("7d") == (2, 2, 0)
    assert totals("24h") == (1, 1, 0)


def test_old_days_are_counted_by_the_hour(db: None) -> None:
    subscription = SubscriptionFactory()
    for minutes in (10, 50):
        finished(timedelta(days=5, minutes=minutes), subscription=subscription)
    rollups.fill(NOW)
    stored = StatsBucket.objects.filter(succeeded__gt=0)
    assert list(stored.values_list("slot", "succeeded")) == [
        (rollups.slot_of(NOW.replace(day=27, month=2, hour=11, minute=0)), 2)
    ]


def test_who_looks_at_figures_lets_no_more_than_some_days_be_counted(db: None) -> None:
    finished(timedelta(days=20))
    assert totals("30d") == (0, 0, 0)
    rollups.fill(NOW)
    assert totals("30d") == (1, 1, 0)


def test_tests_are_not_counted(db: None) -> None:
    finished(timedelta(minutes=20), trigger="test")
    assert totals() == (0, 0, 0)


def test_one_integration_is_told_from_another(db: None) -> None:
    mine = finished(timedelta(minutes=20))
    finished(timedelta(minutes=20))
    assert totals(integrations=[mine.integration_id]) == (1, 1, 0)
    assert totals(integrations=[]) == (0, 0, 0)


def test_percentiles_lie_in_their_bins(db: None) -> None:
    subscription = SubscriptionFactory()
    for _ in range(19):
        finished(timedelta(minutes=30), took=0.040, subscription=subscription)
    finished(timedelta(minutes=30), took=8, subscription=subscription)
    series = queries.throughput(window="1h", now=NOW).total
    assert dict(series.bins) == {bin_of(40): 19, bin_of(8_000): 1}
    # Of 20, half are 10 of the 19 from 40 to 50 ms, 95 % are all of those, and 99 % are 0.8 of the last one's bin.
    assert series.p50 == pytest.approx(40 * (50 / 40) ** (10 / 19))
    assert series.p95 == pytest.approx(50)
    assert series.p99 == pytest.approx(8_000 * (10 / 8) ** 0.8)
    assert series.rate == 1


def test_the_bars_cover_the_window(db: None) -> None:
    finished(timedelta(minutes=3))
    for window, (length, width) in queries.WINDOWS.items():
        bars = queries.throughput(window=window, now=NOW).total.bars
        assert len(bars) == length.total_seconds() / (width * rollups.SLOT_SECONDS)
        assert sum(bar.succeeded for bar in bars) == 1


def test_counts_end_at_their_limit(db: None) -> None:
    for _ in range(4):
        finished(timedelta(minutes=1))
    assert queries.capped_count(Delivery.objects.all(), 2) == 3
    assert queries.shown_count(3, 2) == "2+"
    assert queries.shown_count(2, 2) == "2"


def test_the_heart_says_how_long_the_oldest_waits(db: None) -> None:
    assert queries.engine_health(NOW).oldest_due is None
    delivery = DeliveryFactory(status="pending", due_at=NOW - timedelta(seconds=90))
    assert queries.engine_health(NOW).oldest_due == 90
    assert queries.engine_health(NOW).is_late
    # What waits for an integration that is switched off is not late.
    delivery.integration.is_enabled = False
    delivery.integration.save()
    assert queries.engine_health(NOW).oldest_due is None
