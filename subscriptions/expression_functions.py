"""The functions that expressions may call beside JMESPath's own, and the bounds on what they may make.

Filters and transforms are written by whoever holds a store's token, so a short expression must not be able to fill
the memory: `concat(@, @) | concat(@, @) | …` doubles at each step. Everything that is made is weighed as it is made.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from jmespath import exceptions
from jmespath.functions import Functions, signature

#: Characters of JSON that a result, or any part made on the way to it, may have.
SIZE_LIMIT: Final = 1_000_000
#: Arrays and objects within each other, as in a document that is pushed (contract §9).
DEPTH_LIMIT: Final = 100

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"-?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,3})?", re.ASCII)
_DATE_PATTERN = re.compile(r"([^%]|%[YmdHMSpIbBaAjyZz%]){0,100}", re.DOTALL)
_TYPE_WORDS: Final = {
    "string": "text",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "expref": "an expression (&…)",
    "array-number": "a list of numbers",
    "array-string": "a list of texts",
}


class ExpressionError(ValueError):
    """An expression that cannot be read, or not be worked out on this data. `column` counts from 1, where known."""

    def __init__(self, message: str, column: int | None = None) -> None:
        self.message = message if len(message) <= 500 else f"{message[:499]}…"
        self.column = column
        super().__init__(self.message)


def weigh(value: Any, limit: int = SIZE_LIMIT) -> int:
    """About how many characters of JSON `value` has. Raises ExpressionError past `limit` or `DEPTH_LIMIT`, and for
    what JSON cannot hold.

    Parts that are shared count each time, as they would be written each time.
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
            # Before the list is unrolled: it may be far longer than what is left of the limit.
            weight += len(item)
            if weight <= limit:
                waiting.extend((inner, depth + 1) for inner in item)
        else:
            weight += _weight_of_scalar(item)
        if weight > limit:
            raise ExpressionError(f"The result has more than {limit:,} characters. Select less.")
        if depth > DEPTH_LIMIT:
            raise ExpressionError(f"The result is nested more than {DEPTH_LIMIT} levels deep.")
    return weight


def _weight_of_text(text: str) -> int:
    if not text.isascii() and _SURROGATE.search(text):
        raise ExpressionError("The result holds half of a surrogate pair (\\ud800–\\udfff), which no text may.")
    return len(text)


def _weight_of_scalar(item: Any) -> int:
    if item is None or isinstance(item, bool):
        return 4
    if isinstance(item, int):
        return item.bit_length() // 3 + 1
    if isinstance(item, float):
        if not math.isfinite(item):
            raise ExpressionError("The result holds a number that is not finite.")
        return 8
    raise ExpressionError("& makes an expression for a function such as sort_by() and is no value by itself.")


