"""What is pruned, and what stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries.maintenance.retention import count_prunable, prune, prune_finished
from deliveries.models import Attempt, Delivery, Event, FailureGroup, IdempotencyKey, Record, Revision
from integrations.foundation.identifiers import uuid7
from notifications.models import Notification
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    NotificationFactory,
    RecordFactory,
    StoreFactory,
)

pytestmark = pytest.mark.django_db
NOW = timezone.now()
BEFORE = NOW - timedelta(days=90)
OLD = BEFORE - timedelta(days=1)
YOUNG = BEFORE + timedelta(days=1)


def id_at(moment):
    return uuid7(now_ms=int(moment.timestamp() * 1000))


def delivery_of(moment, **values):
    event = EventFactory(id=id_at(moment), occurred_at=moment, **values.pop("event", {}))
    return DeliveryFactory(id=id_at(moment), event=event, store=event.store, created_at=moment, **values)


def test_old_finished_deliveries_go_with_attempts_revisions_and_events():
    old = delivery_of(OLD, status="succeeded", attempt_count=1)
    AttemptFactory(delivery=old, number=1)
    Revision.objects.create(delivery=old, number=1, data={}, patch=[], author_name="kim")
    young = delivery_of(YOUNG, status="succeeded")

    assert count_prunable(before=BEFORE) == 1
    assert prune_finished(before=BEFORE, now=NOW) == 2

    assert list(Delivery.objects.all()) == [young]
    assert list(Event.objects.all()) == [young.event]
    assert not Attempt.objects.exists()
    assert not Revision.objects.exists()


@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_what_is_still_to_be_sent_stays_however_old(status):
    delivery = delivery_of(OLD, status=status)

    assert prune_finished(before=BEFORE, now=NOW) == 0
    assert list(Delivery.objects.all()) == [delivery]
    assert list(Event.objects.all()) == [delivery.event]


@pytest.mark.parametrize("status", ["failed", "discarded", "superseded"])
def test_every_final_status_counts_as_finished(status):
    delivery_of(OLD, status=status)

    assert prune(before=BEFORE, now=NOW).deliveries == 1


def test_an_event_stays_while_one_of_its_deliveries_does():
    old = delivery_of(OLD, status="succeeded")
    DeliveryFactory(event=old.event, store=old.store, status="retrying", created_at=OLD)

    pruned = prune(before=BEFORE, now=NOW)

    assert (pruned.deliveries, pruned.events) == (1, 0)
    assert Event.objects.filter(id=old.event_id).exists()


def test_old_events_that_nobody_wanted_go():
    EventFactory(id=id_at(OLD), occurred_at=OLD)
    young = EventFactory(id=id_at(YOUNG), occurred_at=YOUNG)

    assert prune(before=BEFORE, now=NOW).events == 1
    assert list(Event.objects.all()) == [young]


def test_small_batches_reach_everything():
    for _ in range(7):
        delivery_of(OLD, status="succeeded")
    stays = delivery_of(OLD, status="retrying")
    heard = []

    pruned = prune(before=BEFORE, batch=2, now=NOW, progress=heard.append)

    assert (pruned.deliveries, pruned.events) == (7, 7)
    assert list(Delivery.objects.all()) == [stays]
    assert max(heard) == 2


def test_records_and_notifications_stay():
    old = delivery_of(OLD, status="succeeded")
    RecordFactory(store=old.store, updated_at=OLD, created_at=OLD)
    NotificationFactory(store=old.store, delivery=old)

    prune_finished(before=BEFORE, now=NOW)

    assert Record.objects.count() == 1
    assert Notification.objects.get().delivery is None


def test_a_failure_group_whose_last_delivery_goes_is_resolved():
    group = FailureGroupFactory()
    delivery_of(OLD, status="failed", failure_group=group)

    prune_finished(before=BEFORE, now=NOW)

    group.refresh_from_db()
    assert group.status == FailureGroup.Status.RESOLVED


def test_idempotency_keys_are_kept_for_a_day():
    store = StoreFactory()
    for hours in (23, 25):
        IdempotencyKey.objects.create(
            store=store, key=str(hours), body_hash="x", response={}, created_at=NOW - timedelta(hours=hours)
        )

    assert prune(before=BEFORE, now=NOW).idempotency_keys == 1
    assert IdempotencyKey.objects.get().key == "23"


def test_the_number_of_statements_does_not_grow_with_what_stays():
    counts = []
    for number in (1, 20):
        for _ in range(number):
            delivery_of(OLD, status="retrying")
        with CaptureQueriesContext(connection) as queries:
            prune(before=BEFORE, now=NOW)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 40
