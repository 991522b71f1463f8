"""Where in a payload the fields are that a diagnosis names. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jsonpointer

from integrations.foundation.json_paths import pointer_from, pointer_of


def existing_pointers(paths: Iterable[str], payload: Any) -> list[str]:
    """The pointers of those paths that exist in `payload`; a bare field name matches at any depth."""
    found: list[str] = []
    for path in paths:
        pointer = path if path.startswith("/") else pointer_of(path)
        if pointer and _leads(pointer, payload):
            found.append(pointer)
        elif path and "/" not in path and "." not in path:
            found += _named(path, payload, "", 0)
    return list(dict.fromkeys(found))[:20]


def _leads(pointer: str, payload: Any) -> bool:
    try:
        found = jsonpointer.resolve_pointer(payload, pointer)
    except (jsonpointer.JsonPointerException, TypeError):
        return False
    return not isinstance(found, jsonpointer.EndOfList)


def _named(name: str, value: Any, path: str, depth: int) -> list[str]:
    if depth > 8:
        return []
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        here = path + pointer_from([key])
        if key == name:
            found.append(here)
        found += _named(name, inner, here, depth + 1)
        if len(found) > 20:
            break
    return found
