"""What HTTP lets header names and values be (RFC 9110). For wire formats and transports alike."""

from __future__ import annotations

import re

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: They decide where a message begins and ends or who gets it; the transport alone sets them. Lower case.
FRAMING_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade"}
)


def is_latin_1(value: str) -> bool:
    """Whether HTTP can carry these characters."""
    return all(character <= "\xff" for character in value)
