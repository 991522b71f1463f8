"""Find the parts of a message that are values of the payload. Pure.

A receiver repeats the offending value in its own spelling: other case, without the spaces of a phone number,
without accents. Documents are read by pattern and not parsed, so that a huge or broken one costs no more than its
beginning, and so that JSON, XML and forms cost one function each.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import unquote_plus

#: Most characters examined of each document, and of all together: about two milliseconds.
DOCUMENT_LIMIT = 100_000
VALUES_LIMIT = 5_000
SIGNS_LIMIT = 20
#: Most words of a message that may form one value, and most words examined.
LONGEST_RUN = 12
WORDS_LIMIT = 400
#: Of a longer value, a message must repeat at least three words to count as taken from it.
LONG_VALUE = 80
SHORTEST_RUN_OF_LONG = 3

_WORD = re.compile(r"[^\W_]+")
_JSON = re.compile(r'"((?:[^"\\]|\\.){0,400})"(\s*:)?|(-?\d[\d.eE+-]*)')
_XML = re.compile(r"<([\w:.-]{1,100})[^<>]*>([^<>]{1,400})</|([\w:.-]{1,100})=\"([^\"<>]{1,400})\"")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SIGNS = re.compile(r"[^\w\s]{2,}")

#: Common words of error messages. They are not treated as payload values even if the payload contains them.
_PLAIN_WORDS = """
    a able accept accepted access account active address after again all allowed already also am an and any api are
    array as at bad be because been before between blank body boolean both but by can cannot card case change
    character characters check city client code company connect connection contact content could country create
    created currency customer data database date day days deleted denied destination did digits disabled do does
    domain duplicate during each email empty enabled end entity error errors exceed exceeded exception exist exists
    expected expired fail failed failure false field fields file first for forbidden format found from gateway get
    given greater had has have he header host hours id if in incorrect index inside instead integer internal into
    invalid is it item items its json key last length less limit line list long lookup mail many match maximum may
    message method min minimum missing mobile more most must name need network no none not nothing null number
    object of off on one only or order orders other our out over page parameter parse password path payload payment
    permission phone please post price process processing product products property provided quantity queue range
    rate reach reached read reason receiver recipient record refused rejected request requested require required
    resource response retry row s same schema send sent server service set shipment shipping shop should sms source
    state status still stock store string such support supported table text than that the their then there this time
    timed timeout to token too true try type unable unauthorized under unexpected unknown unprocessable unsupported
    update url use used user valid validation value values was we were when which while will with within without
    word write wrong yes you your zero zip
"""
_PLAIN = frozenset(_PLAIN_WORDS.split())


@dataclass(slots=True)
class PayloadValues:
    """The result of `values_of`. Keys are words without case, accents and separators; values are names of fields."""

    whole: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    #: Values without a letter or digit (`--`), unchanged.
    signs: dict[str, str] = field(default_factory=dict)
    long: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.whole or self.signs)


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` of a message came from the payload; `name` is the field's, empty if it has none."""

    start: int
    end: int
    name: str


def values_of(documents: Iterable[str | bytes]) -> PayloadValues:
    """Return the values in these documents, as pushed and as sent: JSON, XML or a form."""
    found = PayloadValues()
    left = VALUES_LIMIT
    for document in documents:
        text = document[:DOCUMENT_LIMIT]
        for name, value in _members(text.decode("utf-8", "replace") if isinstance(text, bytes) else text):
            _take(found, name, value)
            left -= 1
            if not left:
                return found
    return found


def find_values(text: str, values: PayloadValues) -> list[Span]:
    """Return the spans in which `text` repeats a value: left to right, longest match first, not overlapping."""
    if not values:
        return []
    words = [(match.start(), match.end(), _plain(match[0])) for match in _WORD.finditer(text)][:WORDS_LIMIT]
    long = "\n".join(values.long)
    spans, index = [], 0
    while index < len(words):
        length, name = _run_at(words, index, values, long)
        if length:
            spans.append(Span(words[index][0], words[index + length - 1][1], name))
        index += max(1, length)
    for match in _SIGNS.finditer(text) if values.signs else ():
        if names := [name for signs, name in values.signs.items() if signs in match[0]]:
            spans.append(Span(match.start(), match.end(), names[0]))
    return sorted(spans, key=lambda span: span.start)


def _run_at(words: list[tuple[int, int, str]], index: int, values: PayloadValues, long: str) -> tuple[int, str]:
    """Return how many words from `index` on form one value, and the value's field."""
    best, name, joined = 0, "", ""
    for count, (_, _, word) in enumerate(words[index : index + LONGEST_RUN], 1):
        joined += word
        if joined in values.whole and not (count == 1 and _is_template(word, values)):
            best, name = count, values.whole[joined]
    if best:
        return best, name
    word = words[index][2]
    if word in values.words and not _is_template(word, values):
        return 1, values.words[word]
    if long:
        run, count = "", 0
        for _, _, word in words[index:]:
            if f" {run}{word} " not in long:
                break
            run, count = f"{run}{word} ", count + 1
        if count >= SHORTEST_RUN_OF_LONG:
            return count, ""
    return 0, ""


def _is_template(word: str, values: PayloadValues) -> bool:
    """Whether the word belongs to the sentence, not to the payload: a common word of errors, or a field name."""
    return word in _PLAIN or word in values.names


def _take(found: PayloadValues, name: str, value: str) -> None:
    found.names.update(_plain(part) for part in re.split(r"[^\w]|_", _CAMEL.sub("_", name)) if part)
    found.names.add(_plain("".join(_WORD.findall(name))))
    words = [_plain(word) for word in _WORD.findall(value)]
    if not words:
        if len(value.strip()) > 1 and len(found.signs) < SIGNS_LIMIT:
            found.signs.setdefault(value.strip()[:LONG_VALUE], name)
        return
    found.whole.setdefault("".join(words), name)
    if len(value) > LONG_VALUE:
        found.long.append(f" {' '.join(words)} ")
    elif len(words) > 1:
        for word in words:
            if len(word) > 2:
                found.words.setdefault(word, name)


def _plain(word: str) -> str:
    """Return the text without case and accents."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _members(text: str) -> Iterator[tuple[str, str]]:
    start = text.lstrip()[:1]
    if start in ("{", "["):
        yield from _json_members(text)
    elif start == "<":
        for tag, inner, attribute, given in _XML.findall(text):
            yield (tag or attribute).rpartition(":")[2], unescape(inner or given)
    else:
        for pair in text.split("&"):
            name, _, value = pair.partition("=")
            yield unquote_plus(name), unquote_plus(value)


def _json_members(text: str) -> Iterator[tuple[str, str]]:
    name = ""
    for match in _JSON.finditer(text):
        string, colon, number = match.groups()
        if number is not None:
            yield name, number
        elif colon:
            name = _unescaped(string)
        else:
            yield name, _unescaped(string)


def _unescaped(literal: str) -> str:
    if "\\" not in literal:
        return literal
    try:
        return str(json.loads(f'"{literal}"', strict=False))
    except ValueError:
        return literal
