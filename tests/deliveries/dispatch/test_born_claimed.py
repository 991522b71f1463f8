"""Deliveries that are written with the lease of an engine and handed to it: over real sockets, both halves in turn."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from deliveries.dispatch import engine as engine_module
from deliveries.dispatch.engine import DeliveryEngine
from deliveries.dispatch.reservations import LIFETIME, MAX_ROOM, RENEW_EVERY
from deliveries.ingest.failed_handover import release
from deliveries.models import Attempt, Delivery, Engine, Reservation
from deliveries.runtime import handover
from deliveries.runtime.handover_client import HandoverClient
from deliveries.runtime.registry import deregister, register
from deliveries.storage import backend
from deliveries.storage.rows.pushes import PushRows, WaitingPush
from integrations.models import Integration, IntegrationHealth
from subscriptions.models import Subscription
from tests.deliveries.dispatch.test_leases import NoWakeups
from tests.deliveries.storage.test_push_groups import a_push
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import answer, hang

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this test alone: addresses of engines are those of a host."""
    monkeypatch.setenv("HOOKDESK_HOST", f"host-{uuid.uuid4().hex}")


@pytest.fixture
def subscription(receiver: Any) -> Subscription:
    integration = IntegrationFactory(url=receiver.url(), retry_policy=[60])
    made: Subscription = SubscriptionFactory(integration=integration)
    return made


@pytest.fixture
def start_engine() -> Iterator[Callable[[], DeliveryEngine]]:
    engines: list[DeliveryEngine] = []

    def start() -> DeliveryEngine:
        slot = register(timezone.now())
        assert slot is not None
        engine = DeliveryEngine(slot)
        engine.listener = NoWakeups()  # type: ignore[assignment]
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.born_claimed.stop()
        engine.transport.close()
        deregister(engine.slot)


class Web:
    """A web process's half. Its loop runs when the test says so."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.released: list[Any] = []
        self.client = HandoverClient(self.loop, release=self.released.extend, on_offer=lambda: None)

    def run(self, seconds: float = 0.02) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def connect(self) -> None:
        """It looks for engines once a second."""
        self.client._connect()
        self.run()

    def claim(self, push: WaitingPush) -> Any:
        found = self.client.claim(push.rows)
        self.run()
        return found

    def hand_over(self, push: WaitingPush, born: Any) -> None:
        """The push is written and handed over, if an engine has room."""
        announce = partial(self.client.announce, [(push.rows, born)] if born is not None else [])
        assert backend().write_pushes([push], meanwhile=announce) == [None]
        if born is not None:
            self.client.conclude([(born, True)])
            self.client.settle(born)
        self.run()

    def push(self, subscription: Subscription) -> WaitingPush:
        push = a_push(subscription)
        self.hand_over(push, self.claim(push))
        return push


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.client.close()
    made.run()
    made.loop.close()


def turn(engine: DeliveryEngine) -> None:
    """The engine's loop until nothing is under way, and a second later for its reservations."""
    engine._receive_handovers()
    until = time.monotonic() + 10
    while engine.dispatches or engine.results:
        assert time.monotonic() < until
        engine.collect(0.05)
        if engine.results:
            engine.cycle()
    engine.born_claimed._updated_at -= 1.0
    engine.born_claimed.update(timezone.now())


def count_calls(monkeypatch: pytest.MonkeyPatch, target: Any, name: str) -> list[Any]:
    """What the method is called with from here on; it works as before."""
    calls: list[Any] = []
    method = getattr(target, name)

    def called(*args: Any) -> Any:
        calls.append(args)
        return method(*args)

    monkeypatch.setattr(target, name, called)
    return calls


def open_up(engine: DeliveryEngine, web: Web, subscription: Subscription) -> None:
    """Connected, and an answer has shown that the integration works: the next push may be handed over."""
    web.connect()
    engine.born_claimed.receive(timezone.now())
    DeliveryFactory(subscription=subscription)
    engine.cycle()
    turn(engine)
    DeliveryFactory(subscription=subscription)
    engine.claim_at = 0.0
    engine.cycle()
    turn(engine)
    web.run()


def delivery_of(push: WaitingPush) -> Delivery:
    (row,) = push.rows.deliveries
    return Delivery.objects.get(id=row.id)


