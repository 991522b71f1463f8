"""Guess which fields of a payload an error message refers to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from integrations.foundation.json_paths import path_to

#: Maximum characters of text, and members of the payload, that are examined: a guess may take milliseconds.
TEXT_LIMIT = 8_000
LEAVES_LIMIT = 5_000
SUSPECTS_LIMIT = 5

_QUOTED = re.compile(r"'([^'\n]{1,200})'|\"([^\"\n]{1,200})\"|`([^`\n]{1,200})`|“([^”\n]{1,200})”|‘([^’\n]{1,200})’")
_WORD = re.compile(r"[^\W_](?:[\w@.+:/-]*[\w/])?")
#: A shorter value matches by chance, unless it is quoted.
SHORTEST_VALUE = 4
#: Names that occur in nearly every payload and every error.
_COMMON_NAMES = frozenset(
    {"id", "name", "type", "status", "message", "error", "errors", "code", "data", "value", "key"}
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

#: Ranks by confidence, highest first: quoted value, quoted name, value, name, part of the name.
_VALUE_QUOTED, _NAME_QUOTED, _VALUE, _NAME, _PART = range(5)


def suspicious_fields(text: str, payload: Any) -> tuple[str, ...]:
    """Return paths in the payload (`shipping_address.phone`) whose value or name occurs in `text`, best first."""
    text = text[:TEXT_LIMIT]
    quoted = {next(filter(None, match), "") for match in _QUOTED.findall(text)}
    words = set(_WORD.findall(text)) | {word for part in quoted for word in _WORD.findall(part)}
    lowered, quoted_lowered = {word.lower() for word in words}, {part.lower() for part in quoted}
    found: dict[str, int] = {}
    for path, name, value in _leaves(payload):
        rank = _rank_of_value(value, quoted, words)
        by_name = _rank_of_name(path, name, quoted_lowered, lowered)
        best = min((rank for rank in (rank, by_name) if rank is not None), default=None)
        if best is not None:
            found[path] = best
    if not found:
        return ()
    # Weak matches are ignored if a better one was found.
    best = min(found.values())
    wanted = [path for path, rank in sorted(found.items(), key=lambda item: item[1]) if rank == best]
    return tuple(wanted[:SUSPECTS_LIMIT])


def _rank_of_value(value: Any, quoted: set[str], words: set[str]) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    if not text:
        return None
    if text in quoted:
        return _VALUE_QUOTED
    # A value that is a plain word ("ready") may occur in any sentence.
    is_telling = len(text) >= SHORTEST_VALUE and not text.isalpha()
    if is_telling and (text in words or any(text in part for part in quoted)):
        return _VALUE
    return None


def _rank_of_name(path: str, name: str, quoted: set[str], words: set[str]) -> int | None:
    lowered = name.lower()
    if path.lower() in quoted or (path.lower() in words and "." in path):
        return _NAME_QUOTED
    if lowered in _COMMON_NAMES or len(lowered) < 3:
        return None
    if lowered in quoted:
        return _NAME_QUOTED
    if lowered in words or lowered.replace("_", " ") in " ".join(sorted(quoted)):
        return _NAME
    parts = [part.lower() for part in re.split(r"[_-]", _CAMEL.sub("_", name))]
    if len(parts) > 1 and any(part in words for part in parts if len(part) > 3 and part not in _COMMON_NAMES):
        return _PART
    return None


def _leaves(payload: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield path, last name and value of every scalar member, in document order."""
    waiting: list[tuple[str, str, Any]] = [("", "", payload)]
    left = LEAVES_LIMIT
    while waiting and left > 0:
        path, name, value = waiting.pop()
        if isinstance(value, dict):
            inner = [(path_to(path, key), key, item) for key, item in value.items()]
            waiting.extend(reversed(inner))
        elif isinstance(value, list):
            waiting.extend(reversed([(path_to(path, index), name, item) for index, item in enumerate(value[:200])]))
        elif path:
            left -= 1
            yield path, name, value
