"""What every transport promises of many requests, one after the other or at once, run against each of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from integrations.transport.base import Transport, TransportError
from tests.integrations.transport.conftest import DEADLINE, LATEST, collect, exchange, post
from tests.receiver import Receiver, answer, close_silently, hang, raw_answer, slow_body


class TestKeptConnections:
    def test_requests_one_after_the_other_share_a_connection(self, transport: Transport, receiver: Receiver) -> None:
        for _ in range(5):
            assert exchange(transport, post(receiver.url())).error is None
        assert receiver.connections == 1

    def test_one_that_the_receiver_closed_meanwhile_is_noticed_before_sending(
        self, transport: Transport, receiver: Receiver
    ) -> None:
        receiver.script(raw_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        for _ in range(3):
            assert exchange(transport, post(receiver.url())).error is None
            receiver.wait_until_closed()
        assert len(receiver.requests) == receiver.connections == 3

    def test_one_that_breaks_after_sending_is_never_sent_again_by_itself(
        self, transport: Transport, receiver: Receiver
    ) -> None:
        receiver.script(answer(), close_silently(), answer())
        assert exchange(transport, post(receiver.url())).error is None
        result = exchange(transport, post(receiver.url()))
        assert result.error is not None
        assert result.error.kind == TransportError.CONNECTION
        assert len(receiver.requests) == 2

    def test_one_that_the_deadline_ended_is_not_used_again(self, transport: Transport, receiver: Receiver) -> None:
        receiver.script(answer(), slow_body(), answer())
        exchange(transport, post(receiver.url()))
        assert exchange(transport, post(receiver.url(), timeout=DEADLINE)).error is not None
        assert exchange(transport, post(receiver.url())).error is None


class TestManyAtOnce:
    def test_each_submitted_request_yields_exactly_one_result(self, transport: Transport, receiver: Receiver) -> None:
        receiver.script(answer(delay=0.02))
        for number in range(300):
            transport.submit(number, post(receiver.url(), b"%d" % number, timeout=10.0))
        results = collect(transport, 300)
        assert sorted(result.key for result in results) == list(range(300))
        assert all(result.error is None for result in results)
        assert sorted(int(request.body) for request in receiver.requests) == list(range(300))
        assert transport.collect(0.05) == []

    def test_slow_receivers_are_waited_for_side_by_side(self, transport: Transport, receiver: Receiver) -> None:
        receiver.script(answer(delay=0.3))
        started = time.monotonic()
        for number in range(60):
            transport.submit(number, post(receiver.url(), timeout=5.0))
        assert all(result.error is None for result in collect(transport, 60))
        assert time.monotonic() - started < 1.5

    def test_one_that_hangs_does_not_hold_up_the_others(self, transport: Transport, receiver: Receiver) -> None:
        receiver.script(hang(), path="/slow")
        for number in range(32):
            transport.submit(("slow", number), post(receiver.url("/slow"), timeout=1.0))
        for number in range(32):
            transport.submit(("fast", number), post(receiver.url("/fast"), timeout=1.0))
        fast = [result for result in collect(transport, 64) if result.response is not None]
        assert len(fast) == 32
        assert all(result.key[0] == "fast" for result in fast)

    def test_those_in_line_past_the_capacity_end_by_their_deadline_too(
        self, transport: Transport, receiver: Receiver
    ) -> None:
        receiver.script(hang())
        started = time.monotonic()
        for number in range(200):
            transport.submit(number, post(receiver.url(), timeout=DEADLINE))
        results = collect(transport, 200)
        assert {result.error and result.error.kind for result in results} == {TransportError.TIMEOUT}
        assert time.monotonic() - started < LATEST

    def test_collect_waits_no_longer_than_it_was_told(self, transport: Transport) -> None:
        started = time.monotonic()
        assert transport.collect(0.05) == []
        assert transport.collect(0) == []
        assert 0.04 < time.monotonic() - started < 0.5

    def test_wake_ends_a_waiting_collect(self, transport: Transport) -> None:
        timer = threading.Timer(0.05, transport.wake)
        timer.start()
        started = time.monotonic()
        assert transport.collect(10.0) == []
        assert time.monotonic() - started < 2

    def test_closing_ends_what_is_in_flight(self, build: Callable[..., Transport], receiver: Receiver) -> None:
        receiver.script(hang())
        transport = build()
        transport.submit("key", post(receiver.url(), timeout=DEADLINE))
        assert transport.collect(0.1) == []
        receiver.wait_for(1)
        transport.close()
        receiver.wait_until_closed()
