"""Pushes that are written together: each is stored whole or not at all, whatever the others run into."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from deliveries.models import Delivery, Engine, Event, IdempotencyKey, Record, Reservation
from deliveries.storage import Backend, backend
from deliveries.storage.rows.pushes import PlanIsStale, RecordsExist, WaitingPush
from integrations.foundation.identifiers import uuid7
from subscriptions.models import Subscription
from tests.deliveries.storage.pushes import a_push
from tests.deliveries.storage.queued import NOW
from tests.factories import DeliveryFactory, RecordFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def storage() -> Backend:
    return backend()


@pytest.fixture
def subscription() -> Subscription:
    made: Subscription = SubscriptionFactory()
    return made


def stored() -> set[uuid.UUID]:
    """The events there are, each with its delivery."""
    events = set(Event.objects.values_list("id", flat=True))
    assert events == set(Delivery.objects.values_list("event_id", flat=True))
    return events


def ids(*pushes: WaitingPush) -> set[uuid.UUID]:
    return {event.id for push in pushes for event in push.rows.events}


def test_pushes_of_several_stores_are_stored_together(storage, subscription):
    other = SubscriptionFactory()
    pushes = [a_push(subscription, "1", key="k"), a_push(other), a_push(subscription, "2"), a_push(other, "1", key="k")]
    assert storage.write_pushes(pushes, notifies=True) == [None] * 4
    assert stored() == ids(*pushes)
    assert {event.store_id for event in Event.objects.all()} == {subscription.store_id, other.store_id}
    records = Record.objects.values_list("store_id", "type", "external_id", "version")
    mine, theirs = subscription.store_id, other.store_id
    assert set(records) == {(mine, "order", "1", 1), (mine, "order", "2", 1), (theirs, "order", "1", 1)}
    answers = {(key.store_id, key.key): key.response for key in IdempotencyKey.objects.all()}
    assert answers == {(mine, "k"): {"n": "1"}, (theirs, "k"): {"n": "1"}}


def test_what_is_stored_is_what_was_given(storage, subscription):
    push = a_push(subscription, "O'1")
    storage.write_pushes([push])
    event, delivery, record = Event.objects.get(), Delivery.objects.get(), Record.objects.get()
    assert (event.topic, event.intent, event.object_type, event.object_id) == ("order.created", None, "order", "O'1")
    assert (event.data, event.origin, event.created_at, event.hops) == ({"n": "é"}, "push", NOW, 0)
    assert (event.cascade_left, event.is_stopped) == (None, False)
    assert (delivery.status, delivery.trigger, delivery.due_at, delivery.lease) == ("pending", "scheduled", NOW, None)
    assert (delivery.attempt_count, delivery.first_sent_at, delivery.created_at) == (0, None, NOW)
    assert (record.data, record.updated_at) == ({"n": "é"}, NOW)


def test_a_delivery_is_born_claimed_with_the_lease_that_it_brings(storage, subscription):
    lease = uuid7()
    storage.write_pushes([a_push(subscription, lease=lease), a_push(subscription)])
    born, waiting = Delivery.objects.get(lease=lease), Delivery.objects.get(lease=None)
    assert (born.status, born.attempt_count, born.first_sent_at) == ("sending", 1, NOW)
    assert born.due_at == NOW + timedelta(seconds=60)
    assert (waiting.status, waiting.attempt_count, waiting.first_sent_at) == ("pending", 0, None)


def of_an_older_configuration(subscription):
    push = a_push(subscription)
    push.rows.config_version -= 1
    return push


def of_a_record_that_came_to_be(subscription):
    RecordFactory(store_id=subscription.store_id, type="order", external_id="x", data={"a": 1}, version=3)
    return a_push(subscription, "x")


def of_a_record_that_changed(subscription):
    RecordFactory(store_id=subscription.store_id, type="order", external_id="x", data={}, version=3)
    return a_push(subscription, "x", read_version=2)


def of_a_key_that_was_used(subscription):
    IdempotencyKey.objects.create(
        store_id=subscription.store_id, key="k", body_hash="other", response={}, created_at=NOW
    )
    return a_push(subscription, "x", key="k")


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        (of_an_older_configuration, PlanIsStale),
        (of_a_record_that_came_to_be, RecordsExist),
        (of_a_record_that_changed, PlanIsStale),
        (of_a_key_that_was_used, PlanIsStale),
    ],
)
def test_one_whose_premise_does_not_hold_stores_nothing_and_holds_up_nobody(storage, subscription, spoiled, why):
    bad = spoiled(subscription)
    records = Record.objects.count()
    good = [a_push(subscription, "1", key="a"), a_push(subscription, "2"), a_push(SubscriptionFactory())]
    first, verdict, *others = storage.write_pushes([good[0], bad, *good[1:]])
    assert [first, *others] == [None] * 3
    assert type(verdict) is why
    assert stored() == ids(*good)
    assert Record.objects.count() == records + 2


def test_a_wrong_guess_gives_what_there_is(storage, subscription):
    verdict, other = storage.write_pushes([of_a_record_that_came_to_be(subscription), a_push(subscription, "new")])
    assert verdict.known == {("order", "x"): (3, {"a": 1})}
    assert other is None


def test_a_record_is_written_over_the_version_that_was_read(storage, subscription):
    RecordFactory(store_id=subscription.store_id, type="order", external_id="x", data={}, version=3)
    assert storage.write_pushes([a_push(subscription, "x", read_version=3), a_push(subscription, "y")]) == [None, None]
    assert dict(Record.objects.values_list("external_id", "version")) == {"x": 4, "y": 1}


def test_pushes_share_a_key_if_they_are_of_one_record_or_one_idempotency_key(subscription):
    assert set(a_push(subscription, "1", key="k").keys()) == {
        (subscription.store_id, "order", "1"),
        (subscription.store_id, "k"),
    }
    assert not set(a_push(SubscriptionFactory(), "1").keys()) & set(a_push(subscription, "1").keys())
    assert not set(a_push(subscription).keys())


def test_what_is_reserved_counts_as_in_flight_and_what_was_born_claimed_only_once(storage, subscription):
    integration = subscription.integration
    engine = Engine.objects.create(host="h", slot=0, token=uuid.uuid4(), pid=1, started_at=NOW, beat_at=NOW)
    storage.write_pushes([a_push(subscription, lease=uuid7()) for _ in range(3)])
    DeliveryFactory(
        subscription=subscription,
        status="sending",
        lease=uuid7(),
        due_at=NOW + timedelta(seconds=60),
        attempt_count=1,
        first_sent_at=NOW,
        created_at=NOW - timedelta(seconds=1),
    )
    (queue,) = storage.queued_integrations(NOW)
    assert (queue.in_flight, queue.born_in_flight, queue.reserved, queue.taken) == (4, 3, 0, 4)
    mine = Reservation.objects.create(
        engine=engine, integration_id=integration.id, room=10, until=NOW + timedelta(seconds=1)
    )
    (queue,) = storage.queued_integrations(NOW)
    assert (queue.reserved, queue.taken) == (10, 11)
    assert replace(queue, reserved=2).taken == 4, "more are under way than are reserved any more"
    Reservation.objects.filter(id=mine.id).update(until=NOW)
    (queue,) = storage.queued_integrations(NOW)
    assert queue.reserved == 0
