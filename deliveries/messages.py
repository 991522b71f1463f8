"""What makes two error messages alike. Pure."""

from __future__ import annotations

import hashlib
import re

#: Longer messages are alike when they begin alike.
MESSAGE_LIMIT = 2_000

_QUOTED = re.compile(
    r"""(?<!\w)(?:'[^'\n]{0,200}'|"[^"\n]{0,200}"|`[^`\n]{0,200}`|“[^”\n]{0,200}”|‘[^’\n]{0,200}’|«[^»\n]{0,200}»)(?!\w)"""
)
#: In this order: what comes first may hold what comes later (a date is digits, an address may hold a number).
_PLACEHOLDERS = [
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>)]+", re.IGNORECASE), "<url>"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+"), "<e-mail>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:\s?Z\b|\s?[+-]\d\d:?\d\d\b)?"), "<time>"),
    (re.compile(r"\b\d{1,2}[/.]\d{1,2}[/.]\d{2,4}\b"), "<time>"),
    (re.compile(r"\b\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\b"), "<time>"),
    # Hexadecimal: keys, tokens, object ids.
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{6,}\b", re.IGNORECASE), "<id>"),
]
_NUMBER = re.compile(r"\(\d{1,5}\)(?=[\s-]{0,3}\d)|[+-]?\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[\w-]+")
#: A word with letters and so many digits is an id: SM0123, order-2026-17. Fewer are a name: utf8.
_DIGITS_OF_ID = 3
#: Neighbours of one sort are one: `(555) 010-9999` has as many digits as any other phone number.
_REPEATED = re.compile(r"<number>(?:[\s().\-/]*<number>)+")


def normalise_message(text: str) -> str:
    """`text` with all that differs between alike failures replaced by placeholders.

    Quoted values, URLs, e-mail addresses, dates, ids and numbers go; words stay. Normalising again changes nothing.
    """
    text = " ".join(text[:MESSAGE_LIMIT].split())
    text = _QUOTED.sub("<value>", text)
    for pattern, placeholder in _PLACEHOLDERS:
        text = pattern.sub(placeholder, text)
    text = _WORD.sub(_without_id, text)
    text = _NUMBER.sub("<number>", text)
    text = _REPEATED.sub("<number>", text)
    return " ".join(text.split())


def _without_id(word: re.Match[str]) -> str:
    text = word[0]
    is_id = sum(map(str.isdigit, text)) >= _DIGITS_OF_ID and any(map(str.isalpha, text))
    return "<id>" if is_id else text


def fingerprint(kind: str, message: str) -> str:
    """SHA-256 of the kind of error and the normalised message, as 64 hexadecimal digits."""
    return hashlib.sha256(f"{kind}\n{normalise_message(message)}".encode("utf-8", "replace")).hexdigest()
