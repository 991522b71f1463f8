"""Sizes of the values in expressions, and the cost of reading and comparing them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

from django.utils.translation import gettext as _

from integrations.foundation.strict_json import compact_json
from integrations.foundation.texts import shortened

#: Maximum characters of JSON in a result or an intermediate value.
SIZE_LIMIT: Final = 1_000_000
#: Maximum nesting of arrays and objects, as in pushed documents.
DEPTH_LIMIT: Final = 100

_SURROGATE = re.compile("[\ud800-\udfff]")


class ExpressionError(ValueError):
    """The expression is invalid, or cannot be evaluated on this data. `column` counts from 1; None if unknown."""

    def __init__(self, message: str, column: int | None = None) -> None:
        self.message = message if len(message) <= 500 else f"{message[:499]}…"
        self.column = column
        super().__init__(self.message)


class WorkExceeded(ExpressionError):
    """The evaluation was stopped because it exceeded its budget on this data."""

    def __init__(self) -> None:
        super().__init__(_("Evaluating the expression on this data takes too long. Select less, or use simpler steps."))


def weigh(value: Any, limit: int = SIZE_LIMIT) -> int:
    """Return the approximate size of `value` in characters of JSON.

    Shared parts are counted each time. Raises ExpressionError above `limit` or `DEPTH_LIMIT`, and for values that JSON
    cannot represent.
    """
    weight = 0
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        weight += 2
        if isinstance(item, str):
            weight += _weight_of_text(item)
        elif isinstance(item, dict):
            weight += sum(map(_weight_of_text, item))
            waiting.extend((inner, depth + 1) for inner in item.values())
        elif isinstance(item, list):
            # Checked before iterating over the list: it may be far longer than the rest of the limit.
            weight += len(item)
            if weight <= limit:
                waiting.extend((inner, depth + 1) for inner in item)
        else:
            weight += _weight_of_scalar(item)
        if weight > limit:
            raise ExpressionError(
                _("The result has more than %(limit)s characters. Select less.") % {"limit": f"{limit:,}"}
            )
        if depth > DEPTH_LIMIT:
            raise ExpressionError(_("The result is nested more than %(limit)s levels deep.") % {"limit": DEPTH_LIMIT})
    return weight


def _weight_of_text(text: str) -> int:
    if not text.isascii() and _SURROGATE.search(text):
        raise ExpressionError(_("The result contains a lone surrogate (\\ud800–\\udfff), which is not allowed."))
    return len(text)


def _weight_of_scalar(item: Any) -> int:
    if item is None or isinstance(item, bool):
        return 4
    if isinstance(item, int):
        return item.bit_length() // 3 + 1
    if isinstance(item, float):
        if not math.isfinite(item):
            raise ExpressionError(_("The result holds a number that is not finite."))
        return 8
    raise ExpressionError(_("& makes an expression for a function such as sort_by() and is not a value on its own."))


def text_of(value: Any) -> str:
    """Return `value` as text for a message: strings unchanged, null as the empty string, anything else as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    weigh(value)
    return compact_json(value)


def shown(value: Any) -> str:
    """Return `value` as JSON for an error message, cut to 80 characters."""
    try:
        weigh(value, 10_000)
    except ExpressionError:
        return _("a large value") if isinstance(value, str | list | dict) else _("no value")
    return shortened(json.dumps(value, ensure_ascii=False), 80)


def cost_of_reading(value: Any) -> int:
    """Return the steps for iterating over `value` once, not including its parts."""
    if isinstance(value, str):
        return len(value) >> 5
    return len(value) >> 2 if isinstance(value, list | dict) else 0


def cost_of_comparing(items: list[Any]) -> int:
    """Return the steps for comparing these values with each other; long texts cost more."""
    return len(items) + (sum(len(item) for item in items if isinstance(item, str)) >> 8)


def is_equal(left: Any, right: Any, charge: Callable[[int], None]) -> bool:
    """Return JMESPath's `left == right` (1 does not equal true). Charges for the parts that are compared."""
    waiting = [(left, right)]
    while waiting:
        one, other = waiting.pop()
        if isinstance(one, bool) is not isinstance(other, bool):
            return False
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            charge(len(one))
            waiting.extend(zip(one, other, strict=True))
        elif isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            charge(len(one))
            waiting.extend((value, other[name]) for name, value in one.items())
        else:
            if isinstance(one, str) and isinstance(other, str) and len(one) == len(other):
                charge(len(one) >> 8)
            if one != other:
                return False
    return True
