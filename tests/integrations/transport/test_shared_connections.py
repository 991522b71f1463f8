"""A kept connection carries nothing from one request to the next: no header, no answer, no trust, no address."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from integrations.transport.base import Request, Transport, TransportError
from integrations.transport.guard.addresses import AddressPolicy, parse_allow
from tests.integrations.transport.conftest import PUBLIC_ONLY, exchange, post
from tests.integrations.transport.test_tls import Authority, authority
from tests.receiver import Exchange, Receiver, answer, raw_answer

__all__ = ["authority"]
SECRET = ("Authorization", "Bearer CANARY-of-the-first")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


def test_headers_and_body_of_one_integration_are_not_sent_for_the_next(
    transport: Transport, receiver: Receiver
) -> None:
    first = post(receiver.url(), b"CANARY-body", headers=(SECRET, ("Cookie", "a=CANARY"), ("X-First", "CANARY")))
    assert exchange(transport, first).error is None
    others = [
        post(receiver.url("/second"), b"{}"),
        Request("GET", receiver.url("/second"), (), b""),
        Request("DELETE", receiver.url("/second"), (), b""),
        Request("PUT", receiver.url("/second"), (("Content-Type", "a/b"),), b"x"),
        Request("MAIL", receiver.url("/second"), (), b""),
    ]
    for other in others:
        assert exchange(transport, other).error is None
    assert receiver.connections == 1
    for received in receiver.requests[1:]:
        assert b"CANARY" not in received.raw
        assert received.header("Authorization") is None


def test_cookies_of_a_receiver_are_forgotten(transport: Transport, receiver: Receiver) -> None:
    remembered = {"Set-Cookie": "session=CANARY; Path=/", "Alt-Svc": f'http/1.1=":{receiver.port}"; ma=3600'}
    receiver.script(answer(headers=remembered | {"Strict-Transport-Security": "max-age=3600"}))
    for _ in range(3):
        assert exchange(transport, post(receiver.url())).error is None
    assert all(received.header("Cookie") is None for received in receiver.requests)


def test_a_second_answer_that_nobody_asked_for_is_not_the_next_ones(transport: Transport, receiver: Receiver) -> None:
    forged = OK % (3, b"one") + OK % (6, b"forged")
    receiver.script(raw_answer(forged, keep_open=True), answer(200, b"true"))
    assert exchange(transport, post(receiver.url("/a"))).response is not None
    result = exchange(transport, post(receiver.url("/b")))
    assert result.response is not None
    assert result.response.body == b"true"


def test_a_late_second_answer_is_not_the_next_ones(transport: Transport, receiver: Receiver) -> None:
    def twice(exchanged: Exchange) -> bool:
        exchanged.send(OK % (3, b"one"))
        exchanged.wait(0.2)
        exchanged.send(OK % (6, b"forged"))
        exchanged.wait(0.2)
        return True

    receiver.script(twice, answer(200, b"true"))
    assert exchange(transport, post(receiver.url("/a"))).response is not None
    transport.collect(0.5)  # what comes meanwhile belongs to nobody
    result = exchange(transport, post(receiver.url("/b")))
    assert result.response is not None
    assert result.response.body == b"true"


def test_bytes_past_the_length_of_a_truncated_answer_are_nobodys(transport: Transport, receiver: Receiver) -> None:
    receiver.script(raw_answer(OK % (100_000, b"x" * 100_000) + OK % (6, b"forged"), keep_open=True), answer(200, b"t"))
    first = exchange(transport, post(receiver.url("/a")))
    assert first.response is not None
    assert first.response.is_truncated
    second = exchange(transport, post(receiver.url("/b")))
    assert second.response is not None
    assert second.response.body == b"t"


def test_the_trust_in_one_name_is_not_lent_to_another_at_the_same_address(
    build: Callable[..., Transport], authority: Authority, answers: dict[str, Any]
) -> None:
    answers |= {"shop.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]}
    names: list[str | None] = []
    context = authority.server("shop.example")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    transport = build(ca_file=authority.ca_file)
    with Receiver(tls=context) as receiver:
        for _ in range(3):
            assert exchange(transport, post(receiver.url("/x", "shop.example"))).error is None
            result = exchange(transport, post(receiver.url("/x", "other.example"), headers=[SECRET]))
            assert result.error is not None
            assert result.error.kind == TransportError.TLS
            result = exchange(transport, post(receiver.url("/x", "127.0.0.1"), headers=[SECRET]))
            assert result.error is not None
            assert result.error.kind == TransportError.TLS
        assert all(b"CANARY" not in received.raw for received in receiver.requests)
        assert len(receiver.requests) == 3
    assert set(names) == {"shop.example", "other.example", None}


def test_a_session_is_not_resumed_past_a_certificate_that_is_no_longer_valid(
    build: Callable[..., Transport], authority: Authority, answers: dict[str, Any]
) -> None:
    """The server keeps its ticket keys and its port, and comes back with another certificate."""
    answers["shop.example"] = ["127.0.0.1"]
    good, bad = authority.server("shop.example"), authority.server("other.example")
    transport = build(ca_file=authority.ca_file)
    current: list[ssl.SSLContext] = [good]
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(next(authority.folder.glob("shop.example-10-False.pem")))
    listening.sni_callback = lambda connection, _name, _context: setattr(connection, "context", current[0])
    closing = raw_answer(OK % (2, b"ok"))
    with Receiver(tls=listening) as receiver:
        receiver.script(closing)
        assert exchange(transport, post(receiver.url("/x", "shop.example"))).error is None
        receiver.wait_until_closed()
        current[0] = bad
        result = exchange(transport, post(receiver.url("/x", "shop.example"), headers=[SECRET]))
        assert len(receiver.requests) == (1 if result.error else 2)
        if result.error is None:
            # Resumed: the key exchange proves the server that showed the good certificate, and nobody else.
            assert receiver.requests[-1].header("Authorization") == SECRET[1]


def test_what_one_policy_may_reach_another_may_not(build: Callable[..., Transport], receiver: Receiver) -> None:
    wide = build(AddressPolicy(parse_allow("127.0.0.0/8")))
    assert exchange(wide, post(receiver.url())).error is None
    came = receiver.bytes_received
    narrow = build(PUBLIC_ONLY)
    result = exchange(narrow, post(receiver.url()))
    assert result.error is not None
    assert result.error.kind == TransportError.REFUSED_ADDRESS
    assert (receiver.bytes_received, receiver.connections) == (came, 1)


@pytest.mark.parametrize("url", ["mailto:a@shop.example", "MAILTO:", "mailto://127.0.0.1/"])
def test_no_address_of_a_receiver_turns_into_mail(url: str) -> None:
    from integrations.transport.guard.addresses import UrlRefused, check_url

    with pytest.raises(UrlRefused):
        check_url(url, PUBLIC_ONLY)
