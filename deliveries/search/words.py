"""What somebody asks for, taken apart into words. Pure.

All words are required; each is found anywhere in a line of a document. `path:value` finds a value in one place, whose
path may be given from any of its names on. A phone number is found however it is written. `"two words"` are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from deliveries.search.text import bare_digits, folded

WORDS_LIMIT: Final = 8
LENGTH_LIMIT: Final = 200
_BEFORE: Final = "\n .:/(='\""

_WORD = re.compile(r'((?:[\w.\[\]-]+:)?)"([^"]+)"|(\S+)')
_PLACE = re.compile(r"([^\W\d][\w.\[\]-]*):(.+)", re.DOTALL)
_POSITION = re.compile(r"\[[^\]]*\]|(?<=\.)\d+\.")
_UUID = re.compile(r"(?:[a-z]+_)?([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})")
_NUMBER = re.compile(r"[+(]?[\d()./-]+", re.ASCII)
_RUN = re.compile(r"[^\W_]{3}")


@dataclass(frozen=True, slots=True)
class Option:
    """One way in which a word can occur: all `parts` in the text, which also matches the `pattern` if there is one:
    a regular expression that PostgreSQL and Python read alike. `value`: of a path's word what follows the colon.
    """

    parts: tuple[str, ...]
    pattern: str = ""
    value: str = ""

    def is_in(self, text: str) -> bool:
        return all(part in text for part in self.parts) and (not self.pattern or bool(re.search(self.pattern, text)))

    @property
    def looked_up(self) -> tuple[str, ...]:
        """What an index is asked for. Not for a path, which all documents of a topic have."""
        known = tuple(filter(is_indexed, self.parts))
        return (self.value,) if is_indexed(self.value) else known


def is_indexed(part: str) -> bool:
    """Whether three letters or digits stand together in it, which is what an index knows."""
    return _RUN.search(part) is not None


@dataclass(frozen=True, slots=True)
class Word:
    written: str
    options: tuple[Option, ...]

    def is_in(self, text: str) -> bool:
        return any(option.is_in(text) for option in self.options)

    @property
    def is_indexed(self) -> bool:
        """Whether the index can find it: each way in which it occurs has three letters or digits together."""
        return all(option.looked_up for option in self.options)

    def line_in(self, text: str) -> str:
        """The first line of a document that has it, or empty."""
        lines = [line for line in text.split("\n") if line]
        whole = next((line for line in lines if self.is_in(f"\n{line}\n")), "")
        parts = {part for option in self.options for part in option.parts}
        return whole or next((line for line in lines if any(part in line for part in parts)), "")


def words_of(text: str) -> list[Word]:
    """The first words of a query, at most `WORDS_LIMIT`."""
    words: list[Word] = []
    for is_number, group in groupby(
        _written(text[:LENGTH_LIMIT]), key=lambda part: _NUMBER.fullmatch(part) is not None
    ):
        parts = list(group)
        if is_number and len(parts) > 1 and (digits := bare_digits(" ".join(parts))):
            # A phone number with spaces, or several numbers.
            words.append(Word(" ".join(parts), (Option(tuple(parts)), Option((digits,)))))
        else:
            words += [Word(part, tuple(dict.fromkeys(_options(part)))) for part in parts]
    return words[:WORDS_LIMIT]


def _written(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text):
        place, quoted, plain = found.groups()
        written = f"{place}{quoted.strip()}" if quoted else plain
        # An id as the desk shows it, shortened in the middle, is two words.
        yield from filter(None, map(folded, written.split("…")))


def _options(written: str) -> Iterator[Option]:
    if place := _PLACE.fullmatch(written):
        # What looks like a path can be the beginning of a value (https://…), but not the end of another path.
        yield Option((written,), f"[{_BEFORE}]{re.escape(written)}", _spellings(place[2])[0])
        path = _POSITION.sub("", place[1])
        for value in _spellings(place[2]):
            yield Option((f"{path}:", value), f"[\n.]{re.escape(path)}:[^\n]*{re.escape(value)}", value)
        return
    for spelling in _spellings(written):
        yield Option((spelling,))
    if number := _UUID.fullmatch(written):
        yield Option(("".join(number.groups()),))


def _spellings(value: str) -> list[str]:
    """The value, and its digits if it may be a phone number; without the value if its digits find the same."""
    digits = bare_digits(value)
    return [digits] if digits and digits in value else [value, digits] if digits else [value]
