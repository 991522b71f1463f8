"""Simple statements about the values of a payload, such as `starts with 00`, for comparing payloads. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.foundation.languages import gettext_noop
from integrations.security.redaction import is_sensitive_name

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


#: A kind of statement and its argument: `("starts", "00")`.
Trait = tuple[str, Any]

#: Most items of an array, levels of nesting, and characters of a text that are examined.
ITEMS_LIMIT: Final = 30
DEPTH_LIMIT: Final = 12
TEXT_LIMIT: Final = 200
#: Longer texts are not treated as one of a list of choices.
LONGEST_VALUE: Final = 60
LONGEST_START: Final = 3

#: The kinds, most informative first: of two that separate equally well, the earlier is reported.
KINDS: Final = (
    "missing",
    "null",
    "type",
    "empty",
    "blank",
    "value",
    "edge",
    "letter",
    "starts",
    "contains",
    "lacks",
    "break",
    "nonascii",
    "space",
    "negative",
    "zero",
    "fraction",
    "longer",
    "shorter",
    "above",
    "below",
    "unseen",
    "capital",
    "small",
    "form",
    "present",
    "ends",
)
#: Statements about whether there is a value, not about the value itself.
STRUCTURAL: Final = frozenset({"missing", "null", "type", "empty", "blank", "present"})
#: Statements that reveal nothing of the value: the only ones used for fields that hold secrets.
DISCREET: Final = STRUCTURAL | {"longer", "shorter", "edge", "space", "nonascii", "break"}

#: English, as they are compared; `words_of` translates them.
_TYPES: Final = {
    bool: gettext_noop("true or false"),
    int: gettext_noop("a number"),
    float: gettext_noop("a number"),
    str: gettext_noop("a text"),
    list: gettext_noop("a list"),
    dict: gettext_noop("an object"),
    type(None): gettext_noop("null"),
}
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d\d[./]\d\d[./]\d{4}")
_SIGN = re.compile(r"[^\w\s]")
_FORM: Final = str.maketrans(dict.fromkeys(digits, "9") | dict.fromkeys(ascii_letters, "a"))
_LETTERS = re.compile(r"[^\W\d_]")


def walk(payload: Any) -> Iterator[tuple[str, Any]]:
    """Yield `payload`, whose path is empty, and every value below it with its path, including containers.

    All items of a list share one path: `items[]`.
    """
    waiting: list[tuple[str, Any, int]] = [("", payload, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        yield path, value
        if depth >= DEPTH_LIMIT:
            continue
        if isinstance(value, dict):
            start = f"{path}." if path else ""
            for key, inner in value.items():
                waiting.append((start + key, inner, depth + 1))
        elif isinstance(value, list):
            waiting.extend([(f"{path}[]", inner, depth + 1) for inner in value[:ITEMS_LIMIT]])


def parent_of(path: str) -> str:
    """Return the path of the containing object or list; empty for the whole payload."""
    if path.endswith("[]"):
        return path[:-2]
    return path.rpartition(".")[0]


def traits_of(value: Any) -> list[Trait]:
    """Return the traits of a value, considered by itself."""
    if value is None:
        return [("null", None)]
    kind = _TYPES.get(type(value), "a value")
    traits: list[Trait] = [("type", kind)]
    if isinstance(value, str):
        return traits + _of_text(value[:TEXT_LIMIT])
    if isinstance(value, bool):
        return [*traits, ("value", value)]
    if isinstance(value, int | float):
        return traits + _of_number(value)
    if not value:
        traits.append(("empty", None))
    return traits


def _of_number(value: float) -> list[Trait]:
    traits: list[Trait] = [("value", value)]
    if value < 0:
        traits.append(("negative", None))
    elif value == 0:
        traits.append(("zero", None))
    if isinstance(value, float) and not value.is_integer():
        traits.append(("fraction", None))
    return traits


def _of_text(text: str) -> list[Trait]:
    stripped = text.strip()
    if not stripped:
        return [("blank" if text else "empty", None)]
    traits: list[Trait] = [("starts", text[:size]) for size in range(1, min(len(text), LONGEST_START) + 1)]
    traits.append(("ends", text[-1]))
    if len(text) <= LONGEST_VALUE:
        traits.append(("value", text))
    if stripped != text:
        traits.append(("edge", None))
    if any(sign.isspace() for sign in stripped):
        traits.append(("break", None) if "\n" in stripped or "\r" in stripped else ("space", None))
    if not text.isascii():
        traits.append(("nonascii", None))
    if text.lower() != text:
        traits.append(("capital", None))
    if text.upper() != text:
        traits.append(("small", None))
    if _LETTERS.search(text):
        traits.append(("letter", None))
    traits.extend(("contains", sign) for sign in set(_SIGN.findall(text)))
    return traits


def form_of(text: str) -> str:
    """Return the pattern of a text: `+99 999 999`, `aa-9999`."""
    return text[:LONGEST_VALUE].translate(_FORM)


def size_of(value: Any) -> int | None:
    """Return the length of a text or list; None for other values."""
    return len(value) if isinstance(value, str | list) else None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_counting(values: Sequence[Any]) -> bool:
    """Whether these values, oldest first, are times or only increase, as serial numbers do."""
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        if sum(bool(_DATE.match(text)) for text in texts) * 2 > len(texts):
            return True
        # Serial numbers may have a prefix; longer ones are later.
        return _is_growing([(len(text), text) for text in texts])
    return _is_growing([value for value in values if is_number(value)])


def _is_growing(keys: Sequence[Any]) -> bool:
    """Whether 90 % of the values are at most the next one, and the one a quarter of the list later.

    Numbers that restart repeatedly do not count.
    """
    if len(set(keys)) < 10:
        return False
    return all(
        sum(one <= other for one, other in zip(keys, keys[apart:], strict=False)) >= 0.9 * (len(keys) - apart)
        for apart in (1, len(keys) // 4)
    )


def is_secret(path: str) -> bool:
    """Whether the name of the field, or of a field around it, indicates a secret, whose value must not be revealed."""
    return any(is_sensitive_name(part.removesuffix("[]")) for part in path.replace("[]", "").split("."))


_PLAIN: Final[Mapping[str, StrPromise]] = {
    "missing": gettext_lazy("is missing"),
    "present": gettext_lazy("is present"),
    "null": gettext_lazy("is null"),
    "empty": gettext_lazy("is empty"),
    "blank": gettext_lazy("is blank"),
    "edge": gettext_lazy("starts or ends with a space"),
    "break": gettext_lazy("contains a line break"),
    "space": gettext_lazy("contains a space"),
    "nonascii": gettext_lazy("contains a character outside ASCII"),
    "capital": gettext_lazy("contains a capital letter"),
    "small": gettext_lazy("contains a small letter"),
    "letter": gettext_lazy("contains a letter"),
    "negative": gettext_lazy("is negative"),
    "zero": gettext_lazy("is 0"),
    "fraction": gettext_lazy("has a fraction"),
}
_WITH_EXAMPLES: Final[Mapping[str, StrPromise]] = {
    "unseen": gettext_lazy("has a value that no success has (%(examples)s)"),
    "form": gettext_lazy("is written as in no success (%(examples)s)"),
}
_WITH_DETAIL: Final[Mapping[str, StrPromise]] = {
    "type": gettext_lazy("is %(value)s"),
    "value": gettext_lazy("is %(value)s"),
    "starts": gettext_lazy("starts with %(value)s"),
    "ends": gettext_lazy("ends with %(value)s"),
    "contains": gettext_lazy("contains %(value)s"),
    "lacks": gettext_lazy("lacks %(value)s"),
    "longer": gettext_lazy("is longer than %(value)s characters"),
    "shorter": gettext_lazy("is shorter than %(value)s characters"),
    "above": gettext_lazy("is greater than %(value)s"),
    "below": gettext_lazy("is less than %(value)s"),
}


def words_of(trait: Trait, others: Iterable[Any] = ()) -> str:
    """Describe the trait. `others`: example values, from successes for a form, from failures for values."""
    kind, detail = trait
    if kind in _PLAIN:
        return str(_PLAIN[kind])
    if kind in _WITH_EXAMPLES:
        return str(_WITH_EXAMPLES[kind]) % {"examples": ", ".join(shown(value) for value in list(others)[:3])}
    value = shown(detail) if kind == "value" else _(detail) if kind == "type" else detail
    return str(_WITH_DETAIL[kind]) % {"value": value}


def shown(value: Any) -> str:
    """Format a value for a sentence: as JSON, but texts without quotes."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
