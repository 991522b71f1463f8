"""What both transports do before they connect: check the URL and the headers, complete the headers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from integrations.transport.base import Headers, Request, TransportError
from integrations.transport.guard.addresses import AddressPolicy, Target, UrlRefused, parse_url

#: Bytes of an answer's status line and headers together, interim answers (1xx) included.
HEAD_LIMIT = 64 * 1024
#: Interim answers (100, 103 …) that are skipped before the real one.
INTERIM_LIMIT = 16

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: They decide where a message begins and ends or who gets it; the transport alone sets them.
RESERVED_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade"}
)
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that may be sent. `headers` are complete but for Host and Content-Length.

    `body` is None when the message has none and no Content-Length either.
    """

    method: str
    target: Target
    headers: Headers
    body: bytes | None


def prepare(request: Request, policy: AddressPolicy) -> Prepared:
    """`request`, checked; raises a permanent TransportError when it can never be sent."""
    if _TOKEN.fullmatch(request.method) is None:
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
    """What is missing beside headers of these names, which are checked: once for all requests that are alike."""
    for name in names:
        if _TOKEN.fullmatch(name) is None:
            raise _unsendable(f"The header name {name!r} has characters that header names cannot have. Correct it.")
        if name.lower() in RESERVED_HEADERS:
            raise _unsendable(f"The header {name} is set by Hookdesk itself. Remove it from the integration's headers.")
    given = {name.lower() for name in names}
    defaults = (("Accept", "*/*"), ("Accept-Encoding", "identity"))
    return tuple((name, value) for name, value in defaults if name.lower() not in given)


def _check_value(name: str, value: str) -> None:
    if not _is_latin1(value):
        raise _unsendable(f"The value of the header {name} has characters outside latin-1, which HTTP cannot carry.")
    if _FORBIDDEN_IN_VALUE.search(value):
        raise _unsendable(f"The value of the header {name} holds a line break or a control character. Remove it.")


def printable(text: str) -> str:
    """The beginning of `text`, which a receiver may have written, fit for a message and for any database."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:200])


def _is_latin1(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _unsendable(message: str) -> TransportError:
    return TransportError(TransportError.PROTOCOL, message, permanent=True)
