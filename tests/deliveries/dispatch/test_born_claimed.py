"""Deliveries that are written with the lease of an engine and handed to it: over real sockets, both halves in turn."""

from __future__ import annotations

import uuid

import pytest
from django.db import OperationalError
from django.utils import timezone

from deliveries.dispatch import engine as engine_module
from deliveries.ingest.failed_handover import release
from deliveries.models import Attempt
from deliveries.storage import backend
from deliveries.storage.rows.pushes import PushRows
from integrations.models import Integration
from tests.deliveries.dispatch.handing_over import count_calls, delivery_of, open_up, turn
from tests.deliveries.storage.pushes import a_push

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("host")]


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


@pytest.mark.parametrize("is_announced_before", [True, False])
def test_what_is_announced_and_not_stored_is_never_sent(start_engine, web, subscription, receiver, is_announced_before):
    Integration.objects.update(max_in_flight=8)
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    for _ in range(20):
        push = a_push(subscription)
        born = web.claim(push)
        assert born is not None, "the room of those before is free again"
        web.client.announce([(push.rows, born)])
        if is_announced_before:
            engine._receive_handovers()
        web.client.conclude([(born, False)])
        web.client.cancel(push.rows, born)
        turn(engine)
        web.run()
        assert not engine.born_claimed._in_flight
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


def test_so_is_what_an_engine_is_told_of_that_has_just_died(start_engine, web, subscription):
    engine = start_engine()
    open_up(engine, web, subscription)
    push = a_push(subscription)
    born = web.claim(push)
    assert backend().write_pushes([push], meanwhile=lambda: web.client.announce([(push.rows, born)])) == [None]
    for connected in engine.born_claimed._server._web_processes.values():
        connected.connection.close()
    web.client.conclude([(born, True)])  # the loop has not noticed yet
    assert [row.id for row in web.released] == [push.rows.deliveries[0].id]


def test_release_leaves_alone_what_has_another_lease(subscription):
    push = a_push(subscription, lease=uuid.uuid4())
    backend().write_pushes([push])
    release(ids=[push.rows.deliveries[0].id], lease=uuid.uuid4())
    assert delivery_of(push).status == "sending"


def test_what_an_outage_kept_from_being_sent_is_sent_after_it(start_engine, web, subscription, receiver, monkeypatch):
    engine = start_engine()
    open_up(engine, web, subscription)
    pushes = [web.push(subscription) for _ in range(3)]

    def away(_: int) -> None:
        raise OperationalError("gone away")

    with monkeypatch.context() as patch:
        patch.setattr(engine.config, "expect_at_least", away)
        with pytest.raises(OperationalError):
            engine._receive_handovers()
    turn(engine)
    assert [delivery_of(push).status for push in pushes] == ["succeeded"] * 3
    assert not engine.born_claimed._in_flight


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
    assert not engine.born_claimed._in_flight
    turn(engine)
    engine.claim_at = 0.0
    engine.cycle()
    turn(engine)
    assert delivery_of(push).status == "succeeded"
    assert len(receiver.requests) == before + 1


def test_rows_without_a_lease_are_handed_to_nobody(start_engine, web, subscription):
    engine = start_engine()
    open_up(engine, web, subscription)
    push = a_push(subscription)
    ordered = push.rows.deliveries[0]
    ordered.order_key = "order/1"
    assert web.client.claim(push.rows) is None
    assert isinstance(push.rows, PushRows)
    assert ordered.lease is None
