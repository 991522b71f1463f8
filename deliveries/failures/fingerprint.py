"""Fingerprints of error messages: failures with the same fingerprint belong to one group. Pure."""

from __future__ import annotations

import hashlib
import re

from deliveries.failures.payload_values import PayloadValues, Span, find_values

#: Only this many characters of a message are compared.
MESSAGE_LIMIT = 2_000
TITLE_LIMIT = 300

_QUOTED = re.compile(
    r"""(?<!\w)(?:'[^'\n]{0,200}'|"[^"\n]{0,200}"|`[^`\n]{0,200}`|“[^”\n]{0,200}”|‘[^’\n]{0,200}’|«[^»\n]{0,200}»)(?!\w)"""
)
#: Applied in this order, because earlier patterns may contain later ones (a date contains digits).
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
#: A word with letters and this many digits is an id: SM0123, order-2026-17. Fewer are a name: utf8.
_DIGITS_OF_ID = 3
#: Adjacent placeholders of one kind are merged: `(555) 010-9999` has as many digits as any other phone number.
_REPEATED = re.compile(r"<number>(?:[\s().\-/]*<number>)+")


#: Different kinds of values may have the same cause: `0000`, `call me` and `a@b.example` are all invalid phone numbers.
_ANY = re.compile(r"<(?:value|url|e-mail|id|time|number)>")
_NEIGHBOURS = re.compile(r"<value>(?:[\s().,;:/+#-]*<value>)+")
#: Characters attached to a payload value are removed with it: `+1 (555) 0100` and `555 0100` leave the same behind.
_STICKING_BEFORE, _STICKING_AFTER = re.compile(r"[^\w\s'\"`“”‘’«»<>]{1,8}$"), re.compile(r"[^\w\s'\"`“”‘’«»<>]{1,8}")

_SIGN = re.compile(r"[+#-]+(?=…)")


def normalise_message(text: str) -> str:
    """Return `text` with everything that varies between occurrences of a failure replaced by placeholders.

    Replaces quoted values, URLs, e-mail addresses, dates, ids and numbers; words stay. Idempotent.
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


def normalise_failure(text: str, values: PayloadValues) -> str:
    """Like `normalise_message`, but also replaces values of the payload, quoted or not, all by one placeholder."""
    text = " ".join(text[:MESSAGE_LIMIT].split())
    text = _replaced(text, find_values(text, values), "<value>", is_greedy=True)
    return _NEIGHBOURS.sub("<value>", _ANY.sub("<value>", normalise_message(text)))


def _replaced(text: str, spans: list[Span], placeholder: str, *, is_greedy: bool = False) -> str:
    parts, end = [], 0
    for span in spans:
        before = text[end : span.start]
        if is_greedy:
            before = _STICKING_BEFORE.sub("", before)
        parts += [before, placeholder]
        end = span.end
        if is_greedy and (after := _STICKING_AFTER.match(text, end)):
            end = after.end()
    return "".join([*parts, text[end:]])


def title_of(text: str, values: PayloadValues) -> str:
    """Return a title for the failure group: the field, and the message without the value.

    Empty if there is nothing better than the message itself.
    """
    text = " ".join(text[:MESSAGE_LIMIT].split())
    spans = [span for span in find_values(text, values) if span.name]
    if not spans:
        return ""
    name, shown = spans[0].name, _SIGN.sub("", _replaced(text, spans, "…"))
    is_named = shown.lower().startswith(f"{name.lower()}:")
    return (shown if is_named else f"{name}: {shown}")[:TITLE_LIMIT]


def fingerprint(kind: str, message: str, values: PayloadValues | None = None) -> str:
    """Return the SHA-256 of the kind of error and the normalised message, as 64 hexadecimal digits."""
    normalised = normalise_failure(message, values or PayloadValues())
    return _digest(kind, normalised)


def former_fingerprint(kind: str, message: str) -> str:
    """Return the fingerprint as computed before payloads were considered, to find groups from that time."""
    return _digest(kind, normalise_message(message))


def _digest(kind: str, normalised: str) -> str:
    return hashlib.sha256(f"{kind}\n{normalised}".encode("utf-8", "replace")).hexdigest()
