"""Several engines, deaths and stand-stills, in one process: who may send, and what is given back."""

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import DataError, InterfaceError, OperationalError
from django.utils import timezone

from deliveries.dispatch import engine as engine_module
from deliveries.maintenance.periodic import make_due_polls
from deliveries.models import Attempt, Delivery, Engine
from deliveries.results import attempts as attempts_module
from deliveries.runtime.registry import stopping
from integrations.models import IntegrationHealth
from subscriptions.models import Subscription
from tests.deliveries.dispatch.engines import finish, outcomes
from tests.factories import DeliveryFactory
from tests.receiver import answer, hang

pytestmark = pytest.mark.django_db


def let_leases_run_out():
    Delivery.objects.filter(status="sending").update(due_at=timezone.now() - timedelta(seconds=1))


def _raise(error):
    raise error


class TestTwoEngines:
    def test_take_turns_and_never_send_a_delivery_twice(self, start_engine, subscription, receiver):
        deliveries = DeliveryFactory.create_batch(30, subscription=subscription)
        one, other = start_engine(), start_engine()
        for _ in range(3):
            one.cycle()
            other.cycle()
        assert one.dispatches
        assert other.dispatches
        finish(one, other)
        ids = [request.header("webhook-id") for request in receiver.requests]
        assert sorted(ids) == sorted(f"msg_{delivery.request_id}" for delivery in deliveries)
        assert (one.sent_count + other.sent_count, Attempt.objects.count()) == (30, 30)

    def test_one_that_resumes_after_its_lease_records_a_late_attempt_and_nothing_else(
        self, start_engine, subscription, receiver
    ):
        release = threading.Event()

        def slow(exchange):
            release.wait(10)
            return answer(500, b"too late")(exchange)

        receiver.script(slow, answer(200))
        delivery = DeliveryFactory(subscription=subscription)
        stalled, other = start_engine(), start_engine()
        stalled.cycle()
        receiver.wait_for(1)
        let_leases_run_out()
        other.cycle()
        finish(other)
        assert outcomes(delivery) == ["unknown", "succeeded"]
        before = Delivery.objects.filter(id=delivery.id).values().get()
        interrupted = delivery.attempts.get(number=1)
        assert (interrupted.error_kind, bytes(interrupted.request_body)) == ("interrupted", b"")
        release.set()
        finish(stalled)
        assert outcomes(delivery) == ["late", "succeeded"]
        late = delivery.attempts.get(number=1)
        assert (late.id, late.response_status, bytes(late.response_body)) == (interrupted.id, 500, b"too late")
        assert bytes(late.request_body) == receiver.requests[0].body
        assert Delivery.objects.filter(id=delivery.id).values().get() == before
        assert before["failure_group_id"] is None

    @pytest.mark.parametrize("is_late_one_first", [True, False])
    def test_one_that_claims_its_own_again_counts_only_the_result_with_the_valid_lease(
        self, start_engine, subscription, is_late_one_first
    ):
        delivery = DeliveryFactory(subscription=subscription)
        engine = start_engine()
        engine.cycle()
        let_leases_run_out()
        engine.cycle()
        while len(engine.results) < 2:
            engine.collect(1.0)
        engine.results.sort(key=lambda result: result.claimed.attempt_number, reverse=not is_late_one_first)
        finish(engine)
        assert outcomes(delivery) == ["late", "succeeded"]

    def test_the_one_in_reserve_only_looks_where_the_first_has_claimed_everything(
        self, start_engine, subscription, monkeypatch
    ):
        DeliveryFactory(subscription=subscription)
        one, other = start_engine(), start_engine()
        one.cycle()
        with monkeypatch.context() as patch:
            patch.setattr(engine_module, "claim", lambda **_: pytest.fail("takes the lock"))
            other.cycle()
        DeliveryFactory(subscription=subscription)
        other.cycle()
        assert (len(one.dispatches), len(other.dispatches)) == (1, 1)
        finish(one, other)

    def test_make_a_poll_once(self, subscription):
        now = timezone.now()
        Subscription.objects.filter(id=subscription.id).update(poll_every=60, next_poll_at=now)
        assert (make_due_polls(now), make_due_polls(now)) == (1, 0)
        assert Delivery.objects.filter(topic="poll").count() == 1


