"""Paths in a JSON document: `items[0].price` for people, `/items/0/price` (RFC 6901) for programs. Pure.

Paths for people are parsed leniently; names that contain dots, brackets or slashes need a pointer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import jsonpointer

_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def path_to(outer: str, part: str | int) -> str:
    """Return the path of a member or item of the value at `outer` (empty: the whole document)."""
    if isinstance(part, int):
        return f"{outer}[{part}]"
    return f"{outer}.{part}" if outer else part


def path_of(parts: Iterable[str | int], outer: str = "") -> str:
    """`("items", 0, "price")` → `items[0].price`."""
    for part in parts:
        outer = path_to(outer, part)
    return outer


def path_of_pointer(pointer: str) -> str:
    """`/items/0/price` → `items[0].price`; digits are taken as an index. Empty for the whole document.

    Raises ValueError if `pointer` is not a JSON Pointer.
    """
    try:
        parts = jsonpointer.JsonPointer(pointer).parts
    except jsonpointer.JsonPointerException as error:
        raise ValueError(str(error)) from error
    return path_of(int(part) if part.isascii() and part.isdecimal() else part for part in parts)


def pointer_of(path: str) -> str:
    """`items[0].price` → `/items/0/price`."""
    return pointer_from(index or name for index, name in _PART.findall(path))


def pointer_from(parts: Iterable[str | int]) -> str:
    """`("items", 0, "a/b")` → `/items/0/a~1b`."""
    return "".join("/" + jsonpointer.escape(str(part)) for part in parts)
