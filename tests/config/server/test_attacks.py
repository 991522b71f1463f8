"""Few bytes must not become much memory, and whoever takes an answer slowly must not hold a thread."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from config.server.limits import Limits
from tests.config.server.conftest import Client, Server, echo
from tests.config.server.test_http import GET, HOST

CHUNKED = b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell")
def test_a_body_in_tiny_chunks_costs_the_memory_that_is_counted() -> None:
    bodies = []

    def application(environ, start_response):
        bodies.append(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return []

    with Server(application) as server:
        before = resident_bytes()
        client = server.client().send(CHUNKED)
        for _ in range(100):
            client.send(b"2\r\nab\r\n" * 10_000)
        server.eventually(lambda: server.connections.buffered == 2_000_000, "it did not arrive")

        assert resident_bytes() - before < 20_000_000
        assert client.send(b"0\r\n\r\n").answer()[0] == 200
    assert bodies == [b"ab" * 1_000_000]


def test_who_sends_very_many_requests_ahead_gets_some_answers_and_the_end() -> None:
    release = threading.Event()

    def application(environ, start_response):
        release.wait(20)
        return echo(environ, start_response)

    with Server(application, Limits(pipelined_requests=10), threads=1) as server:
        client = server.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 5_000)
        server.eventually(lambda: any(other.ready for other in server.connections.open), "they did not come")
        try:
            assert server.call(lambda: max(len(other.ready) for other in server.connections.open)) <= 10
        finally:
            release.set()
        raw = client.rest()

    assert 1 <= raw.count(b"HTTP/1.1 200 OK") <= 11
    assert b"Connection: close" in raw.rpartition(b"HTTP/1.1 200 OK")[2]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\nHost: a\nContent-Length: 0\n\n", b"400"),
        (CHUNKED + b"3\nabc\n0\n\n", b"400"),
        (CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n", b"400"),
        (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", b"400"),
        (CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", b"400"),
        (CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\nabc", b"400"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\n", b"400"),
    ],
)
def test_odd_framing_is_refused_and_nothing_behind_it_is_read(raw: bytes, status: bytes) -> None:
    with Server() as server:
        said = server.client().send(raw + b"GET /second HTTP/1.1\r\n" + HOST + b"\r\n").rest()

    assert said.startswith(b"HTTP/1.1 " + status)
    assert said.count(b"HTTP/1.1 4") == 1
    assert b" 200 " not in said


def long_answer(size: int):
    """An application whose answer at /long comes in pieces, as files do."""

    def application(environ, start_response):
        start_response("200 OK", [])
        is_long = environ["PATH_INFO"] == "/long"
        return (b"x" * 65536 for _ in range(size // 65536)) if is_long else [b"short"]

    return application


def slow_reader(server: Server) -> Client:
    """A client with little room in its kernel for what it does not read, that has asked for the long answer."""
    client = server.client()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return client.send(LONG)


LONG = b"GET /long HTTP/1.1\r\n" + HOST + b"\r\n"


def test_slow_readers_of_a_page_or_file_hold_no_thread() -> None:
    with Server(long_answer(3_000_000), threads=1, send_buffer=65536) as server:
        for _ in range(5):
            slow_reader(server).socket.recv(10)

        client = server.client()
        for _ in range(5):
            assert client.send(GET).answer()[2] == b"short"


def test_answers_in_memory_are_bounded_and_the_slowest_reader_goes() -> None:
    limits = Limits(unread_bytes=10_000_000)
    with Server(long_answer(3_000_000), limits, threads=1, send_buffer=65536) as server:
        readers = []
        for number in range(6):
            readers.append(slow_reader(server))
            readers[-1].socket.recv(10)
            server.eventually(lambda n=number: server.connections.unread() > min(n, 2) * 2_500_000, "it is not waiting")
        server.eventually(lambda: len(server.connections.open) == 3, "nobody made room")

        assert server.call(lambda: server.connections.unread()) <= 10_000_000
        assert server.client().send(GET).answer()[2] == b"short"
        assert not readers[0].rest().endswith(b"0\r\n\r\n")


def test_who_takes_an_answer_by_drops_is_given_up() -> None:
    def sip(client: Client, stopped: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while client.socket.recv(1000) and not stopped.wait(0.05):
                pass

    stopped = threading.Event()
    with Server(long_answer(50_000_000), Limits(write_seconds=1.0, write_rate=1_000_000), threads=1) as server:
        slow = slow_reader(server)
        thread = threading.Thread(target=sip, args=(slow, stopped))
        thread.start()
        try:
            # The only thread waits for the slow one until it is given up.
            assert server.client().send(GET).answer()[2] == b"short"
        finally:
            stopped.set()
            thread.join(10)


def test_who_takes_a_long_answer_steadily_gets_it_whole() -> None:
    limits = Limits(write_seconds=0.5, write_rate=100_000)
    with Server(long_answer(10_000_000), limits, threads=1) as server:
        client = server.client().send(LONG)
        raw = b""
        while not raw.endswith(b"0\r\n\r\n"):
            more = client.socket.recv(200_000)
            assert more, "it was cut off"
            raw = raw[-10:] + more
            time.sleep(0.04)
