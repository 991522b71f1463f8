"""`items[0].price`, as people write a place in a document, to the JSON Pointer `/items/0/price`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def pointer_of(path: str) -> str:
    parts = (index or name for index, name in _PART.findall(path))
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def existing_pointers(paths: Iterable[str], payload: Any) -> list[str]:
    """The pointers of those paths that lead somewhere in `payload`; a bare field name is looked for everywhere."""
    found: list[str] = []
    for path in paths:
        pointer = path if path.startswith("/") else pointer_of(path)
        if pointer and _leads(pointer, payload):
            found.append(pointer)
        elif path and "/" not in path and "." not in path:
            found += _named(path, payload, "", 0)
    return list(dict.fromkeys(found))[:20]


def _leads(pointer: str, value: Any) -> bool:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and re.fullmatch("[0-9]{1,9}", name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return False
    return True


def _named(name: str, value: Any, path: str, depth: int) -> list[str]:
    if depth > 8:
        return []
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        here = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if key == name:
            found.append(here)
        found += _named(name, inner, here, depth + 1)
        if len(found) > 20:
            break
    return found
