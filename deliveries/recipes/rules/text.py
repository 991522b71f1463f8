"""Rules for text: trim, strip characters, find and replace, prefix, letters to digits, case."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from deliveries.recipes.rules.base import (
    ON,
    Chosen,
    Option,
    Rule,
    RuleError,
    on_text,
    quoted,
    shown_text,
)
from deliveries.recipes.rules.patterns import Replacement, compiled_replacement
from subscriptions.budget import Budget
from subscriptions.json_schema import SchemaError

#: Marks that nobody sees and every copy from a web page or a spreadsheet brings along.
_INVISIBLE: Final = {
    0xFEFF,
    0x200B,
    0x200C,
    0x200D,
    0x200E,
    0x200F,
    0x2060,
    0xAD,
    0x202A,
    0x202B,
    0x202C,
    0x202D,
    0x202E,
}


class Trim(Rule):
    name = "trim"
    label = "Trim"
    sentence = "Removes blanks and invisible characters at both ends."

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return on_text(value, _trimmed)

    def described(self, chosen: Chosen) -> str:
        return "Trim blanks"

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        return f"trim({inner})"


def _trimmed(text: str) -> str:
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while end > start and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_blank(character: str) -> bool:
    return character.isspace() or ord(character) in _INVISIBLE


class Strip(Rule):
    name = "strip"
    label = "Remove characters"
    sentence = "Removes certain characters everywhere in the text, or all but certain ones."
    options = (
        Option(
            "which",
            "Remove",
            "choice",
            "these",
            choices=(
                ("these", "these characters"),
                ("not_digits", "all but digits"),
                ("not_phone", "all but digits and a + in front"),
                ("not_alphanumeric", "all but letters and digits"),
                ("blanks", "all blanks"),
                ("invisible", "invisible characters"),
            ),
        ),
        Option("characters", "Characters", default=" -().", help="A blank counts too.", when=("which", "these")),
    )

    def check(self, chosen: Chosen) -> None:
        if chosen["which"] == "these" and not chosen["characters"]:
            raise RuleError("Say which characters to remove.", "characters")

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return on_text(value, lambda text: _STRIPPERS[chosen["which"]](text, chosen["characters"]))

    def described(self, chosen: Chosen) -> str:
        if chosen["which"] == "these":
            return f"Remove the characters {shown_text(chosen['characters'])}"
        return f"Remove {dict(self.options[0].choices)[chosen['which']]}"

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        removed = {"these": chosen["characters"], "blanks": " "}.get(chosen["which"], "")
        if not removed:
            return None
        for character in dict.fromkeys(removed):
            inner = f"replace({inner}, {quoted(character)}, '')"
        return inner


def _kept(is_kept: Callable[[str], bool]) -> Callable[[str, str], str]:
    return lambda text, _: "".join(filter(is_kept, text))


def _phone(text: str, _: str) -> str:
    digits = "".join(filter(str.isdecimal, text))
    begins = _trimmed(text).lstrip("([").startswith(("+", "＋"))
    return f"+{digits}" if begins and digits else digits


_STRIPPERS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "these": lambda text, characters: "".join(one for one in text if one not in characters),
    "not_digits": _kept(str.isdecimal),
    "not_phone": _phone,
    "not_alphanumeric": _kept(str.isalnum),
    "blanks": _kept(lambda one: not one.isspace()),
    "invisible": _kept(lambda one: ord(one) not in _INVISIBLE),
}


class Replace(Rule):
    name = "replace"
    label = "Find and replace"
    sentence = "Replaces a text wherever it stands."
    options = (
        Option("find", "Find", is_required=True),
        Option("with", "Replace with", help="Empty removes it."),
        Option("whole", "Only where it is the whole value", "tick"),
    )

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        old, new = chosen["find"], chosen["with"]
        if chosen["whole"] == ON:
            return on_text(value, lambda text: new if text == old else text)
        return on_text(value, lambda text: _replaced(text, old, new))

    def described(self, chosen: Chosen) -> str:
        return f"Replace {shown_text(chosen['find'])} with {shown_text(chosen['with'])}"

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
    label = "Find by pattern"
    sentence = "Replaces what a regular expression (RE2) matches."
    options = (
        Option("find", "Pattern", is_required=True, help=r"For example ^0+ or (\d{3})(\d{4})"),
        Option("with", "Replace with", help=r"\1 is what the first pair of brackets matched. Empty removes it."),
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
        return f"Replace the pattern {shown_text(chosen['find'])} with {shown_text(chosen['with'])}"


class Prefix(Rule):
    name = "prefix"
    label = "Change the beginning"
    sentence = "Puts a beginning such as a country code in place of another, or in front."
    options = (
        Option("to", "Begins with", is_required=True, help="For example +254"),
        Option("from", "Instead of", help="One or several, separated by commas: 00254, 254, 0"),
        Option("add", "Also put it in front where none of these is there", "tick"),
    )

    def check(self, chosen: Chosen) -> None:
        if not _beginnings(chosen) and chosen["add"] != ON:
            raise RuleError("Say what it stands instead of, or tick that it is put in front.", "from")

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return on_text(value, lambda text: _begun(text, chosen))

    def described(self, chosen: Chosen) -> str:
        begins, to = _beginnings(chosen), shown_text(chosen["to"])
        if not begins:
            return f"Put {to} in front"
        old = " or ".join(map(shown_text, begins))
        return f"Put {to} in place of {old}" + (", or in front" if chosen["add"] == ON else "")

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
    label = "Letters to digits"
    sentence = "Turns letters that were typed instead of digits into these: O into 0, l and I into 1."
    options = (
        Option(
            "pairs",
            "Letters and digits",
            default="O=0 o=0 I=1 l=1 i=1 |=1 S=5 s=5 B=8 Z=2 z=2",
            help="Pairs, separated by blanks. Digits of other scripts become 0 to 9 as well.",
            is_required=True,
        ),
    )

    def check(self, chosen: Chosen) -> None:
        _pairs(chosen)

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        pairs = _pairs(chosen)
        return on_text(value, lambda text: "".join(pairs.get(one) or _ascii_digit(one) for one in text))

    def described(self, chosen: Chosen) -> str:
        return f"Letters to digits: {chosen['pairs'].strip().replace('=', '→').replace(' ', ', ')}"

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        for letter, digit in _pairs(chosen).items():
            inner = f"replace({inner}, {quoted(letter)}, {quoted(digit)})"
        return inner


def _pairs(chosen: Chosen) -> dict[str, str]:
    pairs = {}
    for part in chosen["pairs"].split():
        letter, sign, digit = part.partition("=")
        if not sign or len(letter) != 1 or len(digit) != 1:
            raise RuleError(f"{part!r} is no pair. Write pairs as O=0, separated by blanks.", "pairs")
        pairs[letter] = digit
    return pairs


def _ascii_digit(character: str) -> str:
    return character if character.isascii() or not character.isdecimal() else str(unicodedata.decimal(character))


class Case(Rule):
    name = "case"
    label = "Capitals"
    sentence = "Writes the text in small letters, in capitals, or each word with a capital."
    options = (
        Option(
            "to",
            "Write it",
            "choice",
            "lower",
            choices=(
                ("lower", "in small letters"),
                ("upper", "in capitals"),
                ("title", "with A Capital For Each Word"),
            ),
        ),
    )
    _CHANGES: ClassVar[Mapping[str, Callable[[str], str]]] = {
        "lower": str.lower,
        "upper": str.upper,
        "title": lambda text: "".join(
            one.upper()
            if not position or not (text[position - 1].isalnum() or text[position - 1] in "'’")
            else one.lower()
            for position, one in enumerate(text)
        ),
    }

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return on_text(value, self._CHANGES[chosen["to"]])

    def described(self, chosen: Chosen) -> str:
        return f"Write it {dict(self.options[0].choices)[chosen['to']]}"

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        return f"{chosen['to']}({inner})" if chosen["to"] in ("lower", "upper") else None
