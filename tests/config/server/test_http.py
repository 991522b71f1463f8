"""Requests off the wire: what is read, what is refused, and what the application gets of it."""

from __future__ import annotations

import json

import pytest

from config.server.limits import Limits
from tests.config.server.conftest import Server, echo

HOST = b"Host: 127.0.0.1\r\n"
GET = b"GET /a%20b?c=%20d HTTP/1.1\r\n" + HOST + b"\r\n"


def post(body: bytes, headers: bytes = b"", target: bytes = b"/x") -> bytes:
    return b"POST " + target + b" HTTP/1.1\r\n" + HOST + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_a_request_is_answered_and_the_connection_kept(server: Server) -> None:
    client = server.client()

    assert client.send(GET).answer()[::2] == (200, b"GET /a b?c=%20d ")
    assert client.send(post(b"hello")).answer()[::2] == (200, b"POST /x? hello")


def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    client = server.client()
    for byte in post(b"hello"):
        client.send(bytes([byte]))

    assert client.answer()[2] == b"POST /x? hello"


def test_requests_that_are_sent_without_waiting_are_answered_in_order(server: Server) -> None:
    client = server.client()
    client.send(b"".join(post(b"%d" % number) for number in range(50)))

    assert [client.answer()[2] for _ in range(50)] == [b"POST /x? %d" % number for number in range(50)]


def test_a_chunked_body_arrives_whole_and_its_trailers_are_no_headers(server: Server) -> None:
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        return echo(environ, start_response)

    with Server(application) as other:
        client = other.client()
        client.send(b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        client.send(b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Hub-Store: evil\r\n\r\n")

        assert client.answer()[2] == b"POST /x? hello world"
    assert seen["CONTENT_LENGTH"] == "11"
    assert "HTTP_X_HUB_STORE" not in seen


def test_headers_with_underscores_do_not_pass_for_others() -> None:
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        return echo(environ, start_response)

    with Server(application) as server:
        server.client().send(
            b"GET / HTTP/1.1\r\n" + HOST + b"X_Hub_Store: evil\r\nX-Hub-Store: good\r\nCookie: a=1\r\nCookie: b=2\r\n"
            b"X-Two: 1\r\nX-Two: 2\r\n\r\n"
        ).answer()

    assert seen["HTTP_X_HUB_STORE"] == "good"
    assert seen["HTTP_COOKIE"] == "a=1; b=2"
    assert seen["HTTP_X_TWO"] == "1,2"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Expect: miracles\r\nContent-Length: 1\r\n\r\na", 417),
        (b"CONNECT example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X : a\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 120 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 400_000, 431),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_closed(
    server: Server, raw: bytes, status: int
) -> None:
    client = server.client().send(raw + GET)
    code, headers, body = client.answer()

    assert (code, headers["connection"]) == (status, "close")
    assert json.loads(body)["type"] == "error.list"
    assert client.rest() == b""


@pytest.mark.parametrize("ask", [b"h2c", b"websocket"])
def test_a_client_that_would_rather_speak_something_else_is_answered_in_http_1_1(server: Server, ask: bytes) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + ask + b"\r\nHTTP2-Settings: AAMAAABk\r\n"
    client = server.client().send(post(b"hello", upgrade))

    assert client.answer()[2] == b"POST /x? hello"
    assert client.send(GET).answer()[0] == 200


def test_who_asks_before_sending_a_body_is_told_to_go_on(server: Server) -> None:
    client = server.client()
    client.send(b"POST /x HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.answer()[0] == 100
    assert client.send(b"hello").answer()[2] == b"POST /x? hello"


@pytest.mark.parametrize("framing", [b"Content-Length: 101\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n65\r\n"])
def test_a_body_over_the_limit_is_not_kept_and_the_application_says_so(framing: bytes) -> None:
    lengths = []

    def application(environ, start_response):
        lengths.append((environ["CONTENT_LENGTH"], environ["wsgi.input"].read()))
        start_response("413 Content Too Large", [])
        return [b"too large"]

    with Server(application, Limits(body_bytes=100)) as server:
        client = server.client().send(b"POST /x HTTP/1.1\r\n" + HOST + framing + b"a" * 101)
        code, headers, body = client.answer()
        assert (code, headers["connection"], body) == (413, "close", b"too large")
        server.eventually(lambda: server.connections.buffered == 0, "its body is still held")
    assert lengths == [("101", b"")]


def test_half_a_request_and_the_end_of_the_connection_leave_nothing(server: Server) -> None:
    client = server.client().send(b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
    server.eventually(lambda: server.connections.buffered == 3, "it did not arrive")
    client.close()

    server.eventually(lambda: (server.connections.buffered, len(server.connections.open)) == (0, 0), "it is held")
    assert server.call(lambda: len(server.connections.unfinished)) == 0


def test_whoever_has_said_all_gets_the_answer(server: Server) -> None:
    client = server.client().send(post(b"hello"))
    client.socket.shutdown(1)

    assert client.answer()[2] == b"POST /x? hello"


def test_http_1_0_is_closed_after_the_answer_unless_it_asks(server: Server) -> None:
    assert b"Connection: close" in server.client().send(b"GET / HTTP/1.0\r\n\r\n").rest()
    client = server.client().send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert client.answer()[1]["connection"] == "keep-alive"
    assert client.send(GET).answer()[0] == 200


def test_the_absolute_form_means_its_path(server: Server) -> None:
    client = server.client().send(b"GET http://other.example/p?q HTTP/1.1\r\n" + HOST + b"\r\n")
    assert client.answer()[2] == b"GET /p?q "


def test_a_head_request_gets_the_headers_alone(server: Server) -> None:
    client = server.client().send(b"HEAD /x HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    raw = client.rest()
    assert b"Content-Length: 9" in raw
    assert raw.endswith(b"\r\n\r\n")


def test_an_application_that_fails_is_a_500_and_the_next_request_is_answered() -> None:
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/bad":
            raise SystemExit("evil")
        return echo(environ, start_response)

    with Server(application, threads=1) as server:
        assert server.client().send(post(b"", target=b"/bad")).answer()[0] == 500
        assert server.client().send(GET).answer()[0] == 200


def test_a_long_answer_is_streamed_no_faster_than_it_is_taken() -> None:
    made = []

    def application(environ, start_response):
        start_response("200 OK", [])

        def pieces():
            for number in range(400):
                made.append(number)
                yield b"x" * 65536

        return pieces()

    with Server(application) as server:
        client = server.client().send(GET)
        client.socket.recv(10)
        server.eventually(lambda: len(made) > 8, "nothing was made")
        assert len(made) < 300, "all was made although nobody took it"
        raw = b""
        while not raw.endswith(b"0\r\n\r\n"):
            raw = raw[-10:] + client.socket.recv(1 << 20)
        assert len(made) == 400
        assert client.send(b"GET /y HTTP/1.1\r\n" + HOST + b"\r\n").socket.recv(15) == b"HTTP/1.1 200 OK"


def test_an_answer_that_breaks_off_does_not_look_complete() -> None:
    def application(environ, start_response):
        start_response("200 OK", [])

        def pieces():
            yield b"x" * 300_000
            raise RuntimeError("the file is gone")

        return pieces()

    with Server(application) as server:
        assert not server.client().send(GET).rest().endswith(b"0\r\n\r\n")
