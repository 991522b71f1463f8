"""Places inside a JSON document: `items[0].price` for people, `/items/0/price` (RFC 6901) for programs. Pure.

A path is read loosely, as people write it: names with dots, brackets or slashes in them only a pointer can say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import jsonpointer

_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def path_to(outer: str, part: str | int) -> str:
    """The path of a member or item of what stands at `outer`, which is empty for the whole document."""
    if isinstance(part, int):
        return f"{outer}[{part}]"
    return f"{outer}.{part}" if outer else part


def path_of(parts: Iterable[str | int], outer: str = "") -> str:
    """`("items", 0, "price")` → `items[0].price`."""
    for part in parts:
        outer = path_to(outer, part)
    return outer


def path_of_pointer(pointer: str) -> str:
    """`/items/0/price` → `items[0].price`; digits count as the number of an item. Empty for the whole document.

    Raises ValueError for what is no JSON Pointer.
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
