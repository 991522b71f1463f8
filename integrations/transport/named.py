"""Requests to a server that the operator has named in a setting: the single sign-on server.

The server's own host may have any address: such servers are usually in a private network, and neither staff nor tenants
can change the setting. Other hosts that its responses refer to must pass the address guard like any receiver. Redirects
are never followed, and responses are read up to the usual limit.
"""

from __future__ import annotations

from ipaddress import ip_network
from urllib.parse import urlsplit

from integrations.transport.base import Request, Response, TransportError
from integrations.transport.guard.addresses import AddressPolicy, UrlRefused
from integrations.transport.pooled.transport import send

_ANY_ADDRESS = AddressPolicy((ip_network("0.0.0.0/0"), ip_network("::/0")))


def send_to_named(request: Request, *, named_url: str, policy: AddressPolicy) -> Response:
    """Send and return the response. `policy` applies to hosts other than that of `named_url`. Raises TransportError."""
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
