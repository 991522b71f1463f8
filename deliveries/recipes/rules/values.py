"""Rules for values of any type: default, copy, remove, convert, and JMESPath for those who know it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deliveries.recipes.rules.base import (
    ON,
    TEXT_LIMIT,
    Chosen,
    Option,
    Rule,
    RuleError,
    ValueProblem,
    is_empty,
    quoted,
    shown_text,
)
from integrations.foundation.json_places import MISSING, PlaceError, in_jmespath, kind_of, look_up, parse_place
from integrations.foundation.strict_json import compact_json
from integrations.foundation.written import grouped
from subscriptions.budget import Budget
from subscriptions.expressions.evaluation import ExpressionError, WorkExceeded, check_expression, transform

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


_WHOLE = re.compile(r"[+-]?\d{1,15}")
_DECIMAL = re.compile(r"[+-]?(\d{1,15}(\.\d{1,15})?|\.\d{1,15})")
_TRUE: Final = frozenset({"true", "yes", "y", "1", "on", "t"})
_FALSE: Final = frozenset({"false", "no", "n", "0", "off", "f"})


class Default(Rule):
    name = "default"
    label = gettext_lazy("Fill in if empty")
    sentence = gettext_lazy("Puts a value where the field is missing, null or blank.")
    options = (Option("value", gettext_lazy("Value"), is_required=True),)

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return chosen["value"] if is_empty(value) else value

    def described(self, chosen: Chosen) -> str:
        return _("If empty: %(value)s") % {"value": shown_text(chosen["value"])}

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        return f"default({inner}, {quoted(chosen['value'])})"


class Copy(Rule):
    name = "copy"
    label = gettext_lazy("Copy another field")
    sentence = gettext_lazy("Takes the value of another field of the same payload.")
    options = (
        Option(
            "path",
            gettext_lazy("From field"),
            "path",
            is_required=True,
            help=gettext_lazy("For example billing_address.phone"),
        ),
        Option("only_empty", gettext_lazy("Only where this field is empty"), "tick"),
    )

    def check(self, chosen: Chosen) -> None:
        try:
            parse_place(chosen["path"])
        except PlaceError as error:
            raise RuleError(str(error), "path") from None

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        if chosen["only_empty"] == ON and not is_empty(value):
            return value
        found = look_up(payload, parse_place(chosen["path"]))
        if is_empty(found):
            said = (
                _("%(field)s is missing: nothing to copy.")
                if found is MISSING
                else _("%(field)s is empty: nothing to copy.")
            )
            raise ValueProblem(said % {"field": chosen["path"]})
        return found

    def described(self, chosen: Chosen) -> str:
        if chosen["only_empty"] == ON:
            return _("Copy %(field)s if empty") % {"field": chosen["path"]}
        return _("Copy %(field)s") % {"field": chosen["path"]}

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        source = in_jmespath(parse_place(chosen["path"]))
        return f"default({inner}, {source})" if chosen["only_empty"] == ON else source


class Remove(Rule):
    name = "remove"
    label = gettext_lazy("Remove the field")
    sentence = gettext_lazy("Takes the field out of the payload.")

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return MISSING


class Convert(Rule):
    name = "convert"
    label = gettext_lazy("Convert")
    sentence = gettext_lazy("Makes text of a number, or a number, a date, or true or false of text.")
    options = (
        Option(
            "to",
            gettext_lazy("To"),
            "choice",
            "text",
            choices=(
                ("text", gettext_lazy("text")),
                ("whole", gettext_lazy("a whole number")),
                ("number", gettext_lazy("a number")),
                ("boolean", gettext_lazy("true or false")),
                ("date", gettext_lazy("a date, 2026-01-31")),
                ("list", gettext_lazy("a list of one")),
                ("null", gettext_lazy("null if empty")),
            ),
        ),
        Option(
            "style",
            gettext_lazy("Written as"),
            "choice",
            "point",
            choices=(
                ("point", gettext_lazy("1,234.5 · month before day")),
                ("comma", gettext_lazy("1.234,5 · day before month")),
            ),
            help=gettext_lazy("For numbers and dates: how the text is written now."),
        ),
    )

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return _CONVERTERS[chosen["to"]](value, chosen["style"])

    def described(self, chosen: Chosen) -> str:
        return str(_CONVERTED[chosen["to"]])

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        known = {"text": f"to_string({inner})", "number": f"to_number({inner})", "list": f"to_array({inner})"}
        return known.get(chosen["to"])


_CONVERTED: Final[Mapping[str, StrPromise]] = {
    "text": gettext_lazy("Convert to text"),
    "whole": gettext_lazy("Convert to a whole number"),
    "number": gettext_lazy("Convert to a number"),
    "boolean": gettext_lazy("Convert to true or false"),
    "date": gettext_lazy("Convert to a date, 2026-01-31"),
    "list": gettext_lazy("Convert to a list of one"),
    "null": gettext_lazy("Convert to null if empty"),
}


def _to_text(value: Any, style: str) -> Any:
    if isinstance(value, str) or value is None or value is MISSING:
        return value
    text = compact_json(value)
    if len(text) > TEXT_LIMIT:
        raise ValueProblem(_("The text would have more than %(limit)s characters.") % {"limit": grouped(TEXT_LIMIT)})
    return text


def _plain_number(value: Any, style: str) -> str:
    if not isinstance(value, str):
        raise ValueProblem(_("It is %(kind)s, not a number.") % {"kind": _(kind_of(value))})
    text = re.sub(r"[\s_'’]", "", value)
    thousands, point = (",", ".") if style == "point" else (".", ",")
    whole, mark, fraction = text.partition(point)
    # 12,5 is not 125: what separates thousands has three digits behind it.
    if thousands in whole and not re.fullmatch(rf"[+-]?\d{{1,3}}(\{thousands}\d{{3}})+", whole):
        raise ValueProblem(_("A %(thousands)s does not stand between thousands here.") % {"thousands": thousands})
    return whole.replace(thousands, "") + (f".{fraction}" if mark else "")


def _to_whole(value: Any, style: str) -> Any:
    if value is None or value is MISSING or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    text = _plain_number(value, style)
    text = text.split(".")[0] if re.fullmatch(r"[+-]?\d+\.0+", text) else text
    if not text.isascii() or not _WHOLE.fullmatch(text):
        raise ValueProblem(_("It is not a whole number."))
    return int(text)


def _to_number(value: Any, style: str) -> Any:
    if value is None or value is MISSING or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    text = _plain_number(value, style)
    if not text.isascii() or not _DECIMAL.fullmatch(text):
        raise ValueProblem(_("It is not a number."))
    number = float(text)
    return int(number) if "." not in text else number if math.isfinite(number) else None


def _to_boolean(value: Any, style: str) -> Any:
    if isinstance(value, bool) or value is None or value is MISSING:
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueProblem(_("It is neither true nor false: yes, no, 1 and 0 are understood too."))


def _to_date(value: Any, style: str) -> Any:
    if is_empty(value):
        return value
    if not isinstance(value, str):
        raise ValueProblem(_("It is %(kind)s, not a date.") % {"kind": _(kind_of(value))})
    text = value.strip()
    first = "%m/%d" if style == "point" else "%d/%m"
    day = re.sub(r"[.\-\s]+", "/", text) if not re.match(r"\d{4}-", text) else text
    for form in ("%Y-%m-%d", f"{first}/%Y", "%Y/%m/%d", "%d/%b/%Y", "%d/%B/%Y"):
        try:
            return datetime.strptime(day, form).date().isoformat()  # noqa: DTZ007 - a date has no zone
        except ValueError:
            continue
    raise ValueProblem(_("It is not a date."))


_CONVERTERS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "text": _to_text,
    "whole": _to_whole,
    "number": _to_number,
    "boolean": _to_boolean,
    "date": _to_date,
    "list": lambda value, _style: value if isinstance(value, list) or value is MISSING else [value],
    "null": lambda value, _style: None if is_empty(value) else value,
}


class Expression(Rule):
    name = "expression"
    label = "JMESPath"
    sentence = gettext_lazy("Computes the value: `value` is the one so far, `payload` the whole payload.")
    options = (
        Option(
            "text",
            gettext_lazy("Expression"),
            is_required=True,
            help=gettext_lazy("For example concat('+254', value) or default(payload.customer.phone, value)"),
        ),
    )

    def check(self, chosen: Chosen) -> None:
        try:
            check_expression(chosen["text"])
        except ExpressionError as error:
            message = error.message
            if error.column:
                message = _("%(message)s (column %(number)s)") % {"message": message, "number": error.column}
            raise RuleError(message, "text") from None

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        data = {"value": None if value is MISSING else value, "payload": payload}
        try:
            return transform(chosen["text"], data, budget=budget)
        except WorkExceeded:
            raise ValueProblem(_("The expression takes too long on this payload.")) from None
        except ExpressionError as error:
            raise ValueProblem(error.message) from None

    def described(self, chosen: Chosen) -> str:
        return f"JMESPath {chosen['text']}"
