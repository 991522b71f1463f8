"""Validates the extra headers of an integration when it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.utils.translation import gettext as _

from integrations.transport.header_rules import FRAMING_HEADERS, HEADER_NAME
from integrations.wire_formats import WIRE_FORMATS
from integrations.wire_formats.auth import check_header_value

#: Headers that Hookdesk sets, besides framing headers and those of the formats. Lower case, with hyphens.
RESERVED_HEADERS = FRAMING_HEADERS | {
    "accept-encoding", "content-encoding", "content-type", "http2-settings", "keep-alive", "proxy-authorization",
    "proxy-connection", "user-agent", "x-hookdesk-hops", "x-hub-token",
}  # fmt: skip
#: Extra headers are stored unencrypted; the auth types store the same header encrypted.
CREDENTIAL_HEADERS = frozenset({"authorization"})

MAX_STATIC_HEADERS = 50


def check_static_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
    """Raise ValueError with a message for staff if the extra headers cannot be sent."""
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if len(pairs) > MAX_STATIC_HEADERS:
        raise ValueError(
            _("At most %(limit)s extra headers are allowed; these are %(number)s.")
            % {"limit": MAX_STATIC_HEADERS, "number": len(pairs)}
        )
    seen: set[str] = set()
    for name, value in pairs:
        check_header_name(name)
        check_header_value(name, value)
        if _plain(name) in CREDENTIAL_HEADERS:
            raise ValueError(
                _("The header %(name)s carries a credential: use the integration's auth type instead.") % {"name": name}
            )
        if _plain(name) in seen:
            raise ValueError(_("The header %(name)s is given twice.") % {"name": name})
        seen.add(_plain(name))


def check_header_name(name: str) -> None:
    """Raise ValueError if `name` is not a valid header name or is reserved. Also used for `auth_header`."""
    if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
        raise ValueError(_("%(name)r is not a header name: use letters, digits and hyphens.") % {"name": name})
    of_formats = tuple(prefix for wire_format in WIRE_FORMATS.values() for prefix in wire_format.own_headers)
    if _plain(name) in RESERVED_HEADERS or _plain(name).startswith(of_formats):
        raise ValueError(_("The header %(name)s is reserved: Hookdesk sets it itself.") % {"name": name})


def _plain(name: str) -> str:
    # CGI and WSGI servers map `X_Hub_Token` and `X-Hub-Token` to the same variable.
    return name.lower().replace("_", "-")
