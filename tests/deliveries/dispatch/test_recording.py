"""What came back is recorded once and as it was, and the engine goes on with what waits."""

import pytest

from deliveries.dispatch import engine as engine_module
from deliveries.models import Delivery
from integrations.foundation.identifiers import uuid7
from tests.deliveries.dispatch.engines import finish, outcomes
from tests.factories import DeliveryFactory, IntegrationFactory

pytestmark = pytest.mark.django_db


class TestRecording:
    def test_asks_for_no_more_work_where_none_was_left(self, start_engine, subscription, receiver, monkeypatch):
        engine = start_engine()
        DeliveryFactory(subscription=subscription)
        engine.cycle()
        finish(engine)  # the first success is noted in the integration's health
        delivery = DeliveryFactory(subscription=subscription)
        engine.cycle()
        monkeypatch.setattr(engine_module, "claim", lambda **_: pytest.fail("claims in vain"))
        finish(engine)
        delivery.refresh_from_db()
        assert (delivery.status, delivery.lease, outcomes(delivery)) == ("succeeded", None, ["succeeded"])

    def test_goes_on_at_once_with_what_had_no_room(self, start_engine, subscription, receiver):
        IntegrationFactory._meta.model.objects.update(max_in_flight=1)
        DeliveryFactory.create_batch(4, subscription=subscription)
        engine = start_engine()
        for number in range(1, 5):
            engine.cycle()
            assert len(engine.dispatches) == 1
            engine.collect(5.0)
            assert len(receiver.requests) == number
        finish(engine)
        assert {delivery.status for delivery in Delivery.objects.all()} == {"succeeded"}

    def test_writes_a_late_success_as_late_although_nothing_is_locked(self, start_engine, subscription, receiver):
        engine = start_engine()
        DeliveryFactory(subscription=subscription)
        engine.cycle()
        finish(engine)
        delivery = DeliveryFactory(subscription=subscription)
        engine.cycle()
        Delivery.objects.filter(id=delivery.id).update(lease=uuid7(), attempt_count=2)
        finish(engine)
        delivery.refresh_from_db()
        assert (delivery.status, outcomes(delivery)) == ("sending", ["late"])


def test_a_batch_that_is_recorded_again_after_an_unconfirmed_commit_changes_nothing(start_engine, subscription):
    delivery = DeliveryFactory(subscription=subscription)
    engine = start_engine()
    engine.cycle()
    engine.collect(5.0)
    results = list(engine.results)
    engine.cycle()
    before = Delivery.objects.filter(id=delivery.id).values().get()
    engine.results = results
    engine.cycle()
    assert outcomes(delivery) == ["succeeded"]
    assert Delivery.objects.filter(id=delivery.id).values().get() == before