def text_of(value: Any) -> str:
    """`value` as it stands in a message: text as it is, null as nothing, all else as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    weigh(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _bounded(length: int) -> None:
    if length > SIZE_LIMIT:
        raise ExpressionError(f"The text has more than {SIZE_LIMIT:,} characters. Select less.")


class ExpressionFunctions(Functions):
    """JMESPath's functions and those below; the first line of each docstring is its help.

    `charge` is told the cost of each result, so that the whole evaluation has a bound. `context` answers `context()`.
    """

    def __init__(self, charge: Callable[[int], None], context: Mapping[str, Any]) -> None:
        self._charge = charge
        self._context = context

    def call_function(self, function_name: str, resolved_args: Any) -> Any:
        try:
            result = super().call_function(function_name, resolved_args)
        except exceptions.JMESPathTypeError as error:
            raise ExpressionError(_type_message(function_name, error)) from error
        if isinstance(result, str):
            self._charge(len(result) >> 3)
        elif isinstance(result, list | dict):
            self._charge(len(result))
        return result

    @signature({"types": [], "variadic": True})
    def _func_concat(self, *values: Any) -> str:
        """concat(a, b, …): all of them in a row as one text; null counts as nothing."""
        texts = [text_of(value) for value in values]
        _bounded(sum(map(len, texts)))
        return "".join(texts)

    @signature({"types": []}, {"types": []})
    def _func_default(self, value: Any, fallback: Any) -> Any:
        """default(value, fallback): the fallback where the value is null or empty text; 0 and false stay."""
        return fallback if value is None or value == "" else value

    @signature({"types": ["string"]})
    def _func_lower(self, text: str) -> str:
        """lower(text): in small letters."""
        return text.lower()

    @signature({"types": ["string"]})
    def _func_upper(self, text: str) -> str:
        """upper(text): in capital letters."""
        return text.upper()

    @signature({"types": ["string"]})
    def _func_trim(self, text: str) -> str:
        """trim(text): without blanks at both ends."""
        return text.strip()

    @signature({"types": ["string"]}, {"types": ["string"]}, {"types": ["string"]})
    def _func_replace(self, text: str, old: str, new: str) -> str:
        """replace(text, old, new): each occurrence of old replaced."""
        if not old:
            return text
        _bounded(len(text) + text.count(old) * (len(new) - len(old)))
        return text.replace(old, new)

    @signature({"types": ["string"]}, {"types": ["string"]})
    def _func_split(self, text: str, separator: str) -> list[str]:
        """split(text, separator): the list of parts between the separators."""
        if not separator:
            raise ExpressionError("split() needs a separator that is not empty.")
        return text.split(separator)

    @signature({"types": ["string"]}, {"types": []})
    def _func_format(self, template: str, values: Any) -> str:
        """format('Hi {name}, {items.0.sku}', @): the template with values filled in; missing ones are left out."""
        parts: list[str] = []
        length = end = 0
        for match in _PLACEHOLDER.finditer(template):
            filled = match[0][0] if match[1] is None else text_of(_looked_up(values, match[1].strip()))
            parts += [template[end : match.start()], filled]
            end = match.end()
            length += len(filled)
            _bounded(length)
        return "".join([*parts, template[end:]])

    @signature({"types": ["number"]}, {"types": ["number"]})
    def _func_fixed(self, number: float, digits: float) -> str:
        """fixed(number, digits): as text with that many digits after the point, 5.0 → 5.00; a half goes up."""
        if digits not in range(11):
            raise ExpressionError("fixed() can show 0 to 10 digits.")
        if not abs(number) < 1e15:
            raise ExpressionError("fixed() takes numbers below 1,000,000,000,000,000.")
        return str(Decimal(str(number)).quantize(Decimal(1).scaleb(-int(digits)), ROUND_HALF_UP))

    @signature({"types": ["string", "number", "null"]}, {"types": ["string"]})
    def _func_date(self, moment: str | float | None, pattern: str) -> str | None:
        """date(moment, '%d.%m.%Y %H:%M'): an ISO 8601 text or unix seconds (as UTC) in another form; null stays."""
        if moment is None:
            return None
        if not _DATE_PATTERN.fullmatch(pattern):
            raise ExpressionError("date() takes a pattern of up to 100 characters with %Y %m %d %H %M %S %b %B %a %A.")
        try:
            when = datetime.fromisoformat(moment) if isinstance(moment, str) else datetime.fromtimestamp(moment, UTC)
            return when.strftime(pattern)
        except (ValueError, OverflowError, OSError) as error:
            raise ExpressionError(f"date() cannot read {shown(moment)} as a date.") from error

    @signature({"types": ["string"]})
    def _func_context(self, name: str) -> Any:
        """context('topic'): what is known of the event beside its data: topic, intent; null where there is none."""
        return self._context.get(name)

    # JMESPath's own, with bounds.

    @signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: str, texts: list[str]) -> str:
        _bounded(sum(map(len, texts)) + len(separator) * len(texts))
        return separator.join(texts)

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        return "null" if value is None else text_of(value)

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> float | None:
        # The library's own also takes "nan", "infinity" and "1_000", which are no numbers of JSON.
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            return None
        is_integer = match[1] is None and match[2] is None
        number = int(match[0]) if is_integer else float(match[0])
        return number if is_integer or math.isfinite(number) else None


def _looked_up(values: Any, path: str) -> Any:
    for word in path.split("."):
        if isinstance(values, dict):
            values = values.get(word)
        elif isinstance(values, list) and word.isdecimal() and len(word) < 10 and int(word) < len(values):
            values = values[int(word)]
        else:
            return None
    return values


def shown(value: Any) -> str:
    """`value` as JSON for a message, cut to 80 characters."""
    try:
        weigh(value, 10_000)
    except ExpressionError:
        return "a large value" if isinstance(value, str | list | dict) else "no value"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _type_message(function_name: str, error: exceptions.JMESPathTypeError) -> str:
    expected = " or ".join(_TYPE_WORDS.get(name, name) for name in error.expected_types)
    message = f"{function_name}() needs {expected}, and was given {shown(error.current_value)}."
    return f"{message} default(…, '') gives a value to what is missing." if error.current_value is None else message


def function_help() -> list[str]:
    """One line for each function beside JMESPath's own, for the pages where expressions are written."""
    table: Mapping[str, Any] = ExpressionFunctions.FUNCTION_TABLE
    texts = (str(entry["function"].__doc__ or "") for entry in table.values())
    return sorted(text.splitlines()[0] for text in texts if text)
