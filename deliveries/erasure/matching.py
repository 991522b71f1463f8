"""Whether documents, texts and bodies hold a value, in whatever way it is written there. Pure.

A value is looked for without regard to upper and lower case: `Anna@Example.com` is the same person.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote_plus
from xml.sax.saxutils import escape

from django.utils.translation import gettext as _

#: What stands where the value stood in a text.
GAP: Final = "[erased]"
#: A shorter value would be found in almost everything.
SHORTEST: Final = {True: 3, False: 4}
LONGEST: Final = 500


@dataclass(frozen=True)
class Sought:
    """A value to be found. `is_exact`: as a whole JSON value, or as whole words of a text; else anywhere in either."""

    value: str
    is_exact: bool

    @classmethod
    def parse(cls, value: str, *, is_exact: bool) -> Sought:
        """Raises ValueError for what is too short, too long or cannot be stored."""
        text = value.strip()
        least = SHORTEST[is_exact]
        if len(text) < least:
            words = _("The value must have at least %(number)s characters: a shorter one is found everywhere.")
            raise ValueError(words % {"number": least})
        if len(text) > LONGEST:
            raise ValueError(_("The value must have at most %(number)s characters.") % {"number": LONGEST})
        if re.search("[\x00-\x1f\x7f\ud800-\udfff]", text):
            raise ValueError(_("The value must be one line without control characters."))
        return cls(text, is_exact)

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """How it may be written in what is stored: plain, in JSON, in URLs and forms, in XML. Without duplicates.

        Databases ignore the case of ASCII letters at least; of others both cases are given.
        """
        cases = [self.value] if self.value.isascii() else [self.value, self.value.lower(), self.value.upper()]
        found = [
            spelling
            for text in cases
            for spelling in (
                text,
                json.dumps(text)[1:-1],
                json.dumps(text, ensure_ascii=False)[1:-1],
                quote(text, safe=""),
                quote_plus(text),
                escape(text, {'"': "&quot;"}),
            )
        ]
        return tuple(dict.fromkeys(found))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        options = "|".join(re.escape(each) for each in sorted(self.spellings, key=len, reverse=True))
        return re.compile(rf"(?<!\w)(?:{options})(?!\w)" if self.is_exact else options, re.IGNORECASE)

    def is_in_text(self, text: str) -> bool:
        if self._pattern.search(text):
            return True
        # A sender may escape more than it must.
        return any(other != text and self._pattern.search(other) for other in (unquote_plus(text), html.unescape(text)))

    def is_in_document(self, document: Any) -> bool:
        """Among its keys and leaves; numbers as they are written."""
        if not self.is_exact:
            return any(self.is_in_text(leaf) for leaf in _leaves(document))
        wanted = self.value.casefold()
        return any(leaf.strip().casefold() == wanted for leaf in _leaves(document))

    def is_in_body(self, body: bytes) -> bool:
        """A JSON document or any text, in UTF-8."""
        text = body.decode("utf-8", "replace")
        if not text:
            return False
        document = _parsed(text)
        if document is not None and self.is_in_document(document):
            return True
        # The body of a form may hold a document, an answer may quote one.
        return self.is_in_text(text)

    def without(self, text: str) -> str:
        """The text with a gap at each place where the value is; wholly a gap if it is there in a spelling that cannot
        be cut out."""
        cut = self._pattern.sub(GAP, text)
        return GAP if self.is_in_text(cut) else cut

    def without_in(self, document: Any) -> Any:
        """The document, with `without` for its texts, keys included."""
        if isinstance(document, dict):
            return {self._cut(key): self.without_in(item) for key, item in document.items()}
        if isinstance(document, list):
            return [self.without_in(item) for item in document]
        if isinstance(document, str):
            return self._cut(document)
        if document is None or isinstance(document, bool):
            return document
        return GAP if self._cut(str(document)) != str(document) else document

    def _cut(self, text: str) -> str:
        return self.without(text) if self.is_in_text(text) else text


def _leaves(document: Any) -> Iterator[str]:
    """Keys and values as texts. A loop, because documents may be deep."""
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif item is not None and not isinstance(item, bool):
            yield str(item)


def _parsed(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
