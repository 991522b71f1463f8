"""Filters and transforms of subscriptions, and the conditions of topics, in JMESPath (https://jmespath.org).

Text is written in single quotes ('paid'), other values in backticks (`1`, `true`), field names in double quotes.
null, false, "", [] and {} are false, everything else is true, including 0. A number received as text, such as a
chatbot's `choice_confirmation` "1", is compared as text (== '1') or with to_number(…) == `1`.

In addition to JMESPath's own functions, for messages and conditions: concat(a, b, …), default(value, fallback),
lower(text), upper(text), trim(text), replace(text, old, new), split(text, separator), format('Hi {name}', object),
fixed(number, digits), date(moment, '%d.%m.%Y') and context('topic' or 'intent'). `function_help()` describes them.

    format('Order of {number_of_pizzas} pizza to {address}', @)
    {phone: shipping_address.phone, message: concat('On its way: ', default(tracking, 'no tracking yet'))}

Limits: 10,000 characters per expression, 1,000,000 per result, about a second per evaluation, which runs under its own
`Budget` unless one is given. All functions raise ExpressionError, and nothing else, for an invalid expression or one
that cannot be evaluated on the data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from subscriptions.budget import Budget
from subscriptions.expressions.functions import function_help
from subscriptions.expressions.language import Interpreter, Node, compiled, is_true, work_out
from subscriptions.expressions.values import ExpressionError, WorkExceeded, shown, weigh

__all__ = [
    "ExpressionError",
    "WorkExceeded",
    "check_expression",
    "explain",
    "function_help",
    "holds",
    "passes",
    "transform",
]

Context = Mapping[str, Any]

_OPERATORS: Final = {"eq": "==", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_expression(text: str) -> None:
    """Raise ExpressionError (message and column) if `text` is not a valid expression: syntax, functions, length."""
    compiled(text)


def passes(filter_text: str, data: Any, context: Context | None = None, budget: Budget | None = None) -> bool:
    """Return whether the data passes the filter; an empty filter passes everything. Raises ExpressionError.

    `context`: the event's `topic` and `intent`, for the function `context()`.
    """
    if not filter_text.strip():
        return True
    return is_true(work_out(Interpreter(context, budget), compiled(filter_text), data))


def transform(text: str, data: Any, context: Context | None = None, budget: Budget | None = None) -> Any:
    """What the transform makes of the data; an empty one gives the data itself. Raises ExpressionError.

    The result may share parts with `data` and the expression: do not modify it.
    """
    if not text.strip():
        return data
    result = work_out(Interpreter(context, budget), compiled(text), data)
    weigh(result)
    return result


def holds(condition: str, old: Any, new: Any, budget: Budget | None = None) -> bool:
    """Return whether a topic's condition is true for a change from `old` (None at creation) to `new`.

    Example: `old.financial_status != 'paid' && new.financial_status == 'paid'`. Raises ExpressionError, also if empty.
    """
    return is_true(work_out(Interpreter(budget=budget), compiled(condition), {"old": old, "new": new}))


def explain(
    filter_text: str,
    data: Any,
    context: Context | None = None,
    budget: Budget | None = None,
    *,
    is_strict: bool = False,
) -> tuple[bool, str]:
    """Return whether the data passes the filter, and the reason in words.

    An error is a reason too; with `is_strict`, ExpressionError is raised instead.
    """
    if not filter_text.strip():
        return True, _("There is no filter: everything passes.")
    try:
        verdict, reasons = reasoned(filter_text, data, context, budget)
    except ExpressionError as error:
        if is_strict:
            raise
        words = {"column": error.column, "problem": error.message}
        if error.column:
            return False, _("The filter cannot be used (column %(column)s): %(problem)s") % words
        return False, _("The filter cannot be used: %(problem)s") % words
    if not reasons:
        return verdict, _("It passes.") if verdict else _("It does not pass.")
    text = _("It passes: %(reasons)s.") if verdict else _("It does not pass: %(reasons)s.")
    return verdict, text % {"reasons": reasons}


def reasoned(
    filter_text: str, data: Any, context: Context | None = None, budget: Budget | None = None
) -> tuple[bool, str]:
    """Return whether the data passes the filter, and what its parts are; empty if that takes too long.

    Raises ExpressionError.
    """
    node, interpreter = compiled(filter_text), Interpreter(context, budget)
    verdict = is_true(work_out(interpreter, node, data))
    try:
        return verdict, _Reasons(filter_text, data, interpreter).of(node)
    except (ExpressionError, RecursionError):  # evaluating each part again exceeded a limit that the whole did not
        return verdict, ""


class _Reasons:
    """Describes the value of each part of a filter on this data, as far as it decides the outcome."""

    def __init__(self, text: str, data: Any, interpreter: Interpreter) -> None:
        self._text = text
        self._data = data
        self._interpreter = interpreter

    def _value(self, node: Node) -> Any:
        return work_out(self._interpreter, node, self._data)

    def of(self, node: Node) -> str:
        match node["type"]:
            case "comparator":
                return self._of_comparison(node)
            case "and_expression" | "or_expression":
                return self._of_both(node)
            case "not_expression":
                return self.of(node["children"][0])
            case "function_expression":
                return self._of_call(node)
        value = self._value(node)
        words = {"part": _("the expression") if "…" in spelled(node) else spelled(node), "value": shown(value)}
        if is_true(value):
            return _("%(part)s is %(value)s, which counts as true") % words
        return _("%(part)s is %(value)s, which counts as false") % words

    def _of_both(self, node: Node) -> str:
        left, right = node["children"]
        is_left_true = is_true(self._value(left))
        # One side decides: a false one of `&&`, a true one of `||`. The right is evaluated only if the left does not.
        if is_left_true is (node["type"] == "or_expression"):
            return self.of(left)
        is_right_true = is_true(self._value(right))
        is_right_alone = is_right_true is (node["type"] == "or_expression")
        if is_right_alone:
            return self.of(right)
        return _("%(first)s; and %(second)s") % {"first": self.of(left), "second": self.of(right)}

    def _of_call(self, node: Node) -> str:
        verdict = _part_is(node, shown(self._value(node)))
        parts = [child for child in node["children"] if child["type"] not in {"literal", "expref"}]
        known = [_part_is(child, shown(self._value(child))) for child in parts if spelled(child) != "…"]
        return f"{verdict} ({', '.join(known)})" if known else verdict

    def _of_comparison(self, node: Node) -> str:
        sides = [(child, self._value(child)) for child in node["children"]]
        result = self._value(node)
        known = [_part_is(child, _shown_or_missing(child, value)) for child, value in sides if not _is_value(child)]
        facts = f" ({', '.join(known)})" if known else ""
        if result is None:
            verdict = _("%(part)s cannot be compared")
        else:
            verdict = _("%(part)s is true") if is_true(result) else _("%(part)s is false")
        hint = self._hint(sides)
        return f"{verdict % {'part': spelled(node)}}{facts}" + (f". {hint}" if hint else "")

    def _hint(self, sides: list[tuple[Node, Any]]) -> str:
        for child, value in sides:
            name = child.get("value")
            if child["type"] == "field" and value is None and f'"{name}"' in self._text:
                words = {"name": name}
                return _("Double quotes make %(name)s the name of a field; as text it is '%(name)s'") % words
        (left, left_value), (right, right_value) = sides
        for here, there, side in ((left_value, right_value, left), (right_value, left_value, right)):
            if isinstance(here, str) and isinstance(there, int | float) and not isinstance(there, bool):
                words = {"part": spelled(side)}
                return _("One is text and one a number: to_number(%(part)s) makes the text a number") % words
        return ""


def _part_is(node: Node, value: str) -> str:
    return _("%(part)s is %(value)s") % {"part": spelled(node), "value": value}


def _is_value(node: Node) -> bool:
    return bool(node["type"] == "literal")


def _shown_or_missing(node: Node, value: Any) -> str:
    return _("null or not there") if value is None and node["type"] in {"field", "subexpression"} else shown(value)


def spelled(node: Node) -> str:
    """Return a part of an expression as text; `…` replaces parts that are too long."""
    children = [child for child in node["children"] if isinstance(child, dict)]
    value = node.get("value")
    match node["type"]:
        case "field":
            return str(value) if _PLAIN_NAME.fullmatch(str(value)) else f'"{value}"'
        case "literal":
            return f"'{value}'" if isinstance(value, str) else f"`{shown(value)}`"
        case "current" | "identity":
            return "@"
        case "subexpression":
            return ".".join(map(spelled, children))
        case "index":
            return f"[{value}]"
        case "index_expression":
            return "".join(map(spelled, children)).removeprefix("@")
        case "function_expression":
            return f"{value}({', '.join(map(spelled, children))})"
        case "comparator":
            return f"{spelled(children[0])} {_OPERATORS[str(value)]} {spelled(children[1])}"
        case "not_expression":
            return f"!{spelled(children[0])}"
        case "and_expression" | "or_expression":
            sign = "&&" if node["type"] == "and_expression" else "||"
            return f"({spelled(children[0])} {sign} {spelled(children[1])})"
        case _:
            return "…"