class TestGivingBack:
    def test_requests_that_outlast_the_stop_are_released_and_count_as_no_crash(
        self, start_engine, subscription, receiver, monkeypatch
    ):
        monkeypatch.setattr(engine_module, "GRACE_SECONDS", 0.05)
        receiver.script(hang(), answer(200))
        delivery = DeliveryFactory(subscription=subscription)
        engine = start_engine()
        engine.cycle()
        receiver.wait_for(1)
        stopping.set()
        try:
            engine.run(60)
        finally:
            stopping.clear()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.lease, delivery.crash_count) == ("retrying", None, 0)
        assert delivery.due_at <= timezone.now()
        assert outcomes(delivery) == ["unknown"]
        assert bytes(delivery.attempts.get().request_body) == receiver.requests[0].body
        assert not Engine.objects.exists(), "its slot is free"
        successor = start_engine()
        successor.cycle()
        finish(successor)
        assert outcomes(delivery) == ["unknown", "succeeded"]

    def test_deliveries_claimed_when_the_database_went_away_are_sent_once_it_is_back(
        self, start_engine, subscription, receiver, monkeypatch
    ):
        delivery = DeliveryFactory(subscription=subscription)
        engine = start_engine()
        with monkeypatch.context() as patch:
            patch.setattr("deliveries.dispatch.build.prepare", lambda *_: _raise(OperationalError("gone away")))
            with pytest.raises(OperationalError):
                engine.cycle()
        engine.cycle()
        finish(engine)
        delivery.refresh_from_db()
        assert (delivery.status, delivery.crash_count, len(receiver.requests)) == ("succeeded", 0, 1)
        assert (delivery.attempt_count, outcomes(delivery)) == (1, ["succeeded"]), "what was not sent is no attempt"

    def test_nothing_is_sent_on_an_outdated_claim(self, start_engine, subscription, receiver, monkeypatch):
        delivery = DeliveryFactory(subscription=subscription)
        engine = start_engine()
        with monkeypatch.context() as patch:
            patch.setattr(engine_module, "MAX_START_DELAY", -1.0)
            engine.cycle()
        assert (engine.dispatches, receiver.requests) == ({}, [])
        engine.cycle()
        finish(engine)
        assert outcomes(delivery) == ["succeeded"]
        assert len(receiver.requests) == 1

    def test_a_request_that_cannot_be_written_down_fails_its_delivery_and_holds_up_nobody(
        self, start_engine, subscription, receiver, monkeypatch
    ):
        bad, *fine = DeliveryFactory.create_batch(4, subscription=subscription)
        original = attempts_module.stored_body

        def refuse(request):
            if bad.request_id in str(request.headers):
                raise DataError("unwritable")
            return original(request)

        monkeypatch.setattr(attempts_module, "stored_body", refuse)
        engine = start_engine()
        engine.cycle()
        finish(engine)
        bad.refresh_from_db()
        (attempt,) = bad.attempts.all()
        assert (bad.status, bad.lease, len(receiver.requests)) == ("failed", None, 4)
        assert (attempt.outcome, attempt.error_kind, attempt.method) == ("failed", "internal", "")
        assert "failed to record the outcome" in bad.last_error
        assert all(outcomes(delivery) == ["succeeded"] for delivery in fine)


class TestDraining:
    @pytest.mark.parametrize("error", [OperationalError, InterfaceError, DataError])
    def test_results_are_recorded_although_the_database_was_away(
        self, start_engine, subscription, receiver, monkeypatch, error
    ):
        delivery = DeliveryFactory(subscription=subscription)
        engine = start_engine()
        engine.cycle()
        monkeypatch.setattr(engine_module, "deregister", lambda slot: _raise(error("gone away")))
        monkeypatch.setattr(engine_module, "abandon_in_flight", lambda *_: _raise(error("gone away")))
        engine._drain()
        delivery.refresh_from_db()
        assert (delivery.status, outcomes(delivery)) == ("succeeded", ["succeeded"])


class TestAClockThatIsSet:
    def test_forward_resends_nothing_that_is_in_flight(self, start_engine, subscription, receiver):
        release = threading.Event()
        receiver.script(lambda exchange: release.wait(10) and answer(200)(exchange))
        delivery = DeliveryFactory(subscription=subscription)
        one, other = start_engine(), start_engine()
        one.cycle()
        other.cycle()
        receiver.wait_for(1)
        with time_machine.travel(timezone.now() + timedelta(hours=1), tick=True):
            other.cycle()
            one.cycle()
            assert not other.dispatches
            release.set()
            finish(one)
        assert outcomes(delivery) == ["succeeded"]
        assert len(receiver.requests) == 1

    def test_back_leaves_nothing_waiting_until_the_old_time(self, start_engine, subscription, receiver):
        engine = start_engine()
        engine.cycle()
        deliveries = DeliveryFactory.create_batch(3, subscription=subscription)
        IntegrationHealth.objects.create(
            integration=subscription.integration, rate_tokens=0, rate_refilled_at=timezone.now()
        )
        subscription.integration.rate_limit = 10
        subscription.integration.save()
        with time_machine.travel(timezone.now() - timedelta(hours=1), tick=True):
            engine.cycle()
            with time_machine.travel(timezone.now() + timedelta(seconds=1), tick=True):
                engine.cycle()
                finish(engine)
        assert [outcomes(delivery) for delivery in deliveries] == [["succeeded"]] * 3
