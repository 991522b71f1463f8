"""No client can hold the server: not by being slow, not by being many, not by waiting long."""

from __future__ import annotations

import select
import threading
import time

import pytest

from config.server.limits import Limits
from tests.config.server.conftest import Server, echo
from tests.config.server.test_http import GET, HOST, post

BODY = b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n"


@pytest.mark.parametrize(
    ("begun", "said"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHos", b"408 Request Timeout"),
        (b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc", b"408 Request Timeout"),
        (b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"e" * 900, b"408 Request Timeout"),
    ],
)
def test_a_request_that_does_not_come_to_an_end_is_given_up(begun: bytes, said: bytes) -> None:
    with Server(limits=Limits(head_seconds=0.5, body_seconds=0.5)) as server:
        raw = server.client().send(begun).rest()

        assert said in raw
        assert bool(raw) == bool(said)


def test_a_body_that_comes_steadily_is_waited_for() -> None:
    with Server(limits=Limits(body_seconds=0.5, body_rate=1000)) as server:
        client = server.client().send(b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 20000\r\n\r\n")
        for _ in range(20):
            client.send(b"a" * 1000)
            time.sleep(0.1)

        assert client.answer()[0] == 200


def test_an_idle_connection_is_closed_without_a_word() -> None:
    with Server(limits=Limits(idle_seconds=0.5)) as server:
        client = server.client().send(GET)
        assert client.answer()[0] == 200
        assert client.rest() == b""


def test_a_client_that_does_not_take_its_answer_is_given_up_and_its_thread_free() -> None:
    def application(environ, start_response):
        start_response("200 OK", [])
        return (b"x" * 65536 for _ in range(2000)) if environ["PATH_INFO"] == "/long" else [b"short"]

    with Server(application, Limits(write_seconds=1.0), threads=1) as server:
        greedy = server.client().send(b"GET /long HTTP/1.1\r\n" + HOST + b"\r\n")
        # The only thread is busy with it until it is given up.
        assert server.client().send(GET).answer()[2] == b"short"
        assert not greedy.rest().endswith(b"0\r\n\r\n")


def test_two_hundred_slow_connections_keep_nobody_waiting() -> None:
    with Server(threads=2) as server:
        for number in range(200):
            server.client().send([b"", b"GET / HT", BODY + b"abc", BODY][number % 4])
        client = server.client()

        for _ in range(20):
            assert client.send(GET).answer()[0] == 200
        assert server.call(lambda: len(server.connections.unfinished)) >= 200


def test_of_one_address_the_longest_unfinished_makes_room() -> None:
    with Server(limits=Limits(unfinished_per_address=10)) as server:
        first = server.client().send(b"GET / HTTP/1.1\r\n")
        others = [server.client().send(b"GET / HTTP/1.1\r\n") for _ in range(9)]
        server.eventually(lambda: len(server.connections.unfinished) == 10, "they did not come")
        late = server.client().send(GET)

        assert late.answer()[0] == 200
        assert b"503 Service Unavailable" in first.rest()
        assert others[-1].send(HOST + b"\r\n").answer()[0] == 200


def test_when_there_are_too_many_connections_an_idle_one_makes_room() -> None:
    with Server(limits=Limits(connections=20)) as server:
        idle = [server.client() for _ in range(20)]
        assert all(client.send(GET).answer()[0] == 200 for client in idle)

        assert server.client().send(GET).answer()[0] == 200
        assert server.call(lambda: len(server.connections.open)) == 20
        closed, _, _ = select.select([client.socket for client in idle], [], [], 20)
        assert len(closed) == 1


def test_bodies_in_memory_are_bounded_and_the_slowest_goes() -> None:
    with Server(limits=Limits(buffered_bytes=250_000)) as server:
        slow = server.client().send(BODY + b"a" * 99_000)
        server.eventually(lambda: server.connections.buffered == 99_000, "it did not come")
        second = server.client().send(BODY + b"a" * 99_000)
        server.eventually(lambda: server.connections.buffered == 198_000, "it did not come")

        assert server.client().send(post(b"b" * 100_000)).answer()[0] == 200
        assert b"503 Service Unavailable" in slow.rest()
        assert second.send(b"a" * 1000).answer()[0] == 200
        server.eventually(lambda: server.connections.buffered == 0, "memory is not given back")


def test_health_is_answered_while_every_thread_is_busy() -> None:
    release = threading.Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/busy":
            release.wait(20)
        return echo(environ, start_response)

    with Server(application, threads=2) as server:
        busy = [server.client().send(b"GET /busy HTTP/1.1\r\n" + HOST + b"\r\n") for _ in range(4)]
        try:
            for path in (b"/healthz", b"/readyz", b"/metrics"):
                assert server.client().send(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n").answer()[0] == 200
            assert server.client().send(post(b"{}", target=b"/api/v1/push")).answer()[0] == 200
        finally:
            release.set()
        assert all(client.answer()[0] == 200 for client in busy)


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        (b"/in/abc", b"push"),
        (b"/admin/", b"page"),
        (b"/api/v1/integrations/x/ping", b"receiver"),
        (b"/readyz", b"probe"),
    ],
)
def test_each_kind_of_request_has_threads_of_its_own(path, lane):
    def name(environ, start_response):
        start_response("200 OK", [])
        return [threading.current_thread().name.encode()]

    with Server(name) as server:
        assert server.client().send(post(b"{}", target=path)).answer()[2].startswith(lane)


def test_requests_that_wait_for_receivers_keep_neither_pages_nor_pushes_waiting() -> None:
    release = threading.Event()
    waiting = [b"/api/v1/integrations/crm/context", b"/api/v1/integrations/crm/ping", b"/api/v1/subscriptions/x/ping"]

    def application(environ, start_response):
        if environ["PATH_INFO"].encode() in waiting:
            release.wait(20)
        return echo(environ, start_response)

    with Server(application, threads=2) as server:
        held = [server.client().send(post(b"{}", target=path)) for path in waiting * 3]
        try:
            assert server.client().send(post(b"{}", target=b"/api/v1/push")).answer()[0] == 200
            assert server.client().send(b"GET /admin/ HTTP/1.1\r\n" + HOST + b"\r\n").answer()[0] == 200
        finally:
            release.set()
        assert all(client.answer()[0] == 200 for client in held)
