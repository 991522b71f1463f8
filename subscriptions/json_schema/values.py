"""Compares JSON values as JSON Schema does: 1 equals 1.0, true does not equal 1, key order is ignored."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable
from typing import Any, Final

_repr: Final = reprlib.Repr()
_repr.maxlevel, _repr.maxdict, _repr.maxlist = 3, 4, 4
_repr.maxstring = _repr.maxother = 80
_repr.maxlong = 40


def shown(value: Any) -> str:
    """Return `value` for a message, shortened."""
    return _repr.repr(value)


def key_of(value: Any, charge: Callable[[int], None]) -> str:
    """Return a text that is the same for equal values and different for others. Raises BudgetExceeded.

    A text instead of hash(): integers with equal hashes are easy to find.
    """
    charge(1)
    if isinstance(value, str):
        charge(len(value) >> 6)
        return json.dumps(value)
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return hex(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, list):
        text = f"[{','.join([key_of(item, charge) for item in value])}]"
    else:
        members = [f"{json.dumps(name)}:{key_of(value[name], charge)}" for name in sorted(value)]
        text = f"{{{','.join(members)}}}"
    charge(len(text) >> 6)
    return text


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
