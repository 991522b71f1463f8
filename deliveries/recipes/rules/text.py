"""Rules that tidy a text up: trim, strip characters, capitals, fill up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deliveries.recipes.rules.base import Chosen, Option, Rule, RuleError, on_text, quoted, shown_text
from subscriptions.budget import Budget

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


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
    label = gettext_lazy("Trim")
    sentence = gettext_lazy("Removes blanks and invisible characters at both ends.")

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return on_text(value, _trimmed)

    def described(self, chosen: Chosen) -> str:
        return _("Trim blanks")

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
    label = gettext_lazy("Remove characters")
    sentence = gettext_lazy("Removes certain characters everywhere in the text, or all but certain ones.")
    options = (
        Option(
            "which",
            gettext_lazy("Remove"),
            "choice",
            "these",
            choices=(
                ("these", gettext_lazy("these characters")),
                ("not_digits", gettext_lazy("all but digits")),
                ("not_phone", gettext_lazy("all but digits and a + in front")),
                ("not_alphanumeric", gettext_lazy("all but letters and digits")),
                ("blanks", gettext_lazy("all blanks")),
                ("invisible", gettext_lazy("invisible characters")),
            ),
        ),
        Option(
            "characters",
            gettext_lazy("Characters"),
            default=" -().",
            help=gettext_lazy("A blank counts too."),
            when=("which", "these"),
        ),
    )

    def check(self, chosen: Chosen) -> None:
        if chosen["which"] == "these" and not chosen["characters"]:
            raise RuleError(_("Say which characters to remove."), "characters")

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return on_text(value, lambda text: _STRIPPERS[chosen["which"]](text, chosen["characters"]))

    def described(self, chosen: Chosen) -> str:
        if chosen["which"] == "these":
            return _("Remove the characters %(characters)s") % {"characters": shown_text(chosen["characters"])}
        return str(_REMOVED[chosen["which"]])

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        removed = {"these": chosen["characters"], "blanks": " "}.get(chosen["which"], "")
        if not removed:
            return None
        for character in dict.fromkeys(removed):
            inner = f"replace({inner}, {quoted(character)}, '')"
        return inner


_REMOVED: Final[Mapping[str, StrPromise]] = {
    "not_digits": gettext_lazy("Remove all but digits"),
    "not_phone": gettext_lazy("Remove all but digits and a + in front"),
    "not_alphanumeric": gettext_lazy("Remove all but letters and digits"),
    "blanks": gettext_lazy("Remove all blanks"),
    "invisible": gettext_lazy("Remove invisible characters"),
}


def _kept(is_kept: Callable[[str], bool]) -> Callable[[str, str], str]:
    return lambda text, _characters: "".join(filter(is_kept, text))


def _phone(text: str, _characters: str) -> str:
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


class Case(Rule):
    name = "case"
    label = gettext_lazy("Capitals")
    sentence = gettext_lazy("Writes the text in small letters, in capitals, or each word with a capital.")
    options = (
        Option(
            "to",
            gettext_lazy("Write it"),
            "choice",
            "lower",
            choices=(
                ("lower", gettext_lazy("in small letters")),
                ("upper", gettext_lazy("in capitals")),
                ("title", gettext_lazy("with A Capital For Each Word")),
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
        return str(_WRITTEN[chosen["to"]])

    def expression(self, chosen: Chosen, inner: str) -> str | None:
        return f"{chosen['to']}({inner})" if chosen["to"] in ("lower", "upper") else None


_WRITTEN: Final[Mapping[str, StrPromise]] = {
    "lower": gettext_lazy("Write it in small letters"),
    "upper": gettext_lazy("Write it in capitals"),
    "title": gettext_lazy("Write it with A Capital For Each Word"),
}


class Pad(Rule):
    name = "pad"
    label = gettext_lazy("Fill up in front")
    sentence = gettext_lazy("Fills a text up to a length: a postcode that has lost its leading zeros.")
    options = (
        Option("length", gettext_lazy("To characters"), is_required=True, help=gettext_lazy("For example 5")),
        Option("with", gettext_lazy("With"), default="0", is_required=True),
    )

    def check(self, chosen: Chosen) -> None:
        if (
            not (chosen["length"].isascii() and chosen["length"].isdecimal())
            or not 1 <= int(chosen["length"][:4]) <= 100
        ):
            raise RuleError(_("The length is a number from 1 to 100."), "length")
        if len(chosen["with"]) != 1:
            raise RuleError(_("Fill up with one character."), "with")

    def apply(self, value: Any, payload: Any, chosen: Chosen, budget: Budget) -> Any:
        return on_text(value, lambda text: text.rjust(int(chosen["length"]), chosen["with"]) if text else text)

    def described(self, chosen: Chosen) -> str:
        return _("Fill up to %(length)s characters with %(replacement)s") % {
            "length": chosen["length"],
            "replacement": shown_text(chosen["with"]),
        }