def test_a_delivery_is_sent_without_being_claimed(start_engine, web, subscription, receiver, monkeypatch):
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    monkeypatch.setattr(engine_module, "claim", lambda **_: pytest.fail("there is nothing to claim"))
    push = web.push(subscription)
    assert delivery_of(push).status == "sending"
    turn(engine)
    delivery = delivery_of(push)
    assert (delivery.status, delivery.attempt_count, delivery.lease) == ("succeeded", 1, None)
    assert len(receiver.requests) == before + 1
    request = receiver.requests[-1]
    assert request.header("webhook-id") == f"msg_{delivery.request_id}"
    attempt = Attempt.objects.get(delivery=delivery)
    assert (attempt.number, attempt.outcome, attempt.response_status) == (1, "succeeded", 200)
    assert bytes(attempt.request_body) == request.body


def test_its_request_is_built_while_it_is_written_and_sent_once_it_is_committed(
    start_engine, web, subscription, receiver, monkeypatch
):
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    push = a_push(subscription)
    born = web.claim(push)
    web.client.announce([(push.rows, born)])
    built = count_calls(monkeypatch, engine, "prepare")
    engine._receive_handovers()
    assert (len(built), len(engine.dispatches), len(receiver.requests)) == (1, 0, before)
    web.hand_over(push, born)
    turn(engine)
    assert delivery_of(push).status == "succeeded"
    assert (len(built), len(receiver.requests)) == (1, before + 1)


def test_what_is_announced_and_not_stored_is_never_sent(start_engine, web, subscription, receiver):
    Integration.objects.update(max_in_flight=8)
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    for _ in range(20):
        push = a_push(subscription)
        born = web.claim(push)
        assert born is not None, "the room of those before is free again"
        web.client.announce([(push.rows, born)])
        engine._receive_handovers()
        web.client.conclude([(born, False)])
        web.client.cancel(push.rows, born)
        turn(engine)
        web.run()
    assert len(receiver.requests) == before


def test_what_a_web_process_announced_before_it_died_is_not_sent(start_engine, web, subscription, receiver):
    Integration.objects.update(max_in_flight=4)
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    push = a_push(subscription)
    web.client.announce([(push.rows, web.claim(push))])
    engine._receive_handovers()
    assert engine.born_claimed._in_flight_count[subscription.integration_id] == 1
    web.client.close()  # with its push uncommitted it stays open, as a process that is stopping
    for link in list(web.client._links.values()):
        link._lose()
    turn(engine)
    assert len(receiver.requests) == before
    assert engine.born_claimed._in_flight_count[subscription.integration_id] == 0


def test_web_processes_that_come_later_get_their_share_of_the_room(start_engine, web, subscription, receiver):
    Integration.objects.update(max_in_flight=8)
    engine = start_engine()
    open_up(engine, web, subscription)
    other = Web()
    other.connect()
    turn(engine)
    web.run()
    other.run()
    receiver.script(*[hang()] * 20)
    statuses = [delivery_of(each.push(subscription)).status for _ in range(4) for each in (web, other)]
    assert (statuses.count("sending"), statuses.count("pending")) == (4, 4)
    other.client.close()
    other.run()
    other.loop.close()


def test_more_than_the_socket_takes_follows_when_it_is_read(start_engine, web, subscription, receiver):
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    push = a_push(subscription)
    push.rows.events[0].data_json = '{"id": "%s"}' % ("x" * 2_000_000)
    web.hand_over(push, web.claim(push))
    until = time.monotonic() + 10
    while len(receiver.requests) == before and time.monotonic() < until:
        web.run()
        turn(engine)
    assert delivery_of(push).status == "succeeded"
    assert len(receiver.requests[-1].body) > 2_000_000


def test_it_goes_the_usual_way_before_an_engine_offers_room(start_engine, web, subscription):
    start_engine()
    assert web.claim(a_push(subscription)) is None
    assert delivery_of(web.push(subscription)).status == "pending"


def test_no_more_are_under_way_than_the_integration_may_have(start_engine, web, subscription, receiver):
    Integration.objects.update(max_in_flight=8)
    engine = start_engine()
    open_up(engine, web, subscription)
    assert Reservation.objects.get().room == 4
    receiver.script(*[hang()] * 20)
    statuses = [delivery_of(web.push(subscription)).status for _ in range(10)]
    assert (statuses.count("sending"), statuses.count("pending")) == (4, 6)
    engine._receive_handovers()
    engine.claim_at = 0.0
    engine.cycle()
    assert Delivery.objects.filter(status="sending").count() == 8, "claims have what is not reserved"


