"""No byte reaches an address that is not allowed, whatever spells it or resolves to it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from integrations.transport.base import Transport, TransportError
from integrations.transport.guard import dns
from integrations.transport.guard.addresses import AddressPolicy, parse_allow
from integrations.transport.guard.dns import Resolver
from integrations.transport.pooled.transport import send
from tests.integrations.transport.conftest import LOOPBACK, PUBLIC_ONLY, collect, exchange, post
from tests.integrations.transport.corpus import refused_urls, tricky_urls
from tests.receiver import Receiver, answer

#: 127.0.0.1 plays the public address here, everything else is forbidden.
ONE_ADDRESS = AddressPolicy(parse_allow("127.0.0.1/32"))


def test_no_forbidden_url_is_ever_connected_to(build: Callable[..., Transport], receiver: Receiver) -> None:
    transport = build(PUBLIC_ONLY)
    urls = refused_urls(receiver.port)
    for url in urls:
        transport.submit(url, post(url))
    for result in collect(transport, len(urls)):
        assert result.error is not None, result.key
        assert (result.error.kind, result.error.permanent) == (TransportError.REFUSED_ADDRESS, True), result.key
    assert (receiver.connections, receiver.bytes_received) == (0, 0)


def test_no_tricky_spelling_of_an_allowed_address_is_connected_to(transport: Transport, receiver: Receiver) -> None:
    urls = tricky_urls(receiver.port)
    for url in urls:
        transport.submit(url, post(url))
    assert all(result.error is not None for result in collect(transport, len(urls)))
    assert (receiver.connections, receiver.bytes_received) == (0, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost"])
def test_the_demo_reaches_its_own_machine(transport: Transport, receiver: Receiver, host: str) -> None:
    result = exchange(transport, post(receiver.url("/x", host)))
    assert result.error is None
    assert receiver.wait_for(1)[0].header("host") == f"{host}:{receiver.port}"


def test_localhost_is_reached_where_only_its_ipv4_address_is_allowed(
    build: Callable[..., Transport], receiver: Receiver
) -> None:
    assert exchange(build(ONE_ADDRESS), post(receiver.url("/x", "localhost"))).error is None


def test_an_allowed_ipv6_address_is_reached(transport: Transport) -> None:
    try:
        server = Receiver(family=socket.AF_INET6).__enter__()
    except OSError:
        return  # this machine has no IPv6
    try:
        assert exchange(transport, post(server.url("/x", "[::1]"))).error is None
        assert server.wait_for(1)[0].header("host") == f"[::1]:{server.port}"
    finally:
        server.__exit__(None, None, None)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1", "10.0.0.1"],
        ["10.0.0.1", "127.0.0.1"],
        ["127.0.0.1", "::1"],
        ["127.0.0.1", "169.254.169.254"],
        ["127.0.0.1", "::ffff:127.0.0.1"],
        ["127.0.0.1", "fe80::1%lo"],
        ["127.0.0.2"],
        ["fc00::1"],
    ],
    ids=" ".join,
)
def test_one_forbidden_address_spoils_a_name(
    build: Callable[..., Transport], receiver: Receiver, answers: dict[str, Any], addresses: list[str]
) -> None:
    answers["shop.example"] = addresses
    result = exchange(build(ONE_ADDRESS), post(receiver.url("/x", "shop.example")))
    assert result.error is not None
    assert (result.error.kind, result.error.permanent) == (TransportError.REFUSED_ADDRESS, False)
    assert "shop.example" in result.error.message
    assert (receiver.connections, receiver.bytes_received) == (0, 0)


def test_a_name_is_reached_at_the_address_that_was_checked(
    build: Callable[..., Transport], receiver: Receiver, answers: dict[str, Any]
) -> None:
    lookups = iter([["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"]])
    answers["shop.example"] = lambda: next(lookups)
    transport = build(ONE_ADDRESS)
    receiver.script(answer(headers={"Connection": "close"}))
    kinds = []
    for _ in range(3):
        result = exchange(transport, post(receiver.url("/x", "shop.example")))
        kinds.append(result.error and result.error.kind)
        receiver.wait_until_closed()
    assert kinds == [None, TransportError.REFUSED_ADDRESS, None]
    assert len(receiver.requests) == 2
    assert receiver.requests[0].header("host") == f"shop.example:{receiver.port}"


def test_a_dead_address_does_not_keep_the_next_one_from_being_tried(
    transport: Transport, receiver: Receiver, answers: dict[str, Any]
) -> None:
    answers["shop.example"] = ["::1", "127.0.0.1"]  # nothing listens on the first
    assert exchange(transport, post(receiver.url("/x", "shop.example"))).error is None


def test_a_name_that_does_not_exist_is_tried_again_later(transport: Transport, answers: dict[str, Any]) -> None:
    answers["gone.example"] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    result = exchange(transport, post("http://gone.example/x"))
    assert result.error is not None
    assert (result.error.kind, result.error.permanent) == (TransportError.DNS, False)
    assert "gone.example" in result.error.message


def test_a_lookup_that_hangs_ends_at_the_deadline_and_holds_up_nobody(
    transport: Transport, receiver: Receiver, answers: dict[str, Any]
) -> None:
    released = threading.Event()
    answers["hangs.example"] = lambda: ["127.0.0.1"] if released.wait(10) else []
    answers["works.example"] = ["127.0.0.1"]
    started = time.monotonic()
    transport.submit("hangs", post(receiver.url("/x", "hangs.example"), timeout=0.3))
    transport.submit("works", post(receiver.url("/x", "works.example"), timeout=0.3))
    first, second = collect(transport, 2)
    released.set()
    assert (first.key, first.error) == ("works", None)
    assert second.error is not None
    assert second.error.kind == TransportError.TIMEOUT
    assert time.monotonic() - started < 1.3
    assert len(receiver.requests) == 1


class TestResolver:
    def test_names_are_looked_up_as_absolute_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def getaddrinfo(name: str, *_: object, **__: object) -> list[Any]:
            asked.append(name)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 0))]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert Resolver().resolve("Shop.Example", 1.0) == ("93.184.216.34",)
        assert asked == ["shop.example."]

    def test_an_answer_is_remembered_for_a_moment_and_looked_up_once(self, answers: dict[str, Any]) -> None:
        lookups = iter([["192.0.2.1"], ["192.0.2.2"]])
        answers["shop.example"] = lambda: next(lookups)
        resolver = Resolver(answer_seconds=60)
        assert resolver.remembered("shop.example") is None
        assert resolver.resolve("shop.example", 1.0) == resolver.resolve("shop.example", 1.0) == ("192.0.2.1",)
        resolver.forget()
        assert resolver.resolve("shop.example", 1.0) == ("192.0.2.2",)

    def test_the_hosts_file_is_read_without_the_search_domains(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        hosts = tmp_path / "hosts"
        hosts.write_text("# comment\n10.1.2.3 Erp.internal erp # the old one\n\nfd00:0::1 erp.internal\n")
        monkeypatch.setattr(dns, "HOSTS_FILE", str(hosts))
        assert Resolver().resolve("erp.internal", 1.0) == ("10.1.2.3", "fd00::1")

    def test_a_name_with_no_end_of_addresses_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        many = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"8.8.8.{number}", 0)) for number in range(100)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: many)
        with pytest.raises(TransportError, match="more than"):
            Resolver().resolve("many.example", 1.0)


def test_one_request_at_once_goes_through_the_same_guard(receiver: Receiver) -> None:
    assert send(post(receiver.url()), LOOPBACK).status == 200
    with pytest.raises(TransportError) as refusal:
        send(post(receiver.url()), PUBLIC_ONLY)
    assert refusal.value.kind == TransportError.REFUSED_ADDRESS
    assert receiver.connections == 1
