"""The id of the request that this thread is answering: in its error bodies, and in the log's lines about it."""

from __future__ import annotations

import re
import threading
import uuid

#: What a proxy may say in `X-Request-Id`.
_VALID = re.compile(r"[A-Za-z0-9._-]{8,64}")

_current = threading.local()


def chosen(given: str) -> str:
    """The id that the client or its proxy gave the request, or a new one."""
    return given if _VALID.fullmatch(given) else uuid.uuid4().hex


def current() -> str | None:
    """None outside of requests, and where nobody logs them."""
    found: str | None = getattr(_current, "value", None)
    return found


def set_current(value: str | None) -> None:
    _current.value = value
