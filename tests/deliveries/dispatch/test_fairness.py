"""One integration's trouble is its own: what hangs, what has a backlog, what comes back after an outage."""

import pytest
from django.utils import timezone

from deliveries.dispatch.engine import DeliveryEngine
from deliveries.dispatch.pacing import INITIAL_WINDOW
from deliveries.models import Delivery
from deliveries.runtime.registry import deregister, register
from integrations.models import IntegrationHealth
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import answer, hang

pytestmark = pytest.mark.django_db


@pytest.fixture
def engine(db):
    slot = register(timezone.now())
    engine = DeliveryEngine(slot)
    yield engine
    engine.transport.close()
    deregister(slot)


def backlog(receiver, path, count, **integration):
    made = IntegrationFactory(url=receiver.url(path), **integration)
    return DeliveryFactory.create_batch(count, subscription=SubscriptionFactory(integration=made))


def in_flight(engine, integration):
    return sum(dispatch.claimed.integration_id == integration.id for dispatch in engine.dispatches.values())


def test_a_backlog_of_one_that_hangs_holds_a_few_places_and_the_others_go_on(receiver, engine):
    receiver.script(hang(), path="/hangs")
    slow = backlog(receiver, "/hangs", 60)[0].integration
    quick = backlog(receiver, "/answers", 40)[0].integration
    due = Delivery.objects.filter(integration=quick, due_at__isnull=False)
    while due.exists():
        engine.cycle()
        engine.collect(0.5)
        assert in_flight(engine, slow) <= INITIAL_WINDOW
    assert Delivery.objects.filter(integration=quick, status="succeeded").count() == 40
    assert in_flight(engine, slow) == INITIAL_WINDOW


def test_after_an_outage_one_probe_goes_first_and_then_no_more_at_once_than_the_integration_allows(receiver, engine):
    receiver.script(answer(200, delay=0.002))
    integration = backlog(receiver, "/back", 60, max_in_flight=12)[0].integration
    now = timezone.now()
    IntegrationHealth.objects.create(
        integration=integration, breaker="open", consecutive_failures=10, opened_at=now, probe_at=now
    )
    engine.cycle()
    assert in_flight(engine, integration) == 1
    engine.collect(5.0)
    most = 0
    while Delivery.objects.filter(due_at__isnull=False).exists():
        engine.cycle()
        most = max(most, in_flight(engine, integration))
        engine.collect(0.5)
    assert INITIAL_WINDOW < most <= 12
    assert len(receiver.requests) == 60
    assert IntegrationHealth.objects.get().breaker == "closed"
