"""Pushes, in both halves of the storage alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import transaction
from django.utils import timezone

from deliveries.models import Delivery, Event, IdempotencyKey, PushWindow, Record
from deliveries.storage.rows.pushes import (
    DeliveryRow,
    EventRow,
    IdempotencyRecord,
    PlanIsStale,
    PushRows,
    RecordRow,
    RecordsExist,
)
from integrations.foundation.identifiers import uuid7
from integrations.models import Store
from tests.deliveries.storage.queued import NOW
from tests.factories import RecordFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscription():
    return SubscriptionFactory()


def rows_for(subscription, *, read_version: int = 0, hops: int = 0) -> PushRows:
    store = Store.objects.get(id=subscription.integration.store_id)
    event = EventRow(uuid7(), "order.created", None, "order", "O'1", '{"id":"O\'1","n":"é"}', NOW, hops)
    if hops:
        event.cascade_left, event.is_stopped = 7, True
    held = DeliveryRow(uuid7(), event.id, subscription.integration_id, subscription.id, "order.created", "order/O'1")
    sent = replace(held, id=uuid7(), order_key=None, due_at=NOW)
    record = RecordRow("order", "O'1", event.data_json, read_version + 1, read_version)
    return PushRows(store.id, store.config_version, "push", NOW, False, [record], [event], [held, sent])


@pytest.mark.parametrize("hops", [0, 2])
def test_a_push_is_stored_as_it_was_given(storage, subscription, hops):
    rows = rows_for(subscription, hops=hops)
    storage.write_push(rows, IdempotencyRecord("k", "hash", {"order": 1}))
    (event,), (record,), (key,) = Event.objects.all(), Record.objects.all(), IdempotencyKey.objects.all()
    (given,) = rows.events
    assert (event.id, event.store_id, event.topic, event.intent) == (given.id, rows.store_id, given.topic, None)
    assert (event.object_type, event.object_id, event.data) == ("order", "O'1", {"id": "O'1", "n": "é"})
    assert (event.origin, event.occurred_at, event.created_at) == ("push", NOW, NOW)
    assert (event.hops, event.cascade_left, event.is_stopped) == (hops, 7 if hops else None, bool(hops))
    assert (record.type, record.external_id, record.version, record.data) == ("order", "O'1", 1, event.data)
    assert (key.key, key.body_hash, key.response, key.store_id) == ("k", "hash", {"order": 1}, rows.store_id)
    held, sent = (Delivery.objects.get(id=row.id) for row in rows.deliveries)
    assert (held.due_at, held.order_key, held.status, held.trigger) == (None, "order/O'1", "pending", "scheduled")
    assert (sent.due_at, sent.order_key, sent.created_at) == (NOW, None, NOW)
    assert (sent.event_id, sent.integration_id, sent.subscription_id) == (
        event.id, subscription.integration_id, subscription.id,
    )  # fmt: skip
    assert (sent.attempt_count, sent.retry_count, sent.crash_count, sent.revision) == (0, 0, 0, 0)
    assert (sent.is_awaiting_source, sent.last_error, sent.lease) == (False, "", None)


def changed_configuration(storage, rows: PushRows) -> None:
    rows.config_version += 1


def record_that_came_to_be(storage, rows: PushRows) -> None:
    RecordFactory(store_id=rows.store_id, type="order", external_id="O'1", data={}, version=1)


def record_that_changed(storage, rows: PushRows) -> None:
    record_that_came_to_be(storage, rows)
    rows.records[0].read_version = 2


def key_that_was_used(storage, rows: PushRows) -> None:
    IdempotencyKey.objects.create(
        store_id=rows.store_id, key="k", body_hash="other", response={}, created_at=timezone.now()
    )


@pytest.mark.parametrize(
    "spoil", [changed_configuration, record_that_came_to_be, record_that_changed, key_that_was_used]
)
@pytest.mark.parametrize("is_inside", [False, True])
def test_a_premise_that_does_not_hold_stores_nothing(storage, subscription, spoil, is_inside):
    rows = rows_for(subscription)
    spoil(storage, rows)
    if is_inside:
        with transaction.atomic():
            with pytest.raises(PlanIsStale):
                storage.write_push(rows, IdempotencyRecord("k", "hash", {}))
            assert Store.objects.filter(id=rows.store_id).exists()  # the transaction around it goes on
    else:
        with pytest.raises(PlanIsStale):
            storage.write_push(rows, IdempotencyRecord("k", "hash", {}))
    assert not Event.objects.exists()
    assert not Delivery.objects.exists()


def test_a_record_is_written_over_the_version_that_was_read(storage, subscription):
    storage.write_push(rows_for(subscription))
    storage.write_push(rows_for(subscription, read_version=1))
    assert Record.objects.get().version == 2
    with pytest.raises(PlanIsStale):
        storage.write_push(rows_for(subscription, read_version=1))


def test_a_wrong_guess_stores_nothing_and_gives_what_there_is(storage, subscription):
    rows = rows_for(subscription)
    rows.assumes_new = True
    storage.write_push(rows)
    again = rows_for(subscription)
    again.assumes_new = True
    with pytest.raises(RecordsExist) as raised:
        storage.write_push(again)
    assert raised.value.known == {("order", "O'1"): (1, {"id": "O'1", "n": "é"})}
    assert Event.objects.count() == 1


def test_a_push_of_nothing_but_a_key_and_one_that_notifies(storage, subscription):
    rows = rows_for(subscription)
    empty = PushRows(rows.store_id, rows.config_version, "push", NOW)
    storage.write_push(empty, IdempotencyRecord("k", "hash", []), notifies=True)
    assert IdempotencyKey.objects.get().response == []


@pytest.mark.parametrize("method", ["existing_records", "locked_records"])
def test_records_that_exist_are_found_by_type_and_id(storage, subscription, method):
    store = subscription.integration.store
    for kind, external_id in [("order", "1"), ("order", "ü"), ("item", "1"), ("order", "3")]:
        RecordFactory(store=store, type=kind, external_id=external_id, data={"a": [kind]}, version=4)
    wanted = {("order", "1"), ("order", "ü"), ("item", "1"), ("item", "2")}
    with transaction.atomic():
        found = getattr(storage, method)(store.id, wanted)
    assert found == {key: (4, {"a": [key[0]]}) for key in wanted - {("item", "2")}}


def test_more_records_than_one_statement_takes_are_found(storage, subscription):
    store = subscription.integration.store
    Record.objects.bulk_create(
        RecordFactory.build(store=store, type="order", external_id=str(number), version=1) for number in range(1_201)
    )
    assert len(storage.existing_records(store.id, {("order", str(number)) for number in range(1_300)})) == 1_201


def test_configuration_can_be_held_by_a_push_that_then_writes(storage, subscription):
    rows = rows_for(subscription)
    with transaction.atomic():
        storage.hold_configuration(rows.store_id)
        storage.write_push(rows)
    assert Event.objects.count() == 1


def test_pushes_are_counted_within_a_second_and_never_back(storage, subscription):
    store = subscription.integration.store
    before = storage.count_pushes(store.id, 2)
    assert before.used == 2
    assert before.second <= before.now
    # A clock that is ahead has been here: what is counted now counts into its second.
    PushWindow.objects.filter(store_id=store.id).update(second=before.second + 1_000, used=5)
    assert storage.count_pushes(store.id, 3)[:2] == (8, before.second + 1_000)
    PushWindow.objects.filter(store_id=store.id).update(second=before.second - 1_000, used=5)
    assert storage.count_pushes(store.id, 3).used == 3
