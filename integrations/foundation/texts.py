"""Shortens texts for messages, and finds the texts in JSON values. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def shortened(text: str, limit: int = 40) -> str:
    """Return `text` cut to `limit` characters, ending in an ellipsis if it was cut."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def texts_in(value: Any) -> Iterator[str]:
    """Yield all strings in a JSON value in document order, except keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)
