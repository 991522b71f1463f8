"""Attempts are counted by the statement that records them, each once, whichever process recorded it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deliveries.models import AttemptCount, AttemptStats, Delivery, StatsBucket
from deliveries.models.stats import SLOT_SECONDS
from deliveries.stats import compaction
from deliveries.stats.compaction import EVER, compact, drop_marks
from deliveries.stats.rollups import DAY_SLOTS, HOUR_SLOTS, slot_of
from deliveries.storage import backend
from deliveries.storage.rows.figures import AttemptFigure
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery
from integrations.foundation.identifiers import uuid7
from tests.factories import DeliveryFactory

NOW = datetime(2026, 3, 4, 12, 2, tzinfo=UTC)
SUCCEEDED, DELIVERED = AttemptCount.Kind.SUCCEEDED, AttemptCount.Kind.DELIVERED

pytestmark = pytest.mark.django_db


def sending() -> Delivery:
    delivery: Delivery = DeliveryFactory(status="sending", lease=uuid7(), due_at=NOW, attempt_count=1)
    return delivery


def record(*deliveries: Delivery, is_alone: bool = False, lost: tuple[Delivery, ...] = ()) -> None:
    states = [
        RecordedDelivery("succeeded", None, 0, 200, "", None, NOW, one.id, uuid7() if one in lost else one.lease)
        for one in deliveries
        if one.lease is not None
    ]
    attempts = [EndedAttempt(uuid7(), one.id, 1, "scheduled", 0, NOW, "succeeded") for one in deliveries]
    counted = [AttemptFigure(one.id, slot_of(NOW), 7, SUCCEEDED, 20, 100) for one in deliveries]
    storage = backend()
    (storage.record_alone if is_alone else storage.record_results)(states, attempts, counted)


def counts() -> list[tuple[int, int, int, int, int]]:
    return list(AttemptCount.objects.values_list("slot", "integration_id", "kind", "number", "milliseconds"))


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_batch_is_counted_by_the_statement_that_records_it(is_alone: bool) -> None:
    record(sending(), sending(), is_alone=is_alone)
    record(sending(), is_alone=is_alone)
    assert counts() == [(slot_of(NOW), 7, SUCCEEDED, 3, 300)]


@pytest.mark.parametrize("is_alone", [False, True])
def test_late_results_are_not_counted(is_alone: bool) -> None:
    held, lost = sending(), sending()
    record(held, lost, lost=(lost,), is_alone=is_alone)
    assert counts() == [(slot_of(NOW), 7, SUCCEEDED, 1, 100)]
    record(lost, lost=(lost,), is_alone=is_alone)
    assert counts() == [(slot_of(NOW), 7, SUCCEEDED, 1, 100)]


def count(ago: timedelta, number: int = 1, writer: int = 1) -> None:
    AttemptCount.objects.create(
        slot=slot_of(NOW - ago), writer=writer, integration_id=7, kind=DELIVERED, bin=3, number=number, milliseconds=5
    )


def stats() -> dict[int, int]:
    return dict(AttemptStats.objects.values_list("slot", "number"))


def test_counts_of_all_processes_are_added_up_some_minutes_after_their_slot() -> None:
    for writer in (1, 2, 3):
        count(timedelta(minutes=20), 2, writer)
    count(timedelta(minutes=1))
    assert compact(NOW) == 3
    assert stats() == {slot_of(NOW - timedelta(minutes=20)): 6, EVER: 6}
    assert AttemptCount.objects.count() == 1


def test_what_comes_after_its_slot_was_moved_is_added_to_it() -> None:
    count(timedelta(minutes=20))
    compact(NOW)
    count(timedelta(minutes=20), 4)
    compact(NOW)
    compact(NOW)
    assert stats() == {slot_of(NOW - timedelta(minutes=20)): 5, EVER: 5}


def test_slots_become_hours_and_hours_days_and_nothing_is_lost() -> None:
    for ago in (timedelta(days=3), timedelta(days=3, minutes=20), timedelta(days=40), timedelta(days=40, hours=5)):
        count(ago)
    compact(NOW)
    hour = slot_of(NOW - timedelta(days=3))
    day = slot_of(NOW - timedelta(days=40)) // DAY_SLOTS * DAY_SLOTS
    assert stats() == {hour - hour % HOUR_SLOTS: 1, hour - hour % HOUR_SLOTS - HOUR_SLOTS: 1, day: 2, EVER: 4}


def test_after_more_than_a_year_only_the_sum_is_left() -> None:
    count(timedelta(days=401), 9)
    compact(NOW)
    compact(NOW)
    assert stats() == {EVER: 9}


def test_many_rows_are_moved_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "BATCH", 2)
    for writer in range(5):
        count(timedelta(minutes=20), 1, writer)
    compact(NOW)
    assert stats() == {slot_of(NOW - timedelta(minutes=20)): 5, EVER: 5}


def test_counts_of_deliveries_age_alike_and_of_the_marks_the_ends_stay() -> None:
    for minutes in (0, 5, 10):
        moment = NOW - timedelta(days=3, minutes=minutes)
        StatsBucket.objects.create(slot=slot_of(moment), integration_id=7, bin=4, succeeded=1)
        StatsBucket.objects.create(slot=slot_of(moment), integration_id=0, bin=-1)
    compact(NOW)
    assert sum(StatsBucket.objects.filter(integration_id=7).values_list("succeeded", flat=True)) == 3
    assert all(
        slot % HOUR_SLOTS == 0 for slot in StatsBucket.objects.filter(integration_id=7).values_list("slot", flat=True)
    )
    assert drop_marks() == 1
    assert StatsBucket.objects.filter(integration_id=0).count() == 2
    assert SLOT_SECONDS * HOUR_SLOTS == 3_600