def no_room(subscription: Subscription) -> None:
    Integration.objects.update(max_in_flight=3)


def a_rate(subscription: Subscription) -> None:
    Integration.objects.update(rate_limit=1000)


def switched_off(subscription: Subscription) -> None:
    Integration.objects.update(is_enabled=False)


def paused(subscription: Subscription) -> None:
    until = timezone.now() + timedelta(minutes=1)
    IntegrationHealth.objects.update_or_create(
        integration_id=subscription.integration_id, defaults={"throttled_until": until}
    )


def broken(subscription: Subscription) -> None:
    probe_at = timezone.now() + timedelta(minutes=1)
    IntegrationHealth.objects.update_or_create(
        integration_id=subscription.integration_id, defaults={"breaker": "open", "probe_at": probe_at}
    )


@pytest.mark.parametrize("forbid", [no_room, a_rate, switched_off, paused, broken])
def test_where_something_speaks_against_it_nothing_is_handed_over(start_engine, web, subscription, receiver, forbid):
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    born = web.claim(push := a_push(subscription))
    web.hand_over(push, born)
    forbid(subscription)
    engine.born_claimed._updated_at -= RENEW_EVERY  # what is known of the integration is no longer fresh
    engine._receive_handovers()
    engine.born_claimed.update(timezone.now())
    engine.cycle()
    web.run()
    assert web.claim(a_push(subscription)) is None
    assert not Reservation.objects.exists()
    if forbid not in (no_room, a_rate):
        assert len(receiver.requests) == before
        assert (delivery_of(push).status, delivery_of(push).attempt_count) == ("retrying", 0)


def test_a_change_of_the_configuration_ends_it_at_once(start_engine, web, subscription):
    engine = start_engine()
    open_up(engine, web, subscription)
    switched_off(subscription)
    push = a_push(subscription)  # planned with what is true now
    assert web.claim(push) is None


@pytest.mark.parametrize("status", [500, 429, 503])
def test_a_receiver_in_trouble_is_left_to_claims(start_engine, web, subscription, receiver, status):
    engine = start_engine()
    open_up(engine, web, subscription)
    receiver.script(answer(status))
    failed = web.push(subscription)
    turn(engine)
    web.run()
    assert delivery_of(failed).status == "retrying"
    assert web.claim(a_push(subscription)) is None


def test_a_payload_that_is_refused_is_no_trouble(start_engine, web, subscription, receiver):
    Integration.objects.update(permanent_statuses=[422])
    engine = start_engine()
    open_up(engine, web, subscription)
    receiver.script(answer(422))
    refused = web.push(subscription)
    turn(engine)
    web.run()
    assert delivery_of(refused).status == "failed"
    assert web.claim(a_push(subscription)) is not None


def test_an_offer_ends_if_the_engine_does_not_renew_it(start_engine, web, subscription, monkeypatch):
    engine = start_engine()
    open_up(engine, web, subscription)
    later = time.monotonic() + LIFETIME.total_seconds()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: later)
        found = web.client.claim(a_push(subscription).rows)
    assert found is None


def test_what_is_not_stored_gives_its_room_back(start_engine, web, subscription):
    Integration.objects.update(max_in_flight=8)
    engine = start_engine()
    open_up(engine, web, subscription)
    for _ in range(20):
        push = a_push(subscription)
        born = web.client.claim(push.rows)
        assert born is not None
        web.client.cancel(push.rows, born)
        assert push.rows.deliveries[0].lease is None
        assert push.rows.deliveries[0].due_at == push.rows.now


def test_of_two_engines_of_a_host_one_has_an_integrations_room(start_engine, web, subscription):
    first, second = start_engine(), start_engine()
    open_up(first, web, subscription)
    open_up(second, web, subscription)
    assert Reservation.objects.get().engine_id == first.slot.id
    assert Reservation.objects.get().room == MAX_ROOM
    assert Engine.objects.count() == 2


def test_a_stopping_engine_sends_what_was_committed_for_it_meanwhile(start_engine, web, subscription, receiver):
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    push = a_push(subscription)
    born = web.claim(push)
    web.hand_over(push, born)
    web.loop.call_later(0.05, web.loop.stop)  # the engine waits for this process to close
    import threading

    thread = threading.Thread(target=web.loop.run_forever)
    thread.start()
    engine._drain()
    thread.join()
    assert delivery_of(push).status == "succeeded"
    assert len(receiver.requests) == before + 1
    web.run()
    assert web.client.claim(a_push(subscription).rows) is None


