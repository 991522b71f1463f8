"""What every transport promises, run against each of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from integrations.transport.base import RESPONSE_BODY_LIMIT, Request, Transport, TransportError
from tests.integrations.transport.conftest import DEADLINE, LATEST, exchange, post
from tests.receiver import (
    Behaviour,
    Receiver,
    answer,
    close_silently,
    endless_body,
    endless_chunk_line,
    endless_continue,
    gzip_bomb,
    hang,
    hang_after_headers,
    huge_header,
    many_headers,
    raw_answer,
    read_ledger,
    redirect,
    reset,
    slow_body,
    slow_header,
    ten_gigabytes,
)

NUL_HEADER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: a\x00b\r\n\r\n"


class TestTheRequestOnTheWire:
    def test_it_is_sent_byte_by_byte_as_given(self, transport: Transport, receiver: Receiver) -> None:
        path = "/a%2fb/../c//%7e?x=[1]&y={z}&u=a@b:c%zz"
        exchange(transport, post(receiver.url(path), b'{"\xff": 1}', headers=[("X-Name", "caf\xe9"), ("X-None", "")]))
        (received,) = receiver.wait_for(1)
        assert received.target == path
        assert received.body == b'{"\xff": 1}'
        assert received.header("x-name") == "caf\xe9"
        assert received.header("x-none") == ""
        assert received.header("host") == f"127.0.0.1:{receiver.port}"

    def test_nothing_is_added_but_what_http_needs(self, transport: Transport, receiver: Receiver) -> None:
        exchange(transport, post(receiver.url()))
        names = sorted(name.lower() for name, _ in receiver.wait_for(1)[0].headers)
        assert names == ["accept", "accept-encoding", "content-length", "host", "user-agent"]
        exchange(transport, Request("GET", receiver.url(), (), b"", 2.0))
        names = sorted(name.lower() for name, _ in receiver.wait_for(2)[1].headers)
        assert names == ["accept", "accept-encoding", "host"]

    def test_a_decoded_answer_is_never_asked_for(self, transport: Transport, receiver: Receiver) -> None:
        exchange(transport, post(receiver.url()))
        assert receiver.wait_for(1)[0].header("accept-encoding") == "identity"

    def test_the_same_header_may_be_sent_twice(self, transport: Transport, receiver: Receiver) -> None:
        exchange(transport, post(receiver.url(), headers=[("X-A", "1"), ("X-A", "2")]))
        assert [value for name, value in receiver.wait_for(1)[0].headers if name == "X-A"] == ["1", "2"]

    @pytest.mark.parametrize(
        ("method", "body"),
        [("GET", b""), ("DELETE", b""), ("PUT", b"x"), ("PATCH", b"x"), ("POST", b""), ("PUT", b""), ("DELETE", b"x")],
    )
    def test_every_method_is_sent_with_its_body(
        self, transport: Transport, receiver: Receiver, method: str, body: bytes
    ) -> None:
        for _ in range(2):  # the second time on the same handle and connection
            assert exchange(transport, Request(method, receiver.url(), (), body, 2.0)).error is None
        first, second = receiver.wait_for(2)
        assert (first.method, first.body) == (second.method, second.body) == (method, body)
        assert (first.header("content-length") is None) == (not body and method in ("GET", "DELETE"))
        assert first.header("content-type") is None

    def test_a_head_request_has_no_body_to_wait_for(self, transport: Transport, receiver: Receiver) -> None:
        receiver.script(raw_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"))
        result = exchange(transport, Request("HEAD", receiver.url(), (), b"", 2.0))
        assert result.response is not None
        assert result.response.body == b""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("X-A", "a\r\nX-B: b"),
            ("X-A", "a\nb"),
            ("X-A", "a\x00b"),
            ("X-A", "snow ☃"),
            ("X A", "a"),
            ("", "a"),
            ("X-A:", "a"),
            ("Host", "evil.example"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
        ],
    )
    def test_a_header_that_cannot_be_sent_is_a_permanent_error(
        self, transport: Transport, receiver: Receiver, name: str, value: str
    ) -> None:
        error = exchange(transport, post(receiver.url(), headers=[(name, value)])).error
        assert error is not None
        assert (error.kind, error.permanent) == (TransportError.PROTOCOL, True)
        assert receiver.connections == 0

    def test_a_large_body_arrives_whole_and_at_once(self, transport: Transport, receiver: Receiver) -> None:
        body = os.urandom(2_000_000)
        assert exchange(transport, post(receiver.url(), body)).error is None
        received = receiver.wait_for(1)[0]
        assert received.body == body
        assert received.header("expect") is None


class TestTheAnswer:
    def test_it_is_returned_as_it_came(self, transport: Transport, receiver: Receiver) -> None:
        receiver.script(answer(418, b"\x00\xffteapot", {"X-Odd-CASE": " a  b ", "Set-Cookie": "a=b"}))
        result = exchange(transport, post(receiver.url()))
        assert result.response is not None
        assert (result.response.status, result.response.body) == (418, b"\x00\xffteapot")
        assert ("X-Odd-CASE", "a  b") in result.response.headers
        assert result.response.header("x-odd-case") == "a  b"
        assert not result.response.is_truncated
        assert 0 < result.duration < 1

    @pytest.mark.parametrize("size", [0, 1, RESPONSE_BODY_LIMIT - 1, RESPONSE_BODY_LIMIT])
    def test_a_body_up_to_the_limit_is_whole(self, transport: Transport, receiver: Receiver, size: int) -> None:
        receiver.script(answer(200, b"z" * size))
        for _ in range(2):
            response = exchange(transport, post(receiver.url())).response
            assert response is not None
            assert (len(response.body), response.is_truncated) == (size, False)
        assert receiver.connections == 1

    @pytest.mark.parametrize("behaviour", [answer(200, b"z" * 10_000_000), ten_gigabytes(), endless_body()])
    def test_a_longer_body_is_cut_and_the_rest_never_read(
        self, transport: Transport, receiver: Receiver, behaviour: Behaviour
    ) -> None:
        receiver.script(behaviour)
        before = _resident_bytes()
        result = exchange(transport, post(receiver.url(), timeout=5.0))
        assert result.response is not None
        assert (len(result.response.body), result.response.is_truncated) == (RESPONSE_BODY_LIMIT, True)
        assert result.duration < 2
        assert _resident_bytes() - before < 20_000_000
        receiver.wait_until_closed()

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "junk"])
    def test_a_compressed_body_is_never_opened(self, transport: Transport, receiver: Receiver, encoding: str) -> None:
        receiver.script(gzip_bomb(10, encoding))
        before = _resident_bytes()
        response = exchange(transport, post(receiver.url())).response
        assert response is not None
        assert response.body[:2] == b"\x1f\x8b"
        assert len(response.body) < RESPONSE_BODY_LIMIT
        assert _resident_bytes() - before < 20_000_000

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_an_answer_and_is_not_followed(
        self, transport: Transport, receiver: Receiver, status: int
    ) -> None:
        with Receiver() as elsewhere:
            receiver.script(redirect(elsewhere.url(), status))
            result = exchange(transport, post(receiver.url()))
            assert result.response is not None
            assert result.response.status == status
            assert result.response.header("location") == elsewhere.url()
            assert (len(receiver.requests), elsewhere.connections) == (1, 0)

    def test_interim_answers_are_skipped(self, transport: Transport, receiver: Receiver) -> None:
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        receiver.script(raw_answer(interim + b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"))
        response = exchange(transport, post(receiver.url())).response
        assert response is not None
        assert (response.status, response.body) == (201, b"ok")
        assert response.header("link") is None

    def test_a_chunked_body_and_one_that_ends_with_the_connection_are_read(
        self, transport: Transport, receiver: Receiver
    ) -> None:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nX-T: 1\r\n\r\n"
        receiver.script(raw_answer(chunked, keep_open=True), raw_answer(b"HTTP/1.1 200 OK\r\n\r\nabc"))
        for _ in range(2):
            response = exchange(transport, post(receiver.url())).response
            assert response is not None
            assert response.body == b"abc"
        assert receiver.connections == 1

    def test_cookies_are_not_kept(self, transport: Transport, receiver: Receiver) -> None:
        receiver.script(answer(200, b"", {"Set-Cookie": "session=1; Path=/"}))
        for _ in range(2):
            exchange(transport, post(receiver.url()))
        assert all(request.header("cookie") is None for request in receiver.wait_for(2))


class TestFaults:
    @pytest.mark.parametrize(
        "behaviour",
        [hang(), hang(b"HTTP/1.1 200"), hang_after_headers(), slow_header(), slow_body()],
        ids=["never answers", "hangs in the status", "hangs after the headers", "slow header", "slow body"],
    )
    def test_a_receiver_that_takes_too_long_ends_at_the_deadline(
        self, transport: Transport, receiver: Receiver, behaviour: Behaviour
    ) -> None:
        receiver.script(behaviour)
        result = exchange(transport, post(receiver.url(), timeout=DEADLINE))
        assert result.error is not None
        assert (result.error.kind, result.error.permanent) == (TransportError.TIMEOUT, False)
        assert DEADLINE - 0.01 <= result.duration < LATEST
        receiver.wait_until_closed()

    @pytest.mark.parametrize(
        "behaviour",
        [endless_continue(), huge_header(), many_headers(), endless_chunk_line()],
        ids=["endless 100", "huge header", "many headers", "endless chunk line"],
    )
    def test_an_endless_head_is_bounded_in_time_and_memory(
        self, transport: Transport, receiver: Receiver, behaviour: Behaviour, request: pytest.FixtureRequest
    ) -> None:
        # curl reads the line of a chunk to its end, and keeps nothing of it.
        is_late = "curl" in request.node.name and "chunk" in request.node.name
        kind = TransportError.TIMEOUT if is_late else TransportError.PROTOCOL
        receiver.script(behaviour)
        before = _resident_bytes()
        result = exchange(transport, post(receiver.url(), timeout=DEADLINE))
        assert result.error is not None
        assert (result.error.kind, result.error.permanent) == (kind, False)
        assert result.duration < LATEST
        assert _resident_bytes() - before < 20_000_000

    @pytest.mark.parametrize(
        "behaviour",
        [
            reset(),
            reset(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
            close_silently(),
            raw_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
            raw_answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        ],
        ids=["reset at once", "reset in the body", "closed at once", "body too short", "chunk too short"],
    )
    def test_a_broken_connection_is_a_connection_error(
        self, transport: Transport, receiver: Receiver, behaviour: Behaviour
    ) -> None:
        receiver.script(behaviour)
        result = exchange(transport, post(receiver.url()))
        assert result.error is not None
        assert (result.error.kind, result.error.permanent) == (TransportError.CONNECTION, False)
        assert len(receiver.requests) == 1

    @pytest.mark.parametrize(
        "data",
        [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"+PONG\r\n", b"\x00" * 100, b"HTTP/1.1 2x0 OK\r\n\r\n", NUL_HEADER],
        ids=["ssh", "redis", "zeros", "no number", "NUL in a header"],
    )
    def test_what_is_not_http_is_a_protocol_error(self, transport: Transport, receiver: Receiver, data: bytes) -> None:
        receiver.script(raw_answer(data))
        result = exchange(transport, post(receiver.url()))
        assert result.error is not None
        assert result.error.kind == TransportError.PROTOCOL
        assert result.error.message.isprintable()

    def test_headers_cut_off_by_the_end_of_the_connection_are_no_answer(
        self, transport: Transport, receiver: Receiver
    ) -> None:
        receiver.script(raw_answer(b"HTTP/1.1 200 OK\r\nX-Half: a"))
        result = exchange(transport, post(receiver.url()))
        assert result.response is None

    def test_a_closed_port_is_a_connection_error(self, transport: Transport) -> None:
        with Receiver() as gone:
            url = gone.url()
        result = exchange(transport, post(url))
        assert result.error is not None
        assert (result.error.kind, result.error.permanent) == (TransportError.CONNECTION, False)


def test_the_ledger_file_holds_what_was_received(build: Callable[..., Transport], tmp_path: Path) -> None:
    with Receiver(ledger_file=tmp_path / "ledger") as receiver:
        exchange(build(), post(receiver.url("/x"), b"body"))
        (entry,) = read_ledger(tmp_path / "ledger")
        assert (entry["method"], entry["target"], entry["body"]) == ("POST", "/x", "body")


def _resident_bytes() -> int:
    """Memory of this process; 0 where the system does not tell, which leaves the other assertions."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
