"""Requests to a server that the operator has named in a setting: the single sign-on server.

Its own host may have any address, as such servers mostly stand in a private network, and no member of staff or tenant
can change the setting. What else a request goes to, because that server's answer names it, must pass the address guard
like any receiver. Redirects are never followed, and answers are read up to the limit of all responses.
"""

from __future__ import annotations

from ipaddress import ip_network
from urllib.parse import urlsplit

from integrations.transport.base import Request, Response, TransportError
from integrations.transport.guard.addresses import AddressPolicy, UrlRefused
from integrations.transport.pooled.transport import send

_ANY_ADDRESS = AddressPolicy((ip_network("0.0.0.0/0"), ip_network("::/0")))


def send_to_named(request: Request, *, named_url: str, policy: AddressPolicy) -> Response:
    """Return the response; `policy` is for other hosts than that of `named_url`. Raises TransportError."""
    try:
        return send(request, _ANY_ADDRESS if _origin(request.url) == _origin(named_url) else policy)
    except UrlRefused as refused:
        raise TransportError(TransportError.REFUSED_ADDRESS, refused.reason, permanent=True) from refused


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, parts.hostname, port or {"https": 443, "http": 80}.get(parts.scheme)
