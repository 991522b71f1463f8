"""Texts: cut for a message, and found in JSON values. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def shortened(text: str, limit: int = 40) -> str:
    """`text` cut to `limit` characters, the cut shown by an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def texts_in(value: Any) -> Iterator[str]:
    """All strings inside a JSON value, keys apart, in their order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)
