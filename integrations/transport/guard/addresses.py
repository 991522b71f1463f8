"""The address guard: which URLs may be saved and which addresses may be connected to. Performs no DNS lookups.

`check_url` runs when a URL is saved and again before it is used. It does not resolve names, because a DNS answer may
change a second later. The transports therefore call `AddressPolicy.permits` for every address a name resolves to, and
connect to exactly that address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network

from django.utils.translation import gettext as _

from integrations.transport.guard.address_blocks import IPAddress, IPNetwork, special_purpose

URL_LIMIT = 4096  #: characters
HOST_LIMIT = 253  #: characters, RFC 1035 §2.3.4
LABEL_LIMIT = 63  #: characters, RFC 1035 §2.3.4

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"//([^/?]*)(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?", re.DOTALL)
_DOTTED = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_LOOKS_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback"})
_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class UrlRefused(ValueError):
    """The URL may not be used. `reason` tells the person who entered it what is wrong and how to correct it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AddressPolicy:
    """Which IP addresses may be connected to: public ones, and those in the networks of `allow`."""

    __slots__ = ("_decide", "_hash", "allow")

    def __init__(self, allow: Iterable[IPNetwork] = ()) -> None:
        self.allow: tuple[IPNetwork, ...] = tuple(allow)
        self._decide = lru_cache(maxsize=4096)(self._permits)
        self._hash = hash(self.allow)  # needed for each request, and slow to compute: networks are hashed in Python

    def permits(self, ip: str | IPAddress) -> bool:
        """Return whether a connection to `ip` is allowed. Text that is not an IP address is never permitted."""
        return self._decide(ip)

    def _permits(self, ip: str | IPAddress) -> bool:
        try:
            address = ip_address(ip)
        except ValueError:
            return False
        if getattr(address, "scope_id", None) is None and any(address in network for network in self.allow):
            return True
        return special_purpose(address) is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressPolicy) and self.allow == other.allow

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"AddressPolicy({', '.join(map(str, self.allow))})"


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL, byte for byte. `path` is the request target; `address` is None if the host is a name.

    `authority` is the value of the Host header: host and port as written.
    """

    scheme: str
    authority: str
    host: str
    port: int
    path: str
    address: str | None


def parse_allow(text: str | Iterable[str]) -> tuple[IPNetwork, ...]:
    """Return the networks of `OUTBOUND_ALLOW`, given as a list of CIDRs or as text separated by commas.

    Raises ValueError, naming the entry, if an entry is not a CIDR or has host bits set.
    """
    entries = text.split(",") if isinstance(text, str) else text
    networks = []
    for entry in filter(None, (entry.strip() for entry in entries)):
        try:
            networks.append(ip_network(entry))
        except ValueError as error:
            raise ValueError(
                f"OUTBOUND_ALLOW: {entry!r} is not a network ({error}); write it like 10.20.0.0/16 or ::1/128."
            ) from error
    return tuple(networks)


def check_url(url: str, policy: AddressPolicy) -> str:
    """Return `url` if it may be saved and used; raises UrlRefused otherwise. Performs no DNS lookup."""
    parse_url(url, policy)
    return url


def parse_url(url: str, policy: AddressPolicy) -> Target:
    """Return the parts of `url`; raises UrlRefused like `check_url`."""
    _check_characters(url)
    scheme, rest = _split_scheme(url)
    match = _AUTHORITY.fullmatch(rest)
    authority, path = match.groups() if match else ("", "")
    if not authority:
        raise UrlRefused(
            _("The URL names no host. Write it in full, like %(scheme)s://shop.example/hook.") % {"scheme": scheme}
        )
    if "@" in authority:
        raise UrlRefused(
            _(
                "The URL holds a user name or password before an @. They would show up in logs: remove them and "
                "set the integration's auth type instead."
            )
        )
    host, port = _split_port(authority, scheme)
    address = _check_host(host, policy)
    if not path.startswith("/"):
        path = f"/{path}"
    return Target(scheme, authority, host, port, path, address)


def describe_refusal(ip: str) -> str:
    """Return why `ip` is not permitted and what to do about it."""
    try:
        what = special_purpose(ip_address(ip)) or _("not a public address")
    except ValueError:
        what = _("not an IP address")
    return _(
        "%(ip)s is %(what)s, and requests may only go to public addresses. Use a public URL, or let an "
        "administrator add the network to OUTBOUND_ALLOW."
    ) % {"ip": ip, "what": what}


def _check_characters(url: str) -> None:
    if not isinstance(url, str) or not url:
        raise UrlRefused(_("The URL is empty. Write it in full, like https://shop.example/hook."))
    if len(url) > URL_LIMIT:
        raise UrlRefused(
            _("The URL is %(number)s characters long; %(limit)s is the most. Shorten it.")
            % {"number": len(url), "limit": URL_LIMIT}
        )
    if any(character <= " " or character == "\x7f" for character in url):
        raise UrlRefused(_("The URL holds a space, a line break or a control character. Remove it or write it as %20."))
    if "\\" in url:
        raise UrlRefused(_("The URL holds a backslash, which programs read in different ways. Use / or write %5C."))
    if not url.isascii():
        raise UrlRefused(
            _(
                "The URL holds characters outside ASCII. Write a host name in its xn-- form and the path "
                "percent-encoded, so that every program reads the same."
            )
        )
    if "#" in url:
        raise UrlRefused(_("The URL holds a #, and what follows it is never sent. Remove it or write it as %23."))


def _split_scheme(url: str) -> tuple[str, str]:
    match = _URL.fullmatch(url)
    scheme = match.group(1).lower() if match else ""
    if match is None or scheme not in _DEFAULT_PORTS:
        raise UrlRefused(
            _("The URL does not begin with https:// or http://; nothing else can be sent to. Write it in full.")
        )
    return scheme, match.group(2)


def _split_port(authority: str, scheme: str) -> tuple[str, int]:
    match = _HOST_AND_PORT.fullmatch(authority)
    if match is None or not match.group(1):
        raise UrlRefused(_("The URL has no readable host name. Write it like https://shop.example:8443/hook."))
    host, port = match.groups()
    if port is None:
        return host, _DEFAULT_PORTS[scheme]
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise UrlRefused(_("The port of the URL is not a number from 1 to 65535. Correct it or leave it out."))
    return host, int(port)


def _check_host(host: str, policy: AddressPolicy) -> str | None:
    """Return the IP address in `host`, or None if it is a name; raises UrlRefused."""
    if host.startswith("["):
        return _check_address(_read_ipv6(host[1:-1]), policy)
    if "%" in host:
        raise UrlRefused(_("The host name holds a percent sign. Write the name itself."))
    if host.endswith("."):
        raise UrlRefused(_("The host name ends in a dot. Remove the dot."))
    if len(host) > HOST_LIMIT:
        raise UrlRefused(
            _("The host name is %(number)s characters long; %(limit)s is the most. Correct it.")
            % {"number": len(host), "limit": HOST_LIMIT}
        )
    labels = host.split(".")
    if _LOOKS_NUMERIC.fullmatch(labels[-1]):
        return _check_address(_read_ipv4(host), policy)
    if not all(len(label) <= LABEL_LIMIT and _LABEL.fullmatch(label) for label in labels):
        raise UrlRefused(
            _(
                "The host name has an empty part, a part over 63 characters or a character that names cannot have. "
                "Correct it, like shop.example."
            )
        )
    _check_name(host.lower(), policy)
    return None


def _read_ipv6(text: str) -> str:
    try:
        if "%" in text:
            raise AddressValueError("zone")
        return str(IPv6Address(text))
    except AddressValueError:
        raise UrlRefused(
            _("What stands in [brackets] is not a plain IPv6 address. Correct it and leave out any %zone.")
        ) from None


def _read_ipv4(host: str) -> str:
    try:
        if _DOTTED.fullmatch(host):
            return str(IPv4Address(host))
    except AddressValueError:
        pass
    raise UrlRefused(
        _(
            "The host is an IP address in an unusual spelling, which hides where a request goes. Write it as four "
            "decimal numbers, like 198.51.100.7, or use a name."
        )
    )


def _check_address(address: str, policy: AddressPolicy) -> str:
    if not policy.permits(address):
        raise UrlRefused(describe_refusal(address))
    return address


def _check_name(name: str, policy: AddressPolicy) -> None:
    if name in _METADATA_NAMES:
        raise UrlRefused(
            _("%(name)s is a cloud's metadata service, which hands out credentials. Use a public URL.") % {"name": name}
        )
    if is_loopback_name(name):
        if not (policy.permits("127.0.0.1") or policy.permits("::1")):
            raise UrlRefused(
                _(
                    "%(name)s is this machine itself, and requests may only go to public addresses. Use a public "
                    "URL, or let an administrator add 127.0.0.0/8 to OUTBOUND_ALLOW."
                )
                % {"name": name}
            )
    elif "." not in name and not policy.allow:
        raise UrlRefused(
            _("%(name)s is a name of the local network only. Write the full name, like %(name)s.example.com.")
            % {"name": name}
        )


def is_loopback_name(name: str) -> bool:
    """Return whether the lower-case `name` always means this machine (RFC 6761 §6.3 and common hosts files)."""
    return name in _LOOPBACK_NAMES or name.endswith(".localhost")
