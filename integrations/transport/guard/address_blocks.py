"""The address blocks that no request may be sent to.

Source: IANA's "IPv4 Special-Purpose Address Registry" and "IPv6 Special-Purpose Address Registry", the multicast and
reserved blocks, and one address of a cloud provider. The flags of Python's `ipaddress` (`is_private`, `is_global`) are
not used, because their meaning differs between Python versions.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from django.utils.translation import gettext

from integrations.foundation.languages import gettext_noop as _

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_IPV4_BLOCKS: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", _("this network (RFC 791)")),
    ("10.0.0.0/8", _("a private network (RFC 1918)")),
    ("100.64.0.0/10", _("shared carrier-grade NAT space (RFC 6598)")),
    ("127.0.0.0/8", _("this machine itself (loopback)")),
    ("169.254.0.0/16", _("link-local, where clouds keep their metadata service")),
    ("172.16.0.0/12", _("a private network (RFC 1918)")),
    ("192.0.0.0/24", _("IETF protocol assignments (RFC 6890)")),
    ("192.0.2.0/24", _("reserved for documentation (RFC 5737)")),
    ("192.31.196.0/24", _("the AS112 service (RFC 7535)")),
    ("192.52.193.0/24", _("automatic multicast tunnelling (RFC 7450)")),
    ("192.88.99.0/24", _("the retired 6to4 relay (RFC 7526)")),
    ("192.168.0.0/16", _("a private network (RFC 1918)")),
    ("192.175.48.0/24", _("the AS112 service (RFC 7534)")),
    ("198.18.0.0/15", _("reserved for benchmarks (RFC 2544)")),
    ("198.51.100.0/24", _("reserved for documentation (RFC 5737)")),
    ("203.0.113.0/24", _("reserved for documentation (RFC 5737)")),
    ("224.0.0.0/4", _("multicast")),
    ("240.0.0.0/4", _("reserved or broadcast (RFC 1112)")),
    ("168.63.129.16/32", _("the virtual machine host of a cloud (Azure's wire server)")),
)

_IPV6_BLOCKS: tuple[tuple[str, str], ...] = (
    ("::/128", _("the unspecified address")),
    ("::1/128", _("this machine itself (loopback)")),
    ("::/96", _("an IPv4 address in the retired compatible form")),
    ("::ffff:0:0/96", _("an IPv4 address in mapped form")),
    ("::ffff:0:0:0/96", _("an IPv4 address in translated form (RFC 2765)")),
    ("64:ff9b:1::/48", _("local-use NAT64 (RFC 8215)")),
    ("100::/64", _("the discard prefix (RFC 6666)")),
    ("100:0:0:1::/64", _("the dummy prefix (RFC 9780)")),
    ("2001::/32", _("an IPv4 address in Teredo form")),
    ("2001::/23", _("IETF protocol assignments (RFC 2928)")),
    ("2001:db8::/32", _("reserved for documentation (RFC 3849)")),
    ("2002::/16", _("an IPv4 address in 6to4 form")),
    ("2620:4f:8000::/48", _("the AS112 service (RFC 7534)")),
    ("3fff::/20", _("reserved for documentation (RFC 9637)")),
    ("5f00::/16", _("segment routing (RFC 9602)")),
    ("fc00::/7", _("a private network (unique local)")),
    ("fe80::/10", _("link-local")),
    ("fec0::/10", _("a private network (retired site-local)")),
    ("ff00::/8", _("multicast")),
)

_IPV4 = tuple((IPv4Network(block), what) for block, what in _IPV4_BLOCKS)
_IPV6 = tuple((IPv6Network(block), what) for block, what in _IPV6_BLOCKS)

#: The only IPv6 space that IANA allocates as global unicast; everything else is refused.
_IPV6_GLOBAL = IPv6Network("2000::/3")
#: DNS64 answers in networks without IPv4; the embedded IPv4 address decides.
_NAT64 = IPv6Network("64:ff9b::/96")


def special_purpose(address: IPAddress) -> str | None:
    """Return a description of the special purpose of `address`, or None for an ordinary public address."""
    if isinstance(address, IPv4Address):
        return next((gettext(what) for block, what in _IPV4 if address in block), None)
    if address.scope_id is not None:
        return gettext("bound to one network interface")
    if address in _NAT64:
        inner = special_purpose(IPv4Address(int(address) & 0xFFFFFFFF))
        return None if inner is None else gettext("NAT64 for %(what)s") % {"what": inner}
    what = next((gettext(what) for block, what in _IPV6 if address in block), None)
    if what is None and address not in _IPV6_GLOBAL:
        return gettext("outside the public internet (not in 2000::/3)")
    return what
