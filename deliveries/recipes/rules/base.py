"""What a rule is: a small change of one value, with the form by which people who do not program set it up. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.utils.translation import gettext as _

from integrations.foundation.json_places import MISSING, kind_of
from integrations.foundation.strict_json import compact_json
from integrations.foundation.written import grouped
from subscriptions.budget import Budget

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


#: Characters of a text that rules work on, and make.
TEXT_LIMIT: Final = 10_000
#: Characters of what is typed into a rule's form.
OPTION_LIMIT: Final = 1_000
ON: Final = "on"


class RuleError(ValueError):
    """A rule cannot be used as it is set up; `position` (from 0) and `option` say which part of it."""

    def __init__(self, message: str, option: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.option = option
        self.position = position


class ValueProblem(ValueError):
    """The rule cannot be applied to this value; the message says why, for staff."""


@dataclass(frozen=True, slots=True)
class Option:
    """A field of a rule's form: `kind` is text, choice, tick or path. `choices` are pairs of value and label."""

    name: str
    label: StrOrPromise
    kind: str = "text"
    default: str = ""
    help: StrOrPromise = ""
    choices: tuple[tuple[str, StrOrPromise], ...] = ()
    is_required: bool = False
    #: Another option and the value of it for which this one counts.
    when: tuple[str, str] | None = None

    def clean(self, given: Any) -> str:
        """The value as it is kept. Raises RuleError."""
        if self.kind == "tick":
            return ON if given in (True, ON, "true", "1") else ""
        given = self.default if given is None else given
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise RuleError(_("%(field)s must be text.") % {"field": self.label}, self.name)
        text = str(given)
        if len(text) > OPTION_LIMIT:
            raise RuleError(
                _("%(field)s has more than %(limit)s characters.")
                % {"field": self.label, "limit": grouped(OPTION_LIMIT)},
                self.name,
            )
        if "\0" in text:
            raise RuleError(_("%(field)s holds a NUL character.") % {"field": self.label}, self.name)
        if self.kind == "choice" and text not in dict(self.choices):
            known = ", ".join(value for value, _label in self.choices)
            raise RuleError(_("%(field)s is one of: %(values)s.") % {"field": self.label, "values": known}, self.name)
        if self.is_required and text == "":
            raise RuleError(_("%(field)s is empty. Fill it in, or remove the rule.") % {"field": self.label}, self.name)
        return text


Chosen = Mapping[str, str]


class Rule:
    """One kind of change. `chosen` below is what `clean` returned."""

    name: ClassVar[str]
    label: ClassVar[StrOrPromise]
    sentence: ClassVar[StrOrPromise]
    options: ClassVar[tuple[Option, ...]] = ()

    def clean(self, given: Mapping[str, Any]) -> dict[str, str]:
        """The options as they are kept. Raises RuleError, also for names that the rule does not have."""
        known = {option.name for option in self.options}
        if unknown := sorted(set(given) - known - {"rule"}):
            raise RuleError(
                _("%(rule)s has no option %(option)s.") % {"rule": self.label, "option": repr(unknown[0])},
                unknown[0],
            )
        chosen = {option.name: option.clean(given.get(option.name)) for option in self.options}
        self.check(chosen)
        return chosen

    def check(self, chosen: Chosen) -> None:
        """What depends on several options, or must be compiled. Raises RuleError."""

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        """The value after; `MISSING` for none. Raises ValueProblem, or BudgetExceeded."""
        raise NotImplementedError

    def described(self, chosen: Chosen) -> str:
        """The rule in one line, for lists and the audit."""
        return str(self.label)

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        """The same as JMESPath over the expression `inner`; None where JMESPath cannot say it."""
        return None


@dataclass(frozen=True, slots=True)
class Step:
    """A rule as it is set up."""

    rule: Rule
    chosen: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, str]:
        return {"rule": self.rule.name, **self.chosen}

    @property
    def sentence(self) -> str:
        return self.rule.described(self.chosen)


def on_text(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with its text changed. What is empty stays so; a number that stays the same stays a number."""
    if value is None or value is MISSING:
        return value
    text = text_of(value)
    changed = change(text)
    if changed == text:
        return value
    if len(changed) > TEXT_LIMIT:
        raise ValueProblem(_("The text would have more than %(limit)s characters.") % {"limit": grouped(TEXT_LIMIT)})
    return changed


def text_of(value: Any) -> str:
    """Raises ValueProblem for what is no text and no number."""
    if isinstance(value, str):
        if len(value) > TEXT_LIMIT:
            raise ValueProblem(
                _("The text has more than %(limit)s characters: edit this one by itself.")
                % {"limit": grouped(TEXT_LIMIT)}
            )
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueProblem(_("This rule is for text, and the value is %(kind)s.") % {"kind": _(kind_of(value))})
    return compact_json(value)


def is_empty(value: Any) -> bool:
    """Missing, null, or text of nothing but blanks."""
    return value is None or value is MISSING or (isinstance(value, str) and not value.strip())


def quoted(text: str) -> str:
    """A text of JMESPath; where a raw string cannot say it, a literal."""
    if "\\" in text or "'" in text:
        return "`" + compact_json(text).replace("`", "\\`") + "`"
    return f"'{text}'"


def shown_text(text: str) -> str:
    """An option's text in a sentence: blanks are visible."""
    return f"“{text.replace(' ', '␣')}”"
