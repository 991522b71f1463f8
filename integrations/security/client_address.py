"""The address that a request came from, as far as it can be known."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

#: The most proxies in a row that are trusted; what a client forged before them is never reached.
LONGEST_CHAIN = 20


def client_address(request: HttpRequest) -> str:
    """The address of the client: the nearest one of X-Forwarded-For that no trusted proxy has.

    Only what a proxy in TRUSTED_PROXIES says is trusted, from right to left. Empty if nothing is known.
    """
    found = _parsed(request.META.get("REMOTE_ADDR", ""))
    # No address at all: a Unix socket, used by a proxy on this machine.
    if found is not None and not _is_trusted(found):
        return str(found)
    for text in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")[-LONGEST_CHAIN:]):
        claimed = _parsed(text.strip())
        if claimed is None:
            break
        found = claimed
        if not _is_trusted(claimed):
            break
    return "" if found is None else str(found)


def client_network(request: HttpRequest) -> str:
    """The address, for IPv6 its /64: the owner of one address there owns all of them."""
    found = _parsed(client_address(request))
    return str(IPv6Network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found or "")


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _is_trusted(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in _networks(tuple(settings.TRUSTED_PROXIES)))


@lru_cache(maxsize=8)
def _networks(written: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text.strip()) for text in written if text.strip())
