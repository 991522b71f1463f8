"""The rules builder of the table step: what a form says, and what it shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deliveries.recipes.rules import RULES, STEPS_LIMIT, Option, Rule, RuleError, parse_rules

_SEPARATOR: Final = "-"


@dataclass(frozen=True, slots=True)
class ShownOption:
    """A field of the builder with its name in the form and its value."""

    option: Option
    name: str
    value: str

    #: For the desk's script: the field and value for which this one is shown.
    when: str = ""

    @property
    def is_on(self) -> bool:
        return self.value == "on"


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A rule of the builder; `error` is what is wrong with it."""

    position: int
    rule: Rule
    options: list[ShownOption]
    error: str = ""
    error_option: str = ""


def rules_in(form: Mapping[str, Any]) -> list[dict[str, str]]:
    """The rules of a posted form, in order, complete or not."""
    found = []
    for position in range(STEPS_LIMIT):
        name = form.get(f"rule{_SEPARATOR}{position}")
        if (rule := RULES.get(str(name))) is None:
            continue
        values = {"rule": rule.name}
        for option in rule.options:
            given = form.get(_name(position, option))
            values[option.name] = "on" if option.kind == "tick" and given else "" if given is None else str(given)
        found.append(values)
    return found


def changed_rules(rules: Sequence[dict[str, str]], form: Mapping[str, Any]) -> list[dict[str, str]]:
    """The rules after the builder's buttons: add, drop, up."""
    found = list(rules)
    if (added := RULES.get(str(form.get("add")))) is not None and len(found) < STEPS_LIMIT:
        found.append({"rule": added.name, **{option.name: option.default for option in added.options}})
    at = _number(form.get("drop"))
    if at is not None and at < len(found):
        del found[at]
    at = _number(form.get("up"))
    if at is not None and 0 < at < len(found):
        found[at - 1], found[at] = found[at], found[at - 1]
    return found


def shown_rules(rules: Sequence[Mapping[str, Any]]) -> list[ShownRule]:
    """The builder's rows, the first mistake marked."""
    wrong: RuleError | None = None
    try:
        parse_rules(list(rules))
    except RuleError as error:
        wrong = error
    shown = []
    for position, given in enumerate(rules):
        rule = RULES.get(str(given.get("rule")))
        if rule is None:
            continue
        options = [
            ShownOption(
                option,
                _name(position, option),
                str(given.get(option.name, option.default)),
                f"rule{_SEPARATOR}{position}{_SEPARATOR}{option.when[0]}={option.when[1]}" if option.when else "",
            )
            for option in rule.options
        ]
        is_wrong = wrong is not None and wrong.position == position
        shown.append(
            ShownRule(
                position,
                rule,
                options,
                wrong.message if is_wrong and wrong else "",
                wrong.option if is_wrong and wrong else "",
            )
        )
    return shown


def _name(position: int, option: Option) -> str:
    return f"rule{_SEPARATOR}{position}{_SEPARATOR}{option.name}"


def _number(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 4 else None
