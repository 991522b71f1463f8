"""The text of a search document: lines of `path:value`. Pure.

Case, width and compatibility forms are folded, in documents as in what is asked for. A path has its names joined by
dots, without positions in lists, so that `items.sku:` names the field of every item.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Final

#: Characters of a value and of a document; more is not searchable.
VALUE_LIMIT: Final = 1_000
TEXT_LIMIT: Final = 20_000
#: Digits of what counts as a phone number, which is also found without its separators.
FEWEST_DIGITS: Final = 6

_PHONE = re.compile(r"\+?[\d\s()./-]{6,40}", re.ASCII)
_NOT_DIGIT = re.compile(r"\D", re.ASCII)
_BREAKS = re.compile(r"\s*[\r\n]+\s*")


def folded(text: str) -> str:
    """The same without differences that nobody looks for; a text without NUL."""
    return unicodedata.normalize("NFKC", text).casefold().replace("\0", "")


def bare_digits(text: str) -> str:
    """The digits of what looks like a phone number written with separators; else empty."""
    if not _PHONE.fullmatch(text):
        return ""
    digits = _NOT_DIGIT.sub("", text)
    return digits if len(digits) >= FEWEST_DIGITS and digits != text else ""


def document(lines: Iterable[str]) -> str:
    """Each line between line breaks, as far as there is room."""
    parts, length = [""], 1
    for line in lines:
        line = folded(_BREAKS.sub(" ", line[:VALUE_LIMIT]))
        length += len(line) + 1
        if length > TEXT_LIMIT:
            break
        parts.append(line)
    return "\n".join([*parts, ""])


def lines_of(data: Any) -> Iterator[str]:
    """`path:value` of every text, number and truth value in a JSON document, in its order."""
    waiting: list[tuple[str, Any]] = [("", data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{path}.{name}" if path else name, inner) for name, inner in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(path, inner) for inner in reversed(value)]
        elif value is not None and value != "":
            written = str(value).lower() if isinstance(value, bool) else str(value)
            prefix = f"{path}:" if path else ""
            yield prefix + written
            if isinstance(value, str) and (digits := bare_digits(value.strip())):
                yield prefix + digits
