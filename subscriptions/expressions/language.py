"""JMESPath as Hookdesk runs it: parsed once and cached, validated before it is saved, limited while it runs.

Every exception of the library becomes an ExpressionError with a message for the author of the expression.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from jmespath import exceptions
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter

from integrations.foundation.languages import gettext_noop
from subscriptions.budget import Budget, BudgetExceeded
from subscriptions.expressions.functions import ExpressionFunctions
from subscriptions.expressions.values import ExpressionError, WorkExceeded, cost_of_reading, is_equal, shown, weigh
from subscriptions.json_schema.values import is_number

#: Maximum characters of an expression.
LENGTH_LIMIT: Final = 10_000

#: A node of the library's syntax tree: `type`, `children` and usually `value`.
Node = dict[str, Any]

_TOO_NESTED: Final = gettext_noop("The expression is nested too deeply. Write it in simpler steps.")
_ORDERINGS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


@lru_cache(maxsize=1024)
def compiled(text: str) -> Node:
    """Return the syntax tree of `text`. It is cached: do not modify it. Raises ExpressionError."""
    if len(text) > LENGTH_LIMIT:
        raise ExpressionError(
            _("The expression has %(number)s characters; %(limit)s is the most. Shorten it.")
            % {"number": f"{len(text):,}", "limit": f"{LENGTH_LIMIT:,}"}
        )
    if not text.strip():
        raise ExpressionError(_("The expression is empty."))
    tree = _parsed(text)
    _check(text, tree)
    return tree


def _parsed(text: str) -> Node:
    try:
        tree: Any = Parser().parse(text).parsed
    except exceptions.LexerError as error:
        raise ExpressionError(_lexer_message(text, error), error.lexer_position + 1) from error
    except exceptions.IncompleteExpressionError as error:
        raise ExpressionError(_("The expression is incomplete."), len(text) + 1) from error
    except exceptions.ParseError as error:
        raise ExpressionError(_parse_message(error), error.lex_position + 1) from error
    except RecursionError as error:
        raise ExpressionError(_(_TOO_NESTED)) from error
    except Exception as error:  # not handled by the library, such as a number of 5,000 digits
        raise ExpressionError(_("The expression cannot be parsed. Write it in simpler steps.")) from error
    checked: Node = tree
    return checked


def _lexer_message(text: str, error: exceptions.LexerError) -> str:
    if error.message.startswith("Unclosed"):
        return _("The %(text)s that opens here is never closed.") % {"text": text[error.lexer_position]}
    if error.lexer_value == "=":
        return _("A single = is not a comparison. Use == for equality.")
    if error.message.startswith("Unknown token"):
        return _("%(text)s is not allowed here.") % {"text": shown(error.lexer_value)}
    return _("This cannot be read: %(message)s.") % {"message": error.message}


def _parse_message(error: exceptions.ParseError) -> str:
    if error.token_type == "NUMBER":  # noqa: S105 - a kind of token, no password
        return _("A number is written in backticks: `%(text)s`.") % {"text": error.token_value}
    if error.token_type == "EOF":  # noqa: S105
        return _("The expression is incomplete.")
    if error.token_type == "LITERAL":  # noqa: S105
        return _("A value, %(text)s, cannot stand here.") % {"text": shown(error.token_value)}
    return _("%(text)s cannot stand here.") % {"text": shown(error.token_value)}


def _check(text: str, tree: Node) -> None:
    """Raise for errors that the library would only detect during evaluation."""
    waiting = [(tree, False)]
    while waiting:
        node, is_argument = waiting.pop()
        notifies = node["type"] == "function_expression"
        if notifies:
            _check_call(text, node)
        elif node["type"] == "slice" and node["children"][2] == 0:
            raise ExpressionError(_("The step of a slice cannot be 0."))
        elif node["type"] == "expref" and not is_argument:
            raise ExpressionError(
                _("& makes an expression for a function such as sort_by() and is not a value on its own.")
            )
        waiting.extend((child, notifies) for child in node["children"] if isinstance(child, dict))


def _check_call(text: str, node: Node) -> None:
    name = node["value"]
    specification = ExpressionFunctions.FUNCTION_TABLE.get(name)
    if specification is None:
        raise ExpressionError(_("There is no function %(name)s().") % {"name": name}, _column_of_call(text, name))
    wanted, given = len(specification["signature"]), len(node["children"])
    is_variadic = bool(wanted) and bool(specification["signature"][-1].get("variadic"))
    if given < wanted or (given > wanted and not is_variadic):
        if is_variadic:
            message = ngettext(
                "%(function)s() takes at least %(number)s argument, not %(given)s.",
                "%(function)s() takes at least %(number)s arguments, not %(given)s.",
                wanted,
            )
        else:
            message = ngettext(
                "%(function)s() takes %(number)s argument, not %(given)s.",
                "%(function)s() takes %(number)s arguments, not %(given)s.",
                wanted,
            )
        words = {"function": name, "number": wanted, "given": given}
        raise ExpressionError(message % words, _column_of_call(text, name))


def _column_of_call(text: str, name: str) -> int | None:
    found = re.search(rf"\b{re.escape(name)}\s*\(", text)
    return found.start() + 1 if found else None


class Interpreter(TreeInterpreter):
    """Evaluates a syntax tree on data under a budget; used for one evaluation.

    `context`: the values that `context('topic')` reads.
    """

    def __init__(self, context: Mapping[str, Any] | None = None, budget: Budget | None = None) -> None:
        self.charge = (budget or Budget()).charge
        super().__init__(Options(custom_functions=ExpressionFunctions(self.charge, context or {})))

    def visit(self, node: Any, *args: Any, **options: Any) -> Any:
        self.charge(1)
        return super().visit(node, *args, **options)

    def visit_literal(self, node: Any, value: Any) -> Any:
        self.charge(cost_of_reading(node["value"]) >> 2)
        return super().visit_literal(node, value)

    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        name = node["value"]
        if name in _ORDERINGS:
            return self._ordered(name, left, right)
        return is_equal(left, right, self.charge) is (name == "eq")

    def _ordered(self, name: str, left: Any, right: Any) -> bool | None:
        if isinstance(left, str) and isinstance(right, str):
            self.charge(min(len(left), len(right)) >> 8)
        elif not (is_number(left) and is_number(right)):
            return None  # a text and a number: in JMESPath, comparing values without an order gives null
        return bool(_ORDERINGS[name](left, right))

    def visit_slice(self, node: Any, value: Any) -> Any:
        self.charge(cost_of_reading(value))
        return super().visit_slice(node, value)

    def visit_flatten(self, node: Any, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        # Checked before it is created: a literal's list repeated a hundred thousand times would exhaust memory.
        self.charge(sum(len(item) if isinstance(item, list) else 1 for item in base))
        return [part for item in base for part in (item if isinstance(item, list) else [item])]

    def visit_multi_select_list(self, node: Any, value: Any) -> Any:
        return self._weighed(super().visit_multi_select_list(node, value))

    def visit_multi_select_dict(self, node: Any, value: Any) -> Any:
        return self._weighed(super().visit_multi_select_dict(node, value))

    def _weighed(self, made: Any) -> Any:
        # A value composed of shared parts can double at each step, so shared parts are counted each time.
        self.charge(weigh(made) >> 3)
        return made


def work_out(interpreter: Interpreter, node: Node, data: Any) -> Any:
    """Evaluate a syntax tree, or a part of one, on `data`. Raises ExpressionError."""
    try:
        return interpreter.visit(node, data)
    except ExpressionError:
        raise
    except BudgetExceeded as error:
        raise WorkExceeded from error
    except RecursionError as error:
        raise ExpressionError(_(_TOO_NESTED)) from error
    except Exception as error:  # an expression must not end the engine, whatever the library raises
        raise ExpressionError(
            _("The expression cannot be evaluated on this data: %(error)s") % {"error": error}
        ) from error


def is_true(value: Any) -> bool:
    """Return JMESPath's truth value: null, false, "", [] and {} are false; everything else is true, including 0."""
    return not (value is None or value is False or value == "" or value == [] or value == {})
