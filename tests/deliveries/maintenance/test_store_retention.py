"""A store's own retention, by kind of data; and integrations that keep no bodies."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from deliveries.maintenance.bodies import drop_bodies
from deliveries.maintenance.retention import count_prunable, prune
from deliveries.models import Attempt, Delivery, Event, Record
from integrations.foundation.audit import HOOKDESK, record_change
from integrations.foundation.identifiers import uuid7
from integrations.models import AuditEntry, Retention
from integrations.services import update_integration
from integrations.services.retention import set_retention, shortest_days
from notifications import tasks
from notifications.models import Notification
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    IntegrationFactory,
    NotificationFactory,
    RecordFactory,
    StoreFactory,
)

pytestmark = pytest.mark.django_db
NOW = timezone.now()
BEFORE = NOW - timedelta(days=90)


def finished(store, days, status="succeeded"):
    moment = NOW - timedelta(days=days)
    key = uuid7(now_ms=int(moment.timestamp() * 1000))
    event = EventFactory(id=key, store=store, occurred_at=moment, created_at=moment)
    return DeliveryFactory(
        id=uuid7(now_ms=int(moment.timestamp() * 1000)), event=event, store=store, status=status,
        created_at=moment, finished_at=moment,
    )  # fmt: skip


def left(store):
    return set(Delivery.objects.filter(store=store).values_list("pk", flat=True))


def test_successes_and_failures_of_a_store_are_kept_apart_from_the_default():
    own, other = StoreFactory(), StoreFactory()
    Retention.objects.create(store=own, successes=7, failures=365)
    success, failure = finished(own, 10), finished(own, 100, "failed")
    young, ancient = finished(own, 5), finished(own, 400, "discarded")
    default, old = finished(other, 10), finished(other, 100)

    assert count_prunable(before=BEFORE, now=NOW) == 3
    prune(before=BEFORE, now=NOW, batch=2)

    assert left(own) == {failure.pk, young.pk}
    assert left(other) == {default.pk}
    gone = {success.event_id, ancient.event_id, old.event_id}
    # An event may have deliveries of either kind: it stays as long as the longer of the two.
    assert set(Event.objects.values_list("pk", flat=True)) & gone == {success.event_id}


def test_records_and_audit_entries_go_only_where_a_store_says_so():
    own, other = StoreFactory(), StoreFactory()
    Retention.objects.create(store=own, records=30, audit=30)
    for store in (own, other):
        RecordFactory(store=store)
        record_change(actor=HOOKDESK, action="change", target=store, store=store)
    Record.objects.update(updated_at=NOW - timedelta(days=31))
    AuditEntry.objects.update(created_at=NOW - timedelta(days=31))
    young = RecordFactory(store=own, external_id="young")

    pruned = prune(before=BEFORE, now=NOW)

    assert (pruned.records, pruned.audit_entries) == (1, 1)
    assert set(Record.objects.values_list("store", flat=True)) == {own.pk, other.pk}
    assert list(Record.objects.filter(store=own)) == [young]
    assert list(AuditEntry.objects.values_list("store", flat=True)) == [other.pk]


def test_notifications_go_by_the_rule_of_their_store():
    own, other = StoreFactory(), StoreFactory()
    Retention.objects.create(store=own, notifications=7)
    for store in (own, other):
        NotificationFactory(store=store, status="resolved", resolved_at=NOW)
    Notification.objects.update(last_at=NOW - timedelta(days=8))

    assert tasks.prune() == 1
    assert Notification.objects.get().store == other


def test_a_wrong_number_of_days_names_its_kind_and_changes_nothing():
    store = StoreFactory()
    with pytest.raises(ValidationError) as raised:
        set_retention(store=store, actor=HOOKDESK, values={"successes": 7, "failures": 0, "audit": True})
    assert set(raised.value.message_dict) == {"failures", "audit"}
    assert not Retention.objects.exists()
    set_retention(store=store, actor=HOOKDESK, values={"successes": 7})
    assert shortest_days(store.pk) == 7


def sent(integration, status="succeeded", ago=timedelta(minutes=1)):
    delivery = DeliveryFactory(
        integration=integration, store=integration.store, status=status, finished_at=NOW - ago, attempt_count=1
    )
    AttemptFactory(delivery=delivery, number=1, request_body=b'{"a": 1}', response_body=b"yes", response_status=200)
    return delivery


def bodies():
    return {row.delivery_id: bytes(row.request_body) for row in Attempt.objects.all()}


def test_bodies_of_successes_are_dropped_where_an_integration_keeps_none():
    discreet, other = IntegrationFactory(), IntegrationFactory()
    update_integration(integration=discreet, actor=HOOKDESK, keeps_bodies=False)
    gone, failed, kept = sent(discreet), sent(discreet, "failed"), sent(other)

    assert drop_bodies(NOW) == 1

    assert bodies() == {gone.pk: b"", failed.pk: b'{"a": 1}', kept.pk: b'{"a": 1}'}
    attempt = gone.attempts.get()
    assert (attempt.bodies_gone, attempt.response_body, attempt.response_status) == ("not_kept", None, 200)


def test_the_sweep_goes_on_where_it_was_and_begins_anew_for_another_integration():
    first, second = IntegrationFactory(keeps_bodies=False), IntegrationFactory()
    sent(first, ago=timedelta(days=2))
    earlier = sent(second, ago=timedelta(days=1))
    assert drop_bodies(NOW) == 1
    assert drop_bodies(NOW) == 0

    just_now = sent(first, ago=timedelta(seconds=1))
    assert drop_bodies(NOW) == 0, "its result may not be committed yet"
    assert drop_bodies(NOW + timedelta(minutes=1)) == 1
    assert bodies()[just_now.pk] == b""

    second.keeps_bodies = False
    second.save()
    assert drop_bodies(NOW) == 1
    assert bodies()[earlier.pk] == b""
