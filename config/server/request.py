"""A request, and the rules by which badly framed requests are refused. Pure.

Anything ambiguous that the parser lets through is refused here: requests that two servers read differently can be used
to smuggle other requests past a proxy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.server.http import Connection

#: Headers that must not be repeated: a proxy in front might have used the other one.
_ONLY_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization", b"content-type"})
_CODES = {413: "too_large", 503: "service_unavailable"}
#: Headers that are removed when a client asks for another protocol and is answered in HTTP/1.1.
_UPGRADE_HEADERS = frozenset({b"connection", b"upgrade", b"http2-settings"})

Headers = list[tuple[bytes, bytes]]


class Refusal(Exception):
    """The request is answered with this status and the connection is closed. Status 0 closes it without a response."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def answer(self) -> bytes:
        """Return the complete response, with the API's error document."""
        error = {"code": _CODES.get(self.status, "bad_request"), "message": self.message, "field": None}
        body = json.dumps({"type": "error.list", "request_id": None, "errors": [error]}).encode()
        head = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\nConnection: close\r\n"
        head += "Retry-After: 5\r\n" if self.status == 503 else ""
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


class Request:
    """A request whose body is complete. Header names are in lower case."""

    __slots__ = (
        "begun_at", "body", "connection", "content_length", "head", "headers", "id", "is_kept_alive", "method",
        "on_response_start", "status", "target", "version",
    )  # fmt: skip

    def __init__(self, connection: Connection, method: str, target: bytes, version: str) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        self.version = version
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        #: As announced. If it exceeds the limit, the body was not read and `body` is empty.
        self.content_length = 0
        self.is_kept_alive = True
        #: For `push_lane`: header lines of the response, and a callback that gets the status and headers of Django's.
        self.head = b""
        self.on_response_start: Callable[[str, list[tuple[str, str]]], None] | None = None
        #: For the log, if it has a line per request.
        self.id = ""
        self.begun_at = 0.0
        self.status = 0

    @property
    def path(self) -> bytes:
        """The part of the target before the query, still percent-encoded."""
        return self.target.partition(b"?")[0]


@dataclass(frozen=True, slots=True)
class Framing:
    """`length`: the announced length in bytes; 0 if the body is chunked or there is none."""

    length: int
    expects_continue: bool


def framing_of(headers: Iterable[tuple[bytes, bytes]], version: str) -> Framing:
    """Return how the body is framed. Names are in lower case. Raises Refusal if the headers are ambiguous."""
    found: dict[bytes, bytes] = {}
    expects = b""
    for name, value in headers:
        if name in _ONLY_ONCE:
            if name in found:
                raise Refusal(400, f"The header {name.decode()} is there twice.")
            found[name] = value
        elif name == b"expect":
            expects = value.strip().lower()
    if version not in ("1.1", "1.0"):
        raise Refusal(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    if version == "1.0" and b"transfer-encoding" in found:
        raise Refusal(400, "HTTP/1.0 has no transfer encodings.")
    if version == "1.1" and b"host" not in found:
        raise Refusal(400, "The header Host is missing.")
    if b"transfer-encoding" in found:
        if b"content-length" in found:
            raise Refusal(400, "Content-Length and Transfer-Encoding exclude each other.")
        if found[b"transfer-encoding"].strip().lower() != b"chunked":
            raise Refusal(501, "Of transfer encodings, only chunked is understood.")
    if expects not in (b"", b"100-continue"):
        raise Refusal(417, "Of expectations, only 100-continue is understood.")
    return Framing(int(found.get(b"content-length", b"0")), bool(expects))


def head_without_upgrade(method: bytes, target: bytes, version: str, headers: Headers) -> bytes:
    """Return the head of the same request without the headers that ask for an upgrade."""
    lines = [name + b": " + value for name, value in headers if name not in _UPGRADE_HEADERS]
    return b"\r\n".join([method + b" " + target + b" HTTP/" + version.encode(), *lines, b"", b""])
