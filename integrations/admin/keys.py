"""Ids in the desk's URLs and forms have one canonical spelling; others are rejected before any query.

Databases and Python read many spellings as the same key (`1`, ` 1`, `01`, `١`; a UUID in capitals or without its
hyphens). Accepting them would give a row a second URL, which access checks may miss.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

from django.db.models import Field, IntegerField, UUIDField
from django.urls import register_converter
from django.urls.converters import StringConverter, UUIDConverter

#: The largest integer that the databases store.
LARGEST: Final = 2**63 - 1


class NumberConverter:
    """`<number:pk>`: from 1, ASCII digits, no leading zero, no larger than a database's integer."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number > LARGEST:
            raise ValueError("larger than a database's integer")
        return number

    def to_url(self, value: int | str) -> str:
        return str(value)


class WordConverter(StringConverter):
    """`<word:pk>`, for text keys. Excludes the underscore, with which the admin escapes other characters."""

    regex = "[A-Za-z0-9.-]{1,200}"


register_converter(NumberConverter, "number")
register_converter(WordConverter, "word")

_UUID_TEXT: Final = re.compile(UUIDConverter.regex)
_NUMBER_TEXT: Final = re.compile(NumberConverter.regex)
_WORD_TEXT: Final = re.compile(WordConverter.regex)


def key_route(field: Field[Any, Any], name: str) -> str:
    """The route pattern for keys of this field: `<uuid:pk>`."""
    kind = "uuid" if isinstance(field, UUIDField) else "number" if isinstance(field, IntegerField) else "word"
    return f"<{kind}:{name}>"


def parse_key(field: Field[Any, Any], text: Any) -> Any:
    """The key in `text`, or None if it is invalid or not spelled canonically."""
    if isinstance(field, UUIDField):
        return parse_uuid(text)
    if isinstance(field, IntegerField):
        return parse_number(text)
    return text if isinstance(text, str) and _WORD_TEXT.fullmatch(text) else None


def parse_uuid(text: Any) -> uuid.UUID | None:
    return uuid.UUID(text) if isinstance(text, str) and _UUID_TEXT.fullmatch(text) else None


def parse_number(text: Any, largest: int = LARGEST) -> int | None:
    """A number from 1 to `largest`, or None."""
    if not isinstance(text, str) or not _NUMBER_TEXT.fullmatch(text):
        return None
    return number if (number := int(text)) <= largest else None
