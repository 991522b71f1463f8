"""What sort a value is (`json_places.kind_of`), as a sentence of a page says it. The code itself stays English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

_WORDS: Final[dict[str, StrPromise]] = {
    "missing": gettext_lazy("missing"),
    "null": gettext_lazy("null"),
    "true or false": gettext_lazy("true or false"),
    "a number": gettext_lazy("a number"),
    "text": gettext_lazy("text"),
    "a text": gettext_lazy("a text"),
    "a list": gettext_lazy("a list"),
    "an object": gettext_lazy("an object"),
}


def kind_word(kind: str) -> str:
    """`kind` in the language of the page."""
    return str(_WORDS.get(kind, kind))
