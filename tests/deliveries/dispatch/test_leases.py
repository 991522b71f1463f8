"""Several engines, deaths and stand-stills, in one process: who may send, and what is given back."""

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import DataError, InterfaceError, OperationalError
from django.utils import timezone

from deliveries.dispatch import engine as engine_module
from deliveries.dispatch.engine import DeliveryEngine
from deliveries.dispatch.poison import MAX_CRASHES, allowed_concurrency
from deliveries.maintenance.periodic import make_due_polls
from deliveries.models import Attempt, Delivery, Engine
from deliveries.models.engine import HEARTBEAT_STALE
from deliveries.results import attempts as attempts_module
from deliveries.runtime.registry import deregister, heartbeat, missing_here, register, stopping
from integrations.foundation.identifiers import uuid7
from integrations.models import IntegrationHealth
from subscriptions.models import Subscription
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import answer, hang

pytestmark = pytest.mark.django_db


class NoWakeups:
    """Takes the place of an engine's listener: the tests say when it works."""

    def start(self):
        pass

    def consume(self):
        return False

    def stop(self):
        pass


@pytest.fixture
def start_engine(db):
    engines = []

    def start():
        slot = register(timezone.now())
        assert slot is not None
        engine = DeliveryEngine(slot)
        engine.listener = NoWakeups()
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.transport.close()
        deregister(engine.slot)


@pytest.fixture
def subscription(receiver):
    integration = IntegrationFactory(url=receiver.url(), retry_policy=[60])
    return SubscriptionFactory(integration=integration)


def finish(*engines):
    """Until nothing is in dispatch."""
    while any(engine.dispatches or engine.results for engine in engines):
        for engine in engines:
            engine.collect(0.05)
            engine.cycle()


def let_leases_run_out():
    Delivery.objects.filter(status="sending").update(due_at=timezone.now() - timedelta(seconds=1))


def outcomes(delivery):
    return list(delivery.attempts.order_by("number").values_list("outcome", flat=True))


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


class TestSlots:
    def test_a_slot_without_heartbeat_is_taken_and_its_old_engine_leaves(self):
        now = timezone.now()
        old = register(now)
        later = now + HEARTBEAT_STALE + timedelta(seconds=1)
        assert (missing_here(now), missing_here(later)) == (1, 2)
        new = register(later)
        assert (new.id, new.slot) == (old.id, old.slot)
        assert not heartbeat(old, now=later, in_flight=0, sent_count=0)
        assert heartbeat(new, now=later, in_flight=0, sent_count=0)

    def test_one_of_this_host_whose_process_is_gone_is_replaced_immediately(self):
        now = timezone.now()
        slots = [register(now), register(now)]
        assert register(now) is None
        assert missing_here(now) == 0
        Engine.objects.filter(id=slots[0].id).update(pid=2**22 + 1)
        assert missing_here(now) == 1
        assert register(now).id == slots[0].id

    def test_engines_of_other_hosts_do_not_count(self):
        now = timezone.now()
        Engine.objects.filter(id=register(now).id).update(host="elsewhere")
        assert missing_here(now) == 2

    def test_an_engine_without_its_slot_ends_and_claims_nothing(self, start_engine, subscription, receiver):
        delivery = DeliveryFactory(subscription=subscription)
        engine = start_engine()
        Engine.objects.filter(id=engine.slot.id).delete()
        engine.run(0.3)
        delivery.refresh_from_db()
        assert (delivery.status, receiver.requests) == ("pending", [])


def _raise(error):
    raise error


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
