"""Deleting what has a backlog: switched off at once, discarded after the commit in small transactions."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from deliveries import hooks
from deliveries.maintenance import cascade
from deliveries.maintenance.periodic import run_periodic
from deliveries.models import Backlog, Delivery, FailureGroup
from deliveries.models.delivery import FailureGroup as Group
from integrations.foundation.audit import HOOKDESK
from integrations.services import delete_integration
from subscriptions.services import delete_subscription
from tests.factories import DeliveryFactory, FailureGroupFactory, IntegrationFactory, SubscriptionFactory


def backlog(count, receiver=None, **values):
    integration = IntegrationFactory(url=receiver.url() if receiver else "http://127.0.0.1:9/")
    subscription = SubscriptionFactory(integration=integration)
    group = FailureGroupFactory(integration=integration)
    DeliveryFactory.create_batch(count, subscription=subscription, **values)
    DeliveryFactory(subscription=subscription, status="failed", failure_group=group)
    return subscription


def statuses():
    return set(Delivery.objects.values_list("status", flat=True))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delete", [
    lambda s: delete_subscription(subscription=s, actor=HOOKDESK),
    lambda s: delete_integration(integration=s.integration, actor=HOOKDESK),
])  # fmt: skip
def test_the_backlog_is_discarded_outside_of_the_transaction_that_deletes_and_never_many_at_once(delete, monkeypatch):
    monkeypatch.setattr(cascade, "BATCH", 4)
    batches = []

    def listen(settled, now):
        batches.append((len(settled), transaction.get_connection().in_atomic_block, Backlog.objects.count()))

    with hooks.settled.connected(listen), transaction.atomic():
        delete(backlog(10))
        assert batches == [], "nothing is discarded while the configuration is locked"
        assert statuses() == {"pending", "failed"}
    assert statuses() == {"discarded"}
    assert max(count for count, *_ in batches) <= 4
    assert sum(count for count, *_ in batches) == 11
    assert not Backlog.objects.exists()
    assert FailureGroup.objects.get().status == Group.Status.RESOLVED


@pytest.mark.django_db(transaction=True)
def test_what_a_process_that_died_did_not_discard_is_gone_on_with_by_the_housekeeping(monkeypatch):
    monkeypatch.setattr(cascade, "_discard_within_time_limit", lambda backlog_id: None)  # killed after its commit
    subscription = backlog(5)
    delete_subscription(subscription=subscription, actor=HOOKDESK)
    assert statuses() == {"pending", "failed"}
    from deliveries.maintenance import periodic as module

    module._swept_at = None
    run_periodic(timezone.now())
    assert statuses() == {"discarded"}
    assert not Backlog.objects.exists()


@pytest.mark.django_db
def test_nothing_of_a_deleted_subscription_is_sent_also_what_a_push_added_later(receiver, deliver):
    subscription = backlog(5, receiver, order_key=None)
    other = DeliveryFactory(subscription=SubscriptionFactory(integration=subscription.integration))
    delete_subscription(subscription=subscription, actor=HOOKDESK)
    Backlog.objects.all().delete()  # it was discarded; then a push that was under way commits
    assert deliver() == 1
    other.refresh_from_db()
    assert other.status == "succeeded"
    assert len(receiver.requests) == 1
    assert not Delivery.objects.filter(due_at__isnull=False).exists()
    cascade.continue_backlogs(timezone.now())
    assert set(Delivery.objects.filter(subscription=subscription).values_list("status", "attempt_count")) == {
        ("discarded", 0)
    }


@pytest.mark.django_db
def test_one_that_is_being_sent_is_left_to_its_engine_and_the_backlog_waits_for_it():
    subscription = backlog(1)
    sending = DeliveryFactory(subscription=subscription, status="sending", lease="0" * 32)
    Delivery.objects.filter(id=sending.id).update(due_at=timezone.now() + timedelta(minutes=1))
    delete_subscription(subscription=subscription, actor=HOOKDESK)
    cascade.continue_backlogs(timezone.now())
    sending.refresh_from_db()
    assert sending.status == "sending"
    assert Backlog.objects.exists()
    Delivery.objects.filter(id=sending.id).update(status="retrying", lease=None)
    cascade.continue_backlogs(timezone.now())
    sending.refresh_from_db()
    assert sending.status == "discarded"
    assert not Backlog.objects.exists()
