"""Header values that all responses share."""

from __future__ import annotations

import time
from email.utils import formatdate

_date: tuple[int, bytes] = (0, b"")


def http_date() -> bytes:
    """Return the current date in RFC 9110's format, formatted once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True).encode())
    return _date[1]
