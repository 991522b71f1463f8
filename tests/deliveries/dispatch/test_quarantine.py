"""Deliveries whose workers died: sent in ever smaller batches, and the last time alone."""

from datetime import timedelta

import pytest

from deliveries.dispatch.poison import MAX_CRASHES, allowed_concurrency
from deliveries.models import Delivery
from tests.factories import DeliveryFactory, IntegrationFactory
from tests.receiver import answer, hang

pytestmark = pytest.mark.django_db


class TestQuarantine:
    def crashed(self, subscription, count, crashes):
        """Deliveries whose workers died; the claim counts one death more."""
        made = DeliveryFactory.create_batch(count, subscription=subscription)
        for delivery in made:
            Delivery.objects.filter(id=delivery.id).update(
                status="sending", lease=delivery.id, attempt_count=crashes, crash_count=crashes - 1
            )
        return made

    def test_deliveries_whose_workers_died_are_sent_in_ever_smaller_batches(self):
        assert [allowed_concurrency(crashes) for crashes in range(2, MAX_CRASHES + 1)] == [64, 16, 4, 1]

    def test_the_last_attempt_is_made_alone_and_the_others_lose_nothing(
        self, start_engine, subscription, receiver, deliver
    ):
        suspects = self.crashed(subscription, 3, MAX_CRASHES)
        healthy = DeliveryFactory.create_batch(2, subscription=subscription)
        receiver.script(hang())
        engine = start_engine()
        engine.cycle()
        flying = {dispatch.claimed.id for dispatch in engine.dispatches.values()}
        assert len(flying & {suspect.id for suspect in suspects}) == 1
        assert {delivery.id for delivery in healthy} <= flying
        waiting = Delivery.objects.filter(id__in=[s.id for s in suspects]).exclude(id__in=flying)
        assert {(d.status, d.lease, d.attempt_count, d.crash_count) for d in waiting} == {
            ("retrying", None, MAX_CRASHES, MAX_CRASHES)
        }
        Delivery.objects.filter(id__in=flying).delete()
        receiver.script(answer(200))
        for seconds in (3, 6):
            deliver(later=timedelta(seconds=seconds))
        assert {delivery.status for delivery in waiting.all()} == {"succeeded"}

    def test_fewer_deaths_allow_larger_batches(self, start_engine, subscription, receiver):
        IntegrationFactory._meta.model.objects.update(max_in_flight=100)
        self.crashed(subscription, 8, MAX_CRASHES - 1)
        receiver.script(hang())
        engine = start_engine()
        engine.cycle()
        assert len(engine.dispatches) == 4
