"""Preparation shared by both transports: check the URL and headers, add default headers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from integrations.transport.base import Headers, Request, TransportError
from integrations.transport.guard.addresses import AddressPolicy, Target, UrlRefused, parse_url
from integrations.transport.header_rules import FORBIDDEN_IN_VALUE, FRAMING_HEADERS, HEADER_NAME, is_latin_1

#: Maximum bytes of status line and headers of a response, including those of interim (1xx) responses.
HEAD_LIMIT = 64 * 1024
#: Maximum number of interim (1xx) responses that are skipped before the final one.
INTERIM_LIMIT = 16

# What both transports report, in the same words: failures are grouped by them.
INCOMPLETE = "The receiver did not send a complete response before the deadline."
NO_RESPONSE = "The receiver closed the connection without a response."
HEAD_CUT_OFF = "The connection was closed within the response's headers."
HEAD_TOO_LONG = f"The response's headers are longer than {HEAD_LIMIT // 1024} KB."
ONLY_INTERIM = f"The receiver sent more than {INTERIM_LIMIT} interim (1xx) responses and no final one."

_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked request. `headers` are complete except for Host and Content-Length.

    `body` is None if the request has neither a body nor a Content-Length header.
    """

    method: str
    target: Target
    headers: Headers
    body: bytes | None


def prepare(request: Request, policy: AddressPolicy) -> Prepared:
    """Check `request` and add default headers. Raises a permanent TransportError if it cannot be sent."""
    if HEADER_NAME.fullmatch(request.method) is None:
        raise _unsendable(f"The method {request.method!r} is not an HTTP method.")
    try:
        target = _parse_cached(request.url, policy)
    except UrlRefused as refused:
        raise TransportError(TransportError.REFUSED_ADDRESS, refused.reason, permanent=True) from None
    headers = request.headers
    added = _added_headers(tuple([name for name, _ in headers]))
    together = "".join([value for _, value in headers])
    if not (together.isascii() and together.isprintable()):
        for name, value in headers:
            _check_value(name, value)
    headers += added
    body = request.body if request.body or request.method in _BODY_METHODS else None
    return Prepared(request.method, target, headers, body)


@lru_cache(maxsize=4096)
def _parse_cached(url: str, policy: AddressPolicy) -> Target:
    return parse_url(url, policy)


@lru_cache(maxsize=4096)
def _added_headers(names: tuple[str, ...]) -> Headers:
    """Check these header names and return the default headers they lack. Cached per combination of names."""
    for name in names:
        if HEADER_NAME.fullmatch(name) is None:
            raise _unsendable(
                f"{name!r} is not a header name: it contains characters that are not allowed. Correct it."
            )
        if name.lower() in FRAMING_HEADERS:
            raise _unsendable(f"The header {name} is set by Hookdesk itself. Remove it from the integration's headers.")
    given = {name.lower() for name in names}
    defaults = (("Accept", "*/*"), ("Accept-Encoding", "identity"))
    return tuple((name, value) for name, value in defaults if name.lower() not in given)


def _check_value(name: str, value: str) -> None:
    if not is_latin_1(value):
        raise _unsendable(f"The value of the header {name} has characters outside ISO-8859-1, which HTTP cannot send.")
    if FORBIDDEN_IN_VALUE.search(value):
        raise _unsendable(f"The value of the header {name} contains a line break or control character. Remove it.")


def printable(text: str) -> str:
    """Return the first 200 characters of untrusted `text`, with unprintable characters replaced."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:200])


def _unsendable(message: str) -> TransportError:
    return TransportError(TransportError.PROTOCOL, message, permanent=True)
