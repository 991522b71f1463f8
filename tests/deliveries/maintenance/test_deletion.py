"""What is deleted while deliveries are open, or on the wire: nothing more is sent for it, and nothing stays open."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries.maintenance import cascade
from deliveries.maintenance.retention import prune_finished
from deliveries.models import Delivery, FailureGroup
from integrations.foundation.audit import HOOKDESK
from integrations.models import Integration
from integrations.services import delete_integration
from notifications.models import Notification
from subscriptions.services import delete_subscription
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import Receiver, answer

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def a_delivery(receiver: Receiver, **values) -> Delivery:
    integration = IntegrationFactory(url=receiver.url("/hook"), retry_policy=[1, 1, 1])
    return DeliveryFactory(subscription=SubscriptionFactory(integration=integration), **values)


def delete(what: str, delivery: Delivery) -> None:
    if what == "integration":
        delete_integration(integration=delivery.integration, actor=HOOKDESK)
    else:
        delete_subscription(subscription=delivery.subscription, actor=HOOKDESK)


def housekeeping() -> None:
    """What engines do besides sending."""
    cascade.note_late_deliveries(timezone.now())
    cascade.continue_backlogs(timezone.now())


WHAT = pytest.mark.parametrize("what", ["integration", "subscription"])


@WHAT
@pytest.mark.parametrize("status", [500, 400, 404])
def test_one_on_the_wire_that_fails_after_the_deletion_is_the_last_that_is_sent(
    receiver, deliver, monkeypatch, what: str, status: int
) -> None:
    """Deleted between the sending and the recording of what came of it."""
    from deliveries.dispatch import engine

    delivery = a_delivery(receiver)
    record = engine.record_results

    def delete_first(*args, **named):
        if Integration.objects.alive().exists() and not delivery.subscription.deleted_at:
            delete(what, delivery)
        return record(*args, **named)

    monkeypatch.setattr(engine, "record_results", delete_first)
    receiver.script(answer(status, b"out of paper"))
    deliver()
    housekeeping()
    deliver(later=HOUR)
    housekeeping()

    delivery.refresh_from_db()
    assert len(receiver.requests) == 1
    assert (delivery.status, delivery.due_at, delivery.lease) == ("discarded", None, None)
    assert delivery.finished_at is not None
    assert delivery.attempts.get().outcome == "failed"
    assert not FailureGroup.objects.filter(status="open").exists()
    assert not Notification.objects.filter(status="open").exists()


@WHAT
def test_one_on_the_wire_that_succeeds_after_the_deletion_has_succeeded(receiver, deliver, monkeypatch, what) -> None:
    from deliveries.dispatch import engine

    delivery = a_delivery(receiver)
    record = engine.record_results
    monkeypatch.setattr(engine, "record_results", lambda *a, **n: (delete(what, delivery), record(*a, **n))[1])
    deliver()

    delivery.refresh_from_db()
    assert delivery.status == "succeeded"


@WHAT
@pytest.mark.parametrize("left", ["pending", "retrying", "sending"])
def test_what_was_made_or_left_in_the_moment_of_the_deletion_is_discarded(
    receiver, deliver, what: str, left: str
) -> None:
    """A push that had read the subscription before, or an engine that died."""
    delivery = a_delivery(receiver)
    delete(what, delivery)
    now = timezone.now()
    lease = {"lease": "00000000-0000-0000-0000-000000000001"} if left == "sending" else {}
    Delivery.objects.filter(id=delivery.id).update(status=left, due_at=now - HOUR, finished_at=None, **lease)
    deliver()
    housekeeping()
    deliver(later=HOUR)

    delivery.refresh_from_db()
    assert (delivery.status, delivery.due_at, delivery.lease) == ("discarded", None, None)
    assert receiver.requests == []


@WHAT
def test_one_that_an_engine_is_sending_is_left_to_it(receiver, what: str) -> None:
    delivery = a_delivery(receiver)
    delete(what, delivery)
    now = timezone.now()
    lease = "00000000-0000-0000-0000-000000000001"
    Delivery.objects.filter(id=delivery.id).update(status="sending", due_at=now + HOUR, lease=lease, finished_at=None)
    housekeeping()

    delivery.refresh_from_db()
    assert delivery.status == "sending"


@WHAT
def test_others_are_not_touched(receiver, what: str) -> None:
    delivery, other = a_delivery(receiver), a_delivery(receiver)
    delete(what, delivery)
    housekeeping()

    other.refresh_from_db()
    assert other.status == "pending"


@WHAT
def test_retention_prunes_what_was_discarded_with_what_it_belonged_to(receiver, what: str) -> None:
    delivery = a_delivery(receiver)
    delete(what, delivery)
    housekeeping()

    assert prune_finished(before=timezone.now() + HOUR) >= 1
    assert not Delivery.objects.exists()
