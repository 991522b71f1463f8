"""The networks that an access token may be used from. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.utils.translation import gettext as _

Network = IPv4Network | IPv6Network
MOST_NETWORKS = 50


def parse_addresses(written: Iterable[str]) -> tuple[Network, ...]:
    """Networks of addresses and CIDRs like `203.0.113.7` and `10.0.0.0/8`. Raises ValueError that names the entry."""
    found: list[Network] = []
    for entry in filter(None, (each.strip() for each in written)):
        try:
            network = ip_network(entry)
        except ValueError:
            raise ValueError(
                _("“%(entry)s” is no address and no network. Write them like 203.0.113.7 or 10.20.0.0/16.")
                % {"entry": entry[:60]}
            ) from None
        if network not in found:
            found.append(network)
    if len(found) > MOST_NETWORKS:
        raise ValueError(
            _("%(number)s networks are given; %(limit)s is the most.") % {"number": len(found), "limit": MOST_NETWORKS}
        )
    return tuple(found)


def is_within(address: str, networks: tuple[Network, ...]) -> bool:
    """Is the address in one of them? An unknown address (empty) is in none."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