def test_what_a_dead_engine_never_got_is_due_for_the_others_at_once(start_engine, web, subscription):
    engine = start_engine()
    open_up(engine, web, subscription)
    push = a_push(subscription)
    born = web.claim(push)
    assert backend().write_pushes([push]) == [None]
    for connected in list(engine.born_claimed._server._web_processes.values()):
        connected.connection.close()  # as the kernel does when a process is killed
    engine.born_claimed._server._web_processes.clear()
    web.run()
    web.client.conclude([(born, True)])
    (row,) = web.released
    release(ids=[row.id], lease=row.lease)
    delivery = delivery_of(push)
    assert (delivery.status, delivery.lease, delivery.attempt_count, delivery.first_sent_at) == (
        "pending",
        None,
        0,
        None,
    )
    assert delivery.due_at is not None
    assert delivery.due_at <= timezone.now()


def test_release_leaves_alone_what_has_another_lease(subscription):
    push = a_push(subscription, lease=uuid.uuid4())
    backend().write_pushes([push])
    release(ids=[push.rows.deliveries[0].id], lease=uuid.uuid4())
    assert delivery_of(push).status == "sending"


def test_an_engine_that_stood_still_sends_nothing_on_old_leases(start_engine, web, subscription, receiver, monkeypatch):
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    push = web.push(subscription)
    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "MAX_START_DELAY", -1.0)
        engine._receive_handovers()
    assert len(receiver.requests) == before
    engine.cycle()  # gives it back
    turn(engine)
    engine.claim_at = 0.0
    engine.cycle()
    turn(engine)
    assert delivery_of(push).status == "succeeded"
    assert len(receiver.requests) == before + 1


class TestSockets:
    def test_a_process_of_another_user_is_refused(self, monkeypatch):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert handover.is_ours(ours)
            monkeypatch.setattr(os, "geteuid", lambda: 12_345)
            assert not handover.is_ours(ours)

    def test_messages_come_whole_however_they_are_cut(self):
        sent = [{"close": [1]}, {"announced": ["é" * 1000]}, {"close": None}]
        data = b"".join(handover.packed(message) for message in sent)
        for size in (1, 3, 1000, len(data)):
            messages = handover.Messages()
            found = [m for at in range(0, len(data), size) for m in messages.feed(data[at : at + size])]
            assert found == sent

    def test_what_is_no_message_ends_the_connection_and_nothing_else(self, start_engine, web, subscription):
        engine = start_engine()
        stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with stranger:
            stranger.connect(handover.address(engine.slot.slot))
            stranger.sendall(b"\xff" * 100)
            engine.born_claimed.receive(timezone.now())
            engine.born_claimed.receive(timezone.now())
            assert stranger.recv(1) == b""
        open_up(engine, web, subscription)
        assert web.claim(a_push(subscription)) is not None


def test_rows_without_a_lease_are_handed_to_nobody(start_engine, web, subscription):
    engine = start_engine()
    open_up(engine, web, subscription)
    push = a_push(subscription)
    ordered = push.rows.deliveries[0]
    ordered.order_key = "order/1"
    assert web.client.claim(push.rows) is None
    assert isinstance(push.rows, PushRows)
    assert ordered.lease is None


def test_room_that_web_processes_may_use_is_not_taken_back_while_it_fits(start_engine, web, subscription, receiver):
    Integration.objects.update(max_in_flight=20)
    engine = start_engine()
    open_up(engine, web, subscription)
    assert Reservation.objects.get().room == 10
    claimed = {"status": "sending", "lease": uuid.uuid4(), "due_at": timezone.now() + LIFETIME, "attempt_count": 1}
    DeliveryFactory.create_batch(6, subscription=subscription, **claimed)
    engine.born_claimed._last_used_at[subscription.integration_id] = time.monotonic()
    engine.born_claimed._updated_at -= RENEW_EVERY
    engine.born_claimed.update(timezone.now())
    web.run()
    assert Reservation.objects.get().room == 10, "half of what is left would be 7"
    receiver.script(*[hang()] * 10)
    statuses = [delivery_of(web.push(subscription)).status for _ in range(12)]
    assert (statuses.count("sending"), statuses.count("pending")) == (10, 2)
