"""Both transports behind one fixture, so that every contract test runs against each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from integrations.transport.base import Request, Result, Transport
from integrations.transport.curl.transport import CurlTransport
from integrations.transport.guard import dns
from integrations.transport.guard.addresses import AddressPolicy, parse_allow
from integrations.transport.guard.dns import Resolver
from integrations.transport.pooled.transport import RequestsTransport
from tests.receiver import Receiver

LOOPBACK = AddressPolicy(parse_allow("127.0.0.0/8,::1/128"))
PUBLIC_ONLY = AddressPolicy()
TRANSPORTS: dict[str, Callable[..., Transport]] = {"requests": RequestsTransport, "curl": CurlTransport}
DEADLINE = 0.3
#: What goes on without an end has ended by then, also on a machine that is busy with other things.
LATEST = DEADLINE + 20


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture(params=sorted(TRANSPORTS))
def build(request: pytest.FixtureRequest) -> Iterator[Callable[..., Transport]]:
    """Makes transports of one kind, with answers of the DNS remembered for no time, and closes them."""
    made: list[Transport] = []

    def make(policy: AddressPolicy = LOOPBACK, **options: Any) -> Transport:
        options.setdefault("resolver", Resolver(threads=4, answer_seconds=0))
        made.append(TRANSPORTS[request.param](policy, 64, **options))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def transport(build: Callable[..., Transport]) -> Transport:
    return build()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the names resolve to: addresses, an exception to raise, or a function to call."""
    names: dict[str, Any] = {}

    def look_up(name: str) -> tuple[str, ...]:
        found = names[name]
        if isinstance(found, Exception):
            raise found
        return tuple(found() if callable(found) else found)

    monkeypatch.setattr(dns, "_system_lookup", look_up)
    return names


def post(url: str, body: bytes = b'{"a":1}', timeout: float = 2.0, headers: Sequence[tuple[str, str]] = ()) -> Request:
    return Request("POST", url, (("User-Agent", "Hookdesk/test"), *headers), body, timeout)


def collect(transport: Transport, count: int, timeout: float = 10.0) -> list[Result]:
    """`count` results, in the order in which they came."""
    results: list[Result] = []
    while len(results) < count:
        batch = transport.collect(timeout)
        assert batch, f"{len(results)} of {count} results came"
        results += batch
    return results


def exchange(transport: Transport, request: Request) -> Result:
    """Sends one request and waits for its end."""
    transport.submit("key", request)
    (result,) = collect(transport, 1)
    return result
