"""The only code that opens outbound connections: `make_transport` for the engine, `send` for a single request."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from integrations.transport.base import Headers, Request, Response, Result, Transport, TransportError
from integrations.transport.guard.addresses import AddressPolicy, UrlRefused, check_url, parse_allow
from integrations.transport.guard.dns import refuse_forbidden_name
from integrations.transport.pooled.transport import RequestsTransport, send

__all__ = [
    "AddressPolicy",
    "Headers",
    "Request",
    "Response",
    "Result",
    "Transport",
    "TransportError",
    "UrlRefused",
    "check_url",
    "current_policy",
    "make_transport",
    "parse_allow",
    "refuse_forbidden_name",
    "send",
]


def make_transport(name: str, policy: AddressPolicy, capacity: int | None = None) -> Transport:
    """Return the transport called `name`: `requests`, or `curl` (needs the extra `hookdesk[curl]`).

    `capacity` is the maximum number of requests in flight; None takes the transport's default. Raises ValueError for
    any other name, RuntimeError if the extra is not installed.
    """
    if name == "requests":
        return RequestsTransport(policy) if capacity is None else RequestsTransport(policy, capacity)
    if name == "curl":
        from integrations.transport.curl.transport import CurlTransport

        return CurlTransport(policy) if capacity is None else CurlTransport(policy, capacity)
    raise ValueError(f"There is no transport {name!r}; the transports are 'requests' and 'curl'.")


def current_policy() -> AddressPolicy:
    """Return the policy for the current value of the setting `OUTBOUND_ALLOW`."""
    from django.conf import settings

    return _policy_of(tuple(settings.OUTBOUND_ALLOW))


@lru_cache(maxsize=16)
def _policy_of(entries: Iterable[str]) -> AddressPolicy:
    return AddressPolicy(parse_allow(entries))
