"""The functions available in expressions besides JMESPath's own, and limits on their results.

Filters and transforms are written by anyone who holds a store's token, so a short expression must not be able to
exhaust memory: `concat(@, @) | concat(@, @) | …` doubles at each step. Every result is measured when it is created, and
the arguments of a function are charged before it runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from django.utils.translation import gettext as _
from jmespath import exceptions
from jmespath.functions import Functions, signature

from integrations.foundation.languages import gettext_noop
from subscriptions.expressions.values import (
    SIZE_LIMIT,
    ExpressionError,
    cost_of_comparing,
    cost_of_reading,
    is_equal,
    shown,
    text_of,
)

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_NUMBER = re.compile(r"-?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,3})?", re.ASCII)
_DATE_PATTERN = re.compile(r"([^%]|%[YmdHMSpIbBaAjyZz%]){0,100}", re.DOTALL)
_DATE_CODES: Final = "%Y %m %d %H %M %S %b %B %a %A"
_TYPE_WORDS: Final = {
    "string": gettext_noop("text"),
    "number": gettext_noop("a number"),
    "boolean": gettext_noop("true or false"),
    "array": gettext_noop("a list"),
    "object": gettext_noop("an object"),
    "null": gettext_noop("null"),
    "expref": gettext_noop("an expression (&…)"),
    "array-number": gettext_noop("a list of numbers"),
    "array-string": gettext_noop("a list of texts"),
}


def _bounded(length: int) -> None:
    if length > SIZE_LIMIT:
        raise ExpressionError(
            _("The text has more than %(limit)s characters. Select less.") % {"limit": f"{SIZE_LIMIT:,}"}
        )


#: Functions that only check whether their arguments are present, or how long they are.
_LOOKING_ONLY: Final = frozenset({"context", "default", "length", "not_null", "to_array", "type"})
#: Functions that compare the items of their list repeatedly.
_SORTING: Final = frozenset({"sort", "sort_by"})


class ExpressionFunctions(Functions):
    """JMESPath's functions and those below; the first line of each docstring is its help text.

    `charge` receives the cost of the arguments and of each result, which bounds the whole evaluation. `context` holds
    the values for `context()`.
    """

    def __init__(self, charge: Callable[[int], None], context: Mapping[str, Any]) -> None:
        self._charge = charge
        self._context = context

    def call_function(self, function_name: str, resolved_args: Any) -> Any:
        self._charge_arguments(function_name, resolved_args)
        try:
            result = super().call_function(function_name, resolved_args)
        except exceptions.JMESPathTypeError as error:
            raise ExpressionError(_type_message(function_name, error)) from error
        if isinstance(result, str):
            self._charge(len(result) >> 3)
        elif isinstance(result, list | dict):
            self._charge(len(result))
        return result

    def _charge_arguments(self, function_name: str, arguments: Any) -> None:
        if function_name in _LOOKING_ONLY:
            return
        for argument in arguments:
            self._charge(cost_of_reading(argument))
            if function_name in _SORTING and isinstance(argument, list):
                self._charge(cost_of_comparing(argument) * len(argument).bit_length() >> 3)

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
            raise ExpressionError(_("split() needs a separator that is not empty."))
        return text.split(separator)

    @signature({"types": ["string"]}, {"types": []})
    def _func_format(self, template: str, values: Any) -> str:
        """format('Hi {name}, {items.0.sku}', @): the template with values filled in; missing ones are left out."""
        parts: list[str] = []
        length = end = 0
        for match in _PLACEHOLDER.finditer(template):
            self._charge(2)
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
            raise ExpressionError(_("fixed() can show 0 to 10 digits."))
        if not abs(number) < 1e15:
            raise ExpressionError(_("fixed() takes numbers below 1,000,000,000,000,000."))
        return str(Decimal(str(number)).quantize(Decimal(1).scaleb(-int(digits)), ROUND_HALF_UP))

    @signature({"types": ["string", "number", "null"]}, {"types": ["string"]})
    def _func_date(self, moment: str | float | None, pattern: str) -> str | None:
        """date(moment, '%d.%m.%Y %H:%M'): an ISO 8601 text or unix seconds (as UTC) in another form; null stays."""
        if moment is None:
            return None
        if not _DATE_PATTERN.fullmatch(pattern):
            raise ExpressionError(
                _("date() takes a pattern of up to 100 characters with %(codes)s.") % {"codes": _DATE_CODES}
            )
        try:
            when = datetime.fromisoformat(moment) if isinstance(moment, str) else datetime.fromtimestamp(moment, UTC)
            return when.strftime(pattern)
        except (ValueError, OverflowError, OSError) as error:
            raise ExpressionError(_("date() cannot read %(value)s as a date.") % {"value": shown(moment)}) from error

    @signature({"types": ["string"]})
    def _func_context(self, name: str) -> Any:
        """context('topic'): what is known of the event beside its data: topic, intent; null where there is none."""
        return self._context.get(name)

    # JMESPath's own, with bounds.

    @signature({"types": ["array", "string"]}, {"types": []})
    def _func_contains(self, subject: Any, search: Any) -> bool:
        if isinstance(subject, str):
            if not isinstance(search, str):
                raise ExpressionError(
                    _("contains() looks for text in a text, and was given %(value)s.") % {"value": shown(search)}
                )
            return search in subject
        return any(self._is_same(item, search) for item in subject)

    def _is_same(self, item: Any, search: Any) -> bool:
        self._charge(1)
        return is_equal(item, search, self._charge)

    @signature({"types": ["array-number", "array-string"]})
    def _func_max(self, values: list[Any]) -> Any:
        self._charge(cost_of_comparing(values) >> 3)
        return max(values, default=None)

    @signature({"types": ["array-number", "array-string"]})
    def _func_min(self, values: list[Any]) -> Any:
        self._charge(cost_of_comparing(values) >> 3)
        return min(values, default=None)

    @signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: str, texts: list[str]) -> str:
        _bounded(sum(map(len, texts)) + len(separator) * len(texts))
        return separator.join(texts)

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        return "null" if value is None else text_of(value)

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> float | None:
        # The library's own also accepts "nan", "infinity" and "1_000", which are not JSON numbers.
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


def _type_message(function_name: str, error: exceptions.JMESPathTypeError) -> str:
    expected = ""
    for name in error.expected_types:
        word = _(_TYPE_WORDS.get(name, name))
        expected = _("%(first)s or %(second)s") % {"first": expected, "second": word} if expected else word
    message = _("%(function)s() needs %(expected)s, and was given %(value)s.") % {
        "function": function_name,
        "expected": expected,
        "value": shown(error.current_value),
    }
    if error.current_value is not None:
        return message
    advice = _("default(…, '') gives a value to what is missing.")
    return f"{message} {advice}"


def function_help() -> list[str]:
    """Return one line of help per function besides JMESPath's own, for the pages on which expressions are entered."""
    table: Mapping[str, Any] = ExpressionFunctions.FUNCTION_TABLE
    texts = (str(entry["function"].__doc__ or "") for entry in table.values())
    return sorted(text.splitlines()[0] for text in texts if text)
