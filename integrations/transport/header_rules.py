"""Which header names and values HTTP permits (RFC 9110 §5), for wire formats and transports."""

from __future__ import annotations

import re

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: Headers that control framing, routing or the connection; only the transport sets them. Lower case.
FRAMING_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade"}
)


def is_latin_1(value: str) -> bool:
    """Return whether `value` can be sent as a header value (ISO-8859-1)."""
    return all(character <= "\xff" for character in value)
