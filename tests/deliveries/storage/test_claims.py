"""Claims, in both halves of the storage alike."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from django.db import transaction

from deliveries.models import Delivery
from deliveries.storage import Backend
from deliveries.storage.locks import lock_order_keys
from deliveries.storage.rows.claims import LEASE_GRACE
from integrations.foundation.identifiers import uuid7
from integrations.models import ConfigVersion, IntegrationHealth
from tests.deliveries.storage.queued import NOW, attempt_of, due, recorded
from tests.factories import IntegrationFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db


def leased(storage: Backend, *deliveries: Delivery, room: int = 10, now: datetime = NOW):
    lease = uuid7()
    with transaction.atomic():
        storage.lock_claims()
        shares = dict.fromkeys([delivery.integration_id for delivery in deliveries], room)
        return lease, storage.lease(shares, lease, now)


def test_a_leased_row_is_what_the_database_holds_after_the_claim(storage):
    delivery = due(attempt_count=2, retry_count=1, crash_count=1, order_key="order/1", revision=3)
    lease, found = leased(storage, delivery)
    (row,) = found.rows
    before, event = delivery, delivery.event
    delivery = Delivery.objects.get(id=delivery.id)
    assert (row.id, row.lease, delivery.lease) == (delivery.id, lease, lease)
    assert (row.store_id, row.integration_id) == (delivery.store_id, delivery.integration_id)
    assert row.subscription_id == delivery.subscription_id
    assert (row.attempt_number, delivery.attempt_count) == (3, 3)
    assert (row.retry_count, row.crash_count, delivery.crash_count) == (1, 1, 1)
    assert (row.revision, row.order_key, row.failure_group_id) == (3, "order/1", None)
    assert row.first_sent_at == delivery.first_sent_at == NOW
    assert (row.event_topic, row.event_intent) == (event.topic, event.intent)
    assert (row.object_type, row.object_id, row.origin) == (event.object_type, event.object_id, event.origin)
    assert abs(row.occurred_at - event.occurred_at) < timedelta(microseconds=2)
    assert (row.hops, row.cascade_left) == (event.hops, event.cascade_left)
    assert (row.trigger, row.was_sending, row.is_test) == (before.trigger, False, False)
    assert row.timeout == delivery.integration.timeout
    assert delivery.status == Delivery.Status.SENDING
    assert delivery.due_at == NOW + timedelta(seconds=delivery.integration.timeout + LEASE_GRACE)
    assert found.config_version == ConfigVersion.objects.get(id=1).version
    assert found.unreadable == []


def test_types_of_a_leased_row_are_exact(storage):
    (row,) = leased(storage, due(order_key=None))[1].rows
    assert [type(value) for value in (row.id, row.store_id, row.subscription_id)] == [uuid.UUID] * 3
    assert row.lease_ended_at is None
    assert row.first_sent_at.tzinfo is not None
    assert row.occurred_at.tzinfo is not None
    assert type(row.data_json) is str


def test_a_lease_that_ran_out_counts_as_a_crash_and_keeps_when_it_was_first_sent(storage):
    first = NOW - timedelta(minutes=5)
    delivery = due(status="sending", lease=uuid7(), attempt_count=1, crash_count=1, first_sent_at=first)
    _, found = leased(storage, delivery)
    (row,) = found.rows
    assert (row.was_sending, row.crash_count, row.first_sent_at) == (True, 2, first)
    assert row.lease_ended_at == delivery.due_at
    delivery.refresh_from_db()
    assert (delivery.crash_count, delivery.first_sent_at) == (2, first)


@pytest.mark.parametrize(("before", "after"), [("test", "test"), ("manual", "scheduled"), ("scheduled", "scheduled")])
def test_a_trigger_stays_until_its_attempt_has_ended_and_is_used_up_then(storage, before, after):
    delivery = due(trigger=before)
    _, found = leased(storage, delivery)
    delivery.refresh_from_db()
    assert ([row.trigger for row in found.rows], delivery.trigger) == ([before], before)
    storage.record_results([recorded(delivery)], [attempt_of(delivery)])
    delivery.refresh_from_db()
    assert (delivery.status, delivery.trigger) == ("succeeded", after)


@pytest.mark.parametrize(("before", "after"), [("test", "test"), ("manual", "scheduled"), ("scheduled", "scheduled")])
def test_a_trigger_is_used_up_by_an_attempt_that_nobody_lived_to_record(storage, before, after):
    delivery = due(status="sending", lease=uuid7(), attempt_count=1, trigger=before)
    (row,) = leased(storage, delivery)[1].rows
    delivery.refresh_from_db()
    assert (row.interrupted_trigger, row.trigger, delivery.trigger) == (before, after, after)


def test_each_integration_gets_its_share_earliest_first_and_nothing_that_is_not_due(storage):
    first = due(due_at=NOW - timedelta(seconds=9))
    same = {"subscription": first.subscription}
    second, _third = due(due_at=NOW - timedelta(seconds=8), **same), due(due_at=NOW - timedelta(seconds=7), **same)
    due(due_at=NOW + timedelta(seconds=1), **same)
    other, later = due(), due(due_at=NOW + timedelta(microseconds=1))
    _, found = leased(storage, first, other, later, room=2)
    assert {row.id for row in found.rows} == {first.id, second.id, other.id}


def test_nothing_due_is_no_rows_and_no_version(storage):
    assert leased(storage, due(due_at=NOW + timedelta(seconds=1)))[1] == ([], None, [])


def test_queues_are_those_of_enabled_integrations_with_anything_queued(storage):
    delivery = due()
    integration = delivery.integration
    due(subscription=delivery.subscription, due_at=NOW + timedelta(minutes=1))
    due(subscription=delivery.subscription, status="sending", lease=uuid7(), due_at=NOW + timedelta(minutes=1))
    due(subscription=delivery.subscription, status="sending", lease=uuid7(), due_at=NOW - timedelta(minutes=1))
    due(subscription=SubscriptionFactory(integration=IntegrationFactory(is_enabled=False)))
    due(status="succeeded", due_at=None)
    IntegrationHealth.objects.update_or_create(
        integration_id=integration.id,
        defaults={"breaker": "open", "probe_at": NOW, "rate_tokens": 1.5, "rate_refilled_at": NOW,
                  "last_success_at": NOW, "consecutive_failures": 0},
    )  # fmt: skip
    (queue,) = storage.queued_integrations(NOW)
    assert (queue.integration_id, queue.next_due, queue.in_flight) == (integration.id, NOW - timedelta(minutes=1), 1)
    assert (queue.max_in_flight, queue.rate_limit) == (integration.max_in_flight, integration.rate_limit)
    assert (queue.breaker, queue.probe_at, queue.throttled_until) == ("open", NOW, None)
    assert (queue.rate_tokens, queue.rate_refilled_at) == (1.5, NOW)
    assert (queue.is_failing, queue.answered_last) == (False, True)


def test_an_integration_without_health_is_well(storage):
    integration = due().integration
    IntegrationHealth.objects.filter(integration=integration).delete()
    (queue,) = storage.queued_integrations(NOW)
    assert (queue.breaker, queue.probe_at, queue.rate_tokens) == ("closed", None, 0)
    assert (queue.is_failing, queue.answered_last) == (False, False)


def test_locks_may_be_taken_again(storage):
    with transaction.atomic():
        storage.lock_claims()
        storage.lock_claims()
        lock_order_keys({(uuid7(), "order/1"), (uuid7(), "order/2")})
        lock_order_keys(())
