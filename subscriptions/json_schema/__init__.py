"""JSON Schema (draft 2020-12) for untrusted schemas: every step is counted, and patterns cannot backtrack.

    schema = compile_schema({"properties": {"id": {"type": "string"}}})   # SchemaError: cannot be used
    schema.violations({"id": 5}, Budget())                                # [Violation(("id",), "5 is not of …")]

References resolve inside the schema only; nothing is fetched. `format` and the `content…` keywords are annotations
without assertions, as in the draft. docs/adr/0007 explains why Hookdesk has its own evaluator.
"""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _

from integrations.foundation.languages import gettext_noop
from subscriptions.budget import Budget, BudgetExceeded
from subscriptions.json_schema.compiler import DIALECT, Compiler
from subscriptions.json_schema.errors import SchemaError, Violation
from subscriptions.json_schema.nodes import Enough, Node, Run

__all__ = ["DIALECT", "Schema", "SchemaError", "Violation", "compile_schema"]

_TOO_MUCH: Final = gettext_noop(
    "evaluating the schema on this data takes too long; simplify the schema, or send less data"
)


class Schema:
    """A compiled schema."""

    def __init__(self, root: Node) -> None:
        self._root = root

    def violations(self, data: Any, budget: Budget, limit: int = 100) -> list[Violation]:
        """Return the violations in `data`, sorted by place, at most `limit`. An exceeded budget is a violation too."""
        run = Run(budget, limit)
        try:
            if not self._root.is_valid(data, run):
                self._root.report(data, run, ())
        except Enough:
            pass
        except BudgetExceeded:
            # Violations found so far are more useful.
            return _sorted(run.found) or [Violation((), _(_TOO_MUCH))]
        except RecursionError:
            return [Violation((), _("the data is nested too deeply for the schema"))]
        return _sorted(run.found)


def _sorted(found: list[Violation]) -> list[Violation]:
    return sorted(dict.fromkeys(found), key=lambda violation: list(map(str, violation.path)))


def compile_schema(schema: Any) -> Schema:
    """Compile a schema. Raises SchemaError with the place, also for schemas whose cost cannot be bounded."""
    if not isinstance(schema, dict):
        raise SchemaError(_("A JSON Schema is an object, or null for none."))
    try:
        return Schema(Compiler(schema).compile())
    except RecursionError:
        raise SchemaError(_("The schema is nested too deeply.")) from None
