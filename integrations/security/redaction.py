"""Masks credentials in everything that is stored or displayed. Pure.

Attempts store the exact bytes that were sent, except for the values of `Request.secrets`: each occurrence, including
its JSON, URL, form and XML encodings, becomes `***`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from integrations.transport.base import Headers

MASK = "***"
#: Shorter values are not masked: they are no real secrets, and masking them would make the text unreadable.
SHORTEST_SECRET = 4

_SENSITIVE_NAMES = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-hub-token", "x-spiffy-stores-data"}
)
_SENSITIVE_PARTS = frozenset({"token", "secret", "password", "passwd", "apikey", "auth", "authorization"})
_SENSITIVE_ENDINGS = ("api-key", "access-key", "auth-key", "private-key")
_SCHEMES = frozenset({"bearer", "token", "basic", "digest"})


def redact_text(value: str, secrets: tuple[str, ...]) -> str:
    for spelling, _ in _spellings(secrets):
        if spelling in value:
            value = value.replace(spelling, MASK)
    return value


def redact_bytes(value: bytes, secrets: tuple[str, ...]) -> bytes:
    for _, spelling in _spellings(secrets):
        if spelling in value:
            value = value.replace(spelling, b"***")
    return value


def masked_headers(headers: Headers, secrets: tuple[str, ...]) -> Headers:
    """Return the headers with the values of sensitive headers masked entirely, and known secrets masked everywhere.

    The scheme of an Authorization header (`Bearer`, `Basic`, …) stays, because it helps to find mistakes.
    """
    values = "\n".join([value for _, value in headers])
    if redact_text(values, secrets) is values and not any(is_sensitive_name(name) for name, _ in headers):
        return headers
    return tuple(
        (name, _masked_value(value) if is_sensitive_name(name) else redact_text(value, secrets))
        for name, value in headers
    )


@lru_cache(maxsize=1024)
def stored_headers(headers: Headers, secrets: tuple[str, ...]) -> str:
    """Return `masked_headers` as JSON. Cached: headers of one receiver are mostly equal within a second."""
    return json.dumps(masked_headers(headers, secrets))


@lru_cache(maxsize=1024)
def is_sensitive_name(name: str) -> bool:
    """Whether a header or field of this name holds a credential."""
    lowered = name.lower().replace("_", "-")
    return (
        lowered in _SENSITIVE_NAMES
        or lowered.endswith(_SENSITIVE_ENDINGS)
        or not _SENSITIVE_PARTS.isdisjoint(lowered.split("-"))
    )


def _masked_value(value: str) -> str:
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space and scheme.lower() in _SCHEMES else MASK


@lru_cache(maxsize=1024)
def _spellings(secrets: tuple[str, ...]) -> tuple[tuple[str, bytes], ...]:
    """Return every encoding of the secrets, longest first, so that no part of a longer one remains."""
    found: set[str] = set()
    for secret in secrets:
        if len(secret) < SHORTEST_SECRET:
            continue
        printable = secret.encode("utf-8", "replace").decode()
        found |= {
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(printable, safe=""),
            quote(printable),
            quote_plus(printable),
            escape(secret),
        }
    ordered = sorted(found, key=lambda spelling: (-len(spelling), spelling))
    return tuple((spelling, spelling.encode("utf-8", "replace")) for spelling in ordered)
