"""What the values that arrived look like, and whether another one does. Pure.

A topic rarely has a schema, and the receiver's own rule is not known. What is known is what it has accepted: a
telephone number that begins as all accepted ones do, and is as long, will be accepted too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.foundation.json_places import kind_of

#: Fewer values say nothing.
FEWEST: Final = 5
#: From so many on, what all have in common counts as required: the same beginning, a small set of values.
ENOUGH: Final = 20
#: More kinds of texts than this, or than a third of the values: free text, which has no shape.
MOST_SKELETONS: Final = 12
MOST_WORDS: Final = 8
NEARLY_ALL: Final = 0.95
LONGEST_BEGINNING: Final = 20
_CASES: Final[Mapping[str, Callable[[str], str]]] = {"lower": str.lower, "upper": str.upper}
_RUNS = re.compile(r"\d+|[^\W\d_]+|\s+")


@dataclass(frozen=True, slots=True)
class _Kind:
    """Texts with the same skeleton: how long they are, how they begin."""

    count: int
    shortest: int
    longest: int
    begins: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What `number` accepted values have in common."""

    number: int
    kinds: frozenset[str]
    texts: dict[str, _Kind]
    words: frozenset[str]
    #: "lower" or "upper" if all texts are written so.
    case: str = ""

    def why_unlike(self, value: Any) -> str:
        """How the value differs from all that arrived; empty if it does not."""
        kind = kind_of(value)
        if kind not in self.kinds:
            usual = _listed(map(_, self.kinds))
            return _("It is %(kind)s; in those that arrived it is %(usual)s.") % {
                "kind": _(kind),
                "usual": usual,
            }
        if not isinstance(value, str):
            return ""
        if self.words:
            if value in self.words:
                return ""
            return _("Those that arrived have %(values)s.") % {"values": _listed(self.words)}
        if not self.texts:
            return ""
        found = self.texts.get(skeleton(value))
        if found is None:
            return _("Those that arrived look like %(example)s.") % {"example": self.example}
        if not found.shortest <= len(value) <= found.longest:
            return _wrong_length(len(value), found)
        if found.count >= ENOUGH and not value.startswith(found.begins):
            return _("Those that arrived begin with %(beginning)s.") % {"beginning": found.begins}
        if self.case and value != _CASES[self.case](value):
            if self.case == "lower":
                return _("Those that arrived are written in small letters.")
            return _("Those that arrived are written in capitals.")
        return ""

    @property
    def example(self) -> str:
        """The commonest skeleton, as a text of that kind."""
        if not self.texts:
            return ""
        name, kind = max(self.texts.items(), key=lambda item: item[1].count)
        shown = _written(name, kind)
        if kind.shortest != kind.longest:
            return shown
        return ngettext("%(example)s (%(number)s character)", "%(example)s (%(number)s characters)", kind.longest) % {
            "example": shown,
            "number": kind.longest,
        }

    @property
    def begins(self) -> str:
        """The beginning that all texts share, if they are of one kind."""
        commonest = max(self.texts.values(), key=lambda kind: kind.count, default=None)
        return commonest.begins if commonest is not None and commonest.count * 10 >= self.number * 8 else ""


def skeleton(text: str) -> str:
    """`+254 712` → `+9 9`: runs of digits, letters and blanks as one character each."""
    return _RUNS.sub(lambda run: "9" if run[0][0].isdigit() else " " if run[0][0].isspace() else "a", text)


def _written(name: str, kind: _Kind) -> str:
    return f"{kind.begins[:12]}…" if kind.begins else name.replace("9", "123").replace("a", "abc")


def _wrong_length(length: int, usual: _Kind) -> str:
    if usual.shortest == usual.longest:
        said = ngettext(
            "It has %(number)s character; those that arrived have %(usual)s.",
            "It has %(number)s characters; those that arrived have %(usual)s.",
            length,
        )
        return said % {"number": length, "usual": usual.shortest}
    said = ngettext(
        "It has %(number)s character; those that arrived have %(least)s to %(most)s.",
        "It has %(number)s characters; those that arrived have %(least)s to %(most)s.",
        length,
    )
    return said % {"number": length, "least": usual.shortest, "most": usual.longest}


def _listed(words: Iterable[str]) -> str:
    shown = sorted(words)
    if len(shown) == 1:
        return shown[0]
    return _("%(values)s or %(last)s") % {"values": ", ".join(shown[:-1]), "last": shown[-1]}


def shape_of(values: Iterable[Any]) -> Shape | None:
    """The shape of accepted values; None if there are too few. A missing value is `MISSING`."""
    given = list(values)
    if len(given) < FEWEST:
        return None
    texts = [value for value in given if isinstance(value, str)]
    words = Counter(texts)
    is_choice = len(texts) >= ENOUGH and len(words) <= MOST_WORDS and min(words.values(), default=0) > 1
    by_skeleton: dict[str, list[str]] = {}
    for text in texts:
        by_skeleton.setdefault(skeleton(text), []).append(text)
    is_free = len(by_skeleton) > min(MOST_SKELETONS, max(1, len(texts) // 3))
    return Shape(
        len(given),
        frozenset(map(kind_of, given)),
        {} if is_free else {name: _kind(group) for name, group in by_skeleton.items()},
        frozenset(words) if is_choice else frozenset(),
        _case(texts),
    )


def _case(texts: list[str]) -> str:
    lettered = [text for text in texts if text.lower() != text.upper()]
    if len(lettered) < ENOUGH:
        return ""
    return next((name for name, change in _CASES.items() if all(text == change(text) for text in lettered)), "")


def _kind(texts: list[str]) -> _Kind:
    return _Kind(len(texts), min(map(len, texts)), max(map(len, texts)), _common_beginning(texts))


def _common_beginning(texts: list[str]) -> str:
    """As long as nearly all of them share it: one odd value among many must not hide it."""
    begins = ""
    for length in range(1, LONGEST_BEGINNING + 1):
        text, count = Counter(text[:length] for text in texts).most_common(1)[0]
        if count < len(texts) * NEARLY_ALL or len(text) < length:
            break
        begins = text
    return begins
