"""The header `traceparent` (https://www.w3.org/TR/trace-context/): which trace of its sender a request belongs to."""

from __future__ import annotations

import re
from typing import Final

HEADER: Final = "traceparent"
#: Characters of a header in the form of version 00.
LENGTH: Final = 55

_VERSION_00 = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LATER = re.compile(r"(?!ff|00)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?:-.*)?")


def read_traceparent(header: str | None) -> str | None:
    """The header in the form of version 00, of which later versions begin with the same fields.

    None if there is none, or one that is not valid: the standard says to go on without it then.
    """
    if not header:
        return None
    text = header.strip()
    if _VERSION_00.fullmatch(text):
        return text
    later = _LATER.fullmatch(text)
    return f"00-{later[1]}" if later else None
