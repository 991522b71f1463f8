"""Functions for expressions that installed packages bring (docs/extending.md)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from integrations.foundation.extensions import ExtensionError, register
from subscriptions.expressions.functions import ExpressionFunctions
from subscriptions.expressions.values import ExpressionError, weigh

#: Characters of a function's name.
LONGEST = 40


def load_functions() -> None:
    """Add them beside JMESPath's functions and ours."""
    register("functions", ExpressionFunctions.FUNCTION_TABLE, accept_function, longest=LONGEST)


def accept_function(name: str, found: Any) -> dict[str, Any]:
    """The entry of JMESPath's table for a plain function of values. Raises ExtensionError."""
    if not callable(found) or isinstance(found, type):
        raise ExtensionError(f"It is {found!r}, and no function.")
    given = getattr(found, "signature", None)
    try:
        signature = tuple(given) if given is not None else _signature_of(found)
        known = all(isinstance(one, dict) and isinstance(one.get("types"), list | tuple) for one in signature)
    except (TypeError, ValueError) as error:
        raise ExtensionError(f"Its arguments cannot be read: {error}") from None
    if not known:
        raise ExtensionError("Its signature is not one that jmespath.functions.signature makes.")
    return {"function": _guarded(name, found), "signature": signature}


def _signature_of(function: Callable[..., Any]) -> tuple[dict[str, Any], ...]:
    """Any value for each argument of the Python function."""
    kinds = [each.kind for each in inspect.signature(function).parameters.values()]
    if any(kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD) for kind in kinds):
        raise ExtensionError("Expressions give arguments by their position: it must take no others.")
    return tuple(
        {"types": [], "variadic": True} if kind == inspect.Parameter.VAR_POSITIONAL else {"types": []} for kind in kinds
    )


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """As a method of JMESPath's table: what it raises is the author's of the expression, what it returns is JSON."""

    @wraps(function)
    def call(_: ExpressionFunctions, *arguments: Any) -> Any:
        try:
            result = function(*arguments)
        except (ExpressionError, KeyboardInterrupt):
            raise
        except BaseException as error:  # an expression must not end the engine, whatever a package does
            raise ExpressionError(f"{name}() failed: {error or type(error).__name__}") from error
        if not isinstance(result, str | int | float | list | dict | None):
            raise ExpressionError(f"{name}() returned {type(result).__name__}, which JSON cannot express.")
        weigh(result)
        return result

    words = (function.__doc__ or "").strip().splitlines()
    line = words[0] if words else "of an installed package."
    call.__doc__ = line if line.startswith(f"{name}(") else f"{name}({_arguments(function)}): {line}"
    return call


def _arguments(function: Callable[..., Any]) -> str:
    try:
        return ", ".join(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return "…"
