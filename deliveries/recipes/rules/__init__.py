"""The rules, in the order in which they are offered, and how they are composed. Pure.

steps = parse_rules([{"rule": "trim"}, {"rule": "prefix", "to": "+254", "from": "0"}])   # RuleError
run(steps, " 0712345678", payload)                                                      # '+254712345678'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.translation import gettext as _

from deliveries.recipes.rules.base import Option, Rule, RuleError, Step, ValueProblem
from deliveries.recipes.rules.replacing import Digits, Lookup, Pattern, Prefix, Replace
from deliveries.recipes.rules.text import Case, Pad, Strip, Trim
from deliveries.recipes.rules.values import Convert, Copy, Default, Expression, Remove
from integrations.foundation.json_places import MISSING, Place, in_jmespath
from integrations.foundation.strict_json import compact_json
from subscriptions.budget import Budget, BudgetExceeded

__all__ = [
    "MISSING",
    "RULES",
    "Option",
    "Rule",
    "RuleError",
    "Step",
    "ValueProblem",
    "expression_of",
    "parse_rules",
    "run",
]

RULES: Final[Mapping[str, Rule]] = {
    rule.name: rule
    for rule in (
        Trim(),
        Strip(),
        Digits(),
        Prefix(),
        Replace(),
        Lookup(),
        Case(),
        Pad(),
        Default(),
        Copy(),
        Convert(),
        Pattern(),
        Remove(),
        Expression(),
    )
}
#: Rules of one recipe.
STEPS_LIMIT: Final = 20
#: What all rules may cost on one value, in steps and in seconds (`subscriptions.budget`).
STEPS: Final = 200_000
SECONDS: Final = 0.5


def parse_rules(given: Any) -> tuple[Step, ...]:
    """Rules as they are kept or sent, checked: a list of objects with `rule` and that rule's options.

    Raises RuleError with the position of the one that cannot be used.
    """
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise RuleError(_("Rules are a list."))
    if len(given) > STEPS_LIMIT:
        raise RuleError(_("At most %(limit)s rules can follow each other.") % {"limit": STEPS_LIMIT})
    steps = []
    for position, one in enumerate(given):
        name = one.get("rule") if isinstance(one, Mapping) else None
        rule = RULES.get(name) if isinstance(name, str) else None
        if rule is None:
            raise RuleError(
                _("Unknown rule %(name)s. Available rules: %(values)s.")
                % {"name": repr(name), "values": ", ".join(RULES)},
                "rule",
                position,
            )
        try:
            steps.append(Step(rule, rule.clean(one)))
        except RuleError as error:
            raise RuleError(error.message, error.option, position) from None
    return tuple(steps)


def run(steps: Sequence[Step], value: Any, payload: Any) -> Any:
    """`value` after all rules, one after the other; `MISSING` if it is to be removed. Raises ValueProblem."""
    budget = Budget(STEPS, SECONDS)
    for step in steps:
        try:
            value = step.rule.apply(value, payload, step.chosen, budget)
        except ValueProblem as problem:
            raise ValueProblem(f"{step.rule.label}: {problem}") from None
        except BudgetExceeded:
            raise ValueProblem(_("%(rule)s: this takes too long on this value.") % {"rule": step.rule.label}) from None
    return value


def expression_of(steps: Sequence[Step], place: Place) -> str | None:
    """A transform (JMESPath) that makes the same change; None where a rule cannot be said in JMESPath."""
    if not place or any(isinstance(part, int) for part in place):
        return None
    inner: str | None = in_jmespath(place)
    for step in steps:
        inner = step.rule.expression(step.chosen, inner) if inner is not None else None
    if inner is None:
        return None
    for depth in range(len(place) - 1, -1, -1):
        # An object that is not there yet is made, as the rules do.
        outer = "@" if not depth else f"default({in_jmespath(place[:depth])}, `{{}}`)"
        inner = f"merge({outer}, {{{compact_json(place[depth])}: {inner}}})"
    return inner
