"""Rules that put one text in the place of another: find and replace, beginnings, letters to digits, a list."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deliveries.recipes.rules.base import (
    ON,
    Chosen,
    Option,
    Rule,
    RuleError,
    ValueProblem,
    on_text,
    quoted,
    shown_text,
)
from deliveries.recipes.rules.patterns import Replacement, compiled_replacement
from subscriptions.budget import Budget
from subscriptions.json_schema import SchemaError


class Replace(Rule):
    name = "replace"
    label = gettext_lazy("Find and replace")
    sentence = gettext_lazy("Replaces a text wherever it stands.")
    options = (
        Option("find", gettext_lazy("Find"), is_required=True),
        Option("with", gettext_lazy("Replace with"), help=gettext_lazy("Empty removes it.")),
        Option("whole", gettext_lazy("Only where it is the whole value"), "tick"),
    )

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        old, new = chosen["find"], chosen["with"]
        if chosen["whole"] == ON:
            return on_text(value, lambda text: new if text == old else text)
        return on_text(value, lambda text: _replaced(text, old, new))

    def described(self, chosen: Chosen) -> str:
        return _("Replace %(text)s with %(replacement)s") % {
            "text": shown_text(chosen["find"]),
            "replacement": shown_text(chosen["with"]),
        }

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        if chosen["whole"] == ON:
            return None
        return f"replace({inner}, {quoted(chosen['find'])}, {quoted(chosen['with'])})"


def _replaced(text: str, old: str, new: str) -> str:
    # Before it is made: a thousand blanks times a thousand characters is no text for a field.
    if len(text) + text.count(old) * (len(new) - len(old)) > 1_000_000:
        return "x" * 1_000_000  # longer than any limit: refused by `on_text`
    return text.replace(old, new)


class Pattern(Rule):
    name = "pattern"
    label = gettext_lazy("Find by pattern")
    sentence = gettext_lazy("Replaces what a regular expression (RE2) matches.")
    options = (
        Option(
            "find", gettext_lazy("Pattern"), is_required=True, help=gettext_lazy(r"For example ^0+ or (\d{3})(\d{4})")
        ),
        Option(
            "with",
            gettext_lazy("Replace with"),
            help=gettext_lazy(r"\1 is what the first pair of brackets matched. Empty removes it."),
        ),
    )

    def check(self, chosen: Chosen) -> None:
        self._compiled(chosen)

    def _compiled(self, chosen: Chosen) -> Replacement:
        try:
            return compiled_replacement(chosen["find"], chosen["with"])
        except SchemaError as error:
            raise RuleError(error.message, "find") from None

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        found = self._compiled(chosen)
        return on_text(value, lambda text: found.replaced(text, budget.charge))

    def described(self, chosen: Chosen) -> str:
        return _("Replace the pattern %(text)s with %(replacement)s") % {
            "text": shown_text(chosen["find"]),
            "replacement": shown_text(chosen["with"]),
        }


class Prefix(Rule):
    name = "prefix"
    label = gettext_lazy("Change the beginning")
    sentence = gettext_lazy("Puts a beginning such as a country code in place of another, or in front.")
    options = (
        Option("to", gettext_lazy("Begins with"), is_required=True, help=gettext_lazy("For example +254")),
        Option(
            "from", gettext_lazy("Instead of"), help=gettext_lazy("One or several, separated by commas: 00254, 254, 0")
        ),
        Option("add", gettext_lazy("Also put it in front where none of these is there"), "tick"),
    )

    def check(self, chosen: Chosen) -> None:
        if not _beginnings(chosen) and chosen["add"] != ON:
            raise RuleError(_("Say what it stands instead of, or tick that it is put in front."), "from")

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return on_text(value, lambda text: _begun(text, chosen))

    def described(self, chosen: Chosen) -> str:
        begins, to = _beginnings(chosen), shown_text(chosen["to"])
        if not begins:
            return _("Put %(text)s in front") % {"text": to}
        words = {"text": to, "others": f" {_('or')} ".join(map(shown_text, begins))}
        if chosen["add"] == ON:
            return _("Put %(text)s in place of %(others)s, or in front") % words
        return _("Put %(text)s in place of %(others)s") % words

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        if _beginnings(chosen):
            return None  # JMESPath cannot cut a text
        to = quoted(chosen["to"])
        return f"({inner}) | (starts_with(@, {to}) && @ || concat({to}, @))"


def _beginnings(chosen: Chosen) -> list[str]:
    found = (part.strip() for part in chosen["from"].split(","))
    return sorted({part for part in found if part}, key=lambda part: (-len(part), part))


def _begun(text: str, chosen: Chosen) -> str:
    to = chosen["to"]
    if not text or text.startswith(to):
        return text
    for old in _beginnings(chosen):
        if text.startswith(old):
            return to + text[len(old) :]
    return to + text if chosen["add"] == ON else text


class Digits(Rule):
    name = "digits"
    label = gettext_lazy("Letters to digits")
    sentence = gettext_lazy("Turns letters that were typed instead of digits into these: O into 0, l and I into 1.")
    options = (
        Option(
            "pairs",
            gettext_lazy("Letters and digits"),
            default="O=0 o=0 I=1 l=1 i=1 |=1 S=5 s=5 B=8 Z=2 z=2",
            help=gettext_lazy("Pairs, separated by blanks. Digits of other scripts become 0 to 9 as well."),
            is_required=True,
        ),
    )

    def check(self, chosen: Chosen) -> None:
        _pairs(chosen)

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        pairs = _pairs(chosen)
        return on_text(value, lambda text: "".join(pairs.get(one) or _ascii_digit(one) for one in text))

    def described(self, chosen: Chosen) -> str:
        return _("Letters to digits: %(pairs)s") % {
            "pairs": chosen["pairs"].strip().replace("=", "→").replace(" ", ", ")
        }

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        for letter, digit in _pairs(chosen).items():
            inner = f"replace({inner}, {quoted(letter)}, {quoted(digit)})"
        return inner


def _pairs(chosen: Chosen) -> dict[str, str]:
    pairs = {}
    for part in chosen["pairs"].split():
        letter, sign, digit = part.partition("=")
        if not sign or len(letter) != 1 or len(digit) != 1:
            raise RuleError(
                _("%(pair)s is no pair. Write pairs as O=0, separated by blanks.") % {"pair": repr(part)}, "pairs"
            )
        pairs[letter] = digit
    return pairs


def _ascii_digit(character: str) -> str:
    return character if character.isascii() or not character.isdecimal() else str(unicodedata.decimal(character))


class Lookup(Rule):
    name = "map"
    label = gettext_lazy("Replace by list")
    sentence = gettext_lazy(
        "Replaces whole values by a list: Kenya by KE, Uganda by UG. Capitals and blanks around do not matter."
    )
    options = (
        Option("pairs", gettext_lazy("List"), is_required=True, help=gettext_lazy("Kenya=KE; Uganda=UG")),
        Option("strict", gettext_lazy("Others do not fit"), "tick"),
    )

    def check(self, chosen: Chosen) -> None:
        _list(chosen["pairs"])

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        pairs = _list(chosen["pairs"])

        def looked_up(text: str) -> str:
            found = pairs.get(text.strip().casefold())
            if found is None and chosen["strict"] == ON and text not in pairs.values():
                raise ValueProblem(_("It is not in the list."))
            return text if found is None else found

        return on_text(value, looked_up)

    def described(self, chosen: Chosen) -> str:
        return _("Replace by list: %(pairs)s") % {"pairs": chosen["pairs"].strip().replace("=", "→")}


def _list(text: str) -> dict[str, str]:
    pairs = {}
    for part in filter(str.strip, text.split(";")):
        old, sign, new = part.partition("=")
        if not sign or not old.strip():
            raise RuleError(
                _("%(pair)s is no pair. Write pairs as Kenya=KE, separated by ;") % {"pair": repr(part.strip()[:60])},
                "pairs",
            )
        pairs[old.strip().casefold()] = new.strip()
    return pairs
