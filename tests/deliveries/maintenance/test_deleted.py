"""What was being sent when its subscription or integration was deleted does not go out again, and does not stay."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries.dispatch.engine import DeliveryEngine
from deliveries.maintenance import periodic
from deliveries.models import Delivery
from deliveries.replay import start_replay, step
from deliveries.resolution import ResolutionError, edit_delivery, retry_delivery
from deliveries.runtime.registry import register
from integrations.foundation.audit import HOOKDESK
from integrations.services import delete_integration
from subscriptions.services import delete_subscription
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def delivery(receiver):
    return DeliveryFactory(subscription=SubscriptionFactory(integration=IntegrationFactory(url=receiver.url())))


@pytest.fixture
def engine(delivery, receiver):
    """Has the delivery in dispatch."""
    receiver.script(answer(500, b"out of paper"))
    made = DeliveryEngine(register(timezone.now()))
    made.cycle()
    yield made
    made.transport.close()


def land(engine):
    while engine.dispatches or engine.results:
        engine.collect(1.0)
        engine.cycle()


def sweep():
    periodic._swept_at = None
    periodic.run_periodic(timezone.now())


def test_a_retry_for_a_deleted_subscription_is_discarded_instead(engine, delivery, receiver):
    delete_subscription(subscription=delivery.subscription, actor=HOOKDESK)
    land(engine)
    Delivery.objects.filter(status="retrying").update(due_at=timezone.now())
    engine.cycle()
    sweep()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count, delivery.failure_group) == ("discarded", 1, None)
    assert len(receiver.requests) == 1


def test_a_retry_for_a_deleted_integration_is_swept_away(engine, delivery, receiver):
    delete_integration(integration=delivery.integration, actor=HOOKDESK)
    land(engine)
    sweep()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.due_at, delivery.failure_group) == ("discarded", None, None)


def test_so_is_what_an_engine_was_sending_that_died(engine, delivery):
    delete_integration(integration=delivery.integration, actor=HOOKDESK)
    sweep()
    assert Delivery.objects.get().status == "sending", "its lease holds"
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    sweep()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.lease) == ("discarded", None)
    assert [attempt.outcome for attempt in delivery.attempts.all()] == ["unknown"]


@pytest.mark.parametrize("what", ["subscription", "integration"])
def test_nobody_can_send_again_what_nobody_wants(delivery, what):
    if what == "subscription":
        delete_subscription(subscription=delivery.subscription, actor=HOOKDESK)
    else:
        delete_integration(integration=delivery.integration, actor=HOOKDESK)
    Delivery.objects.update(status="failed", due_at=None, finished_at=timezone.now())
    with pytest.raises(ResolutionError, match="deleted"):
        retry_delivery(delivery=delivery, actor=HOOKDESK)
    with pytest.raises(ResolutionError, match="deleted"):
        edit_delivery(delivery=delivery, payload={"id": "1", "new": True}, actor=HOOKDESK)
    replay = start_replay(filters={"status": "failed"}, action="retry", actor=HOOKDESK)
    assert replay.total == 0
    step(replay.id, timezone.now())
    delivery.refresh_from_db()
    assert delivery.status == "failed"
