"""One HTTP/1.1 connection: reads whole requests, hands them over one at a time, writes the answers.

Everything here runs in the event loop. `httptools` (llhttp, the parser of Node.js) reads the bytes; what it leaves open
is refused here, because a request that two servers read differently is how requests are smuggled past a proxy.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

if TYPE_CHECKING:
    from config.server.connections import Connections

#: What is left out when a client asks for another protocol and is answered in HTTP/1.1.
_UPGRADE_HEADERS = frozenset({b"connection", b"upgrade", b"http2-settings"})
#: Of two of these, somebody in front might have believed the other one.
_ONLY_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization", b"content-type"})
_CODES = {413: "too_large", 503: "service_unavailable"}
#: What one read brings at most, and so what can come beyond a limit before it is noticed.
_ONE_READ = 256 * 1024


class Refusal(Exception):
    """The request is answered with this status and the connection closed. Status 0 closes it without an answer."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Request:
    """A request whose body is complete. Header names are in lower case."""

    __slots__ = ("body", "connection", "content_length", "headers", "is_kept_alive", "method", "target", "version")

    def __init__(self, connection: Connection, method: str, target: bytes, version: str) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        self.version = version
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        #: As announced. `body` is empty if that is over the limit: then it was not read.
        self.content_length = 0
        self.is_kept_alive = True

    @property
    def path(self) -> bytes:
        """The part of the target before the query, still percent-encoded."""
        return self.target.partition(b"?")[0]


class Connection(asyncio.Protocol):
    """Owned by `Connections`, which knows them all, hands their requests out and enforces their deadlines."""

    __slots__ = (
        "_body", "_drained", "_has_begun", "_head_size", "_headers", "_is_body_refused", "_is_closing",
        "_is_kept_alive", "_is_upgrading", "_owner", "_parser", "_raw_size", "_size", "_target", "_to_write",
        "_written_at", "address", "current", "held", "port", "ready", "since", "transport",
    )  # fmt: skip

    def __init__(self, owner: Connections) -> None:
        self._owner = owner
        self._parser = HttpRequestParser(self)
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set when connected
        self.address, self.port = "", 0
        #: The request being answered, and those that the client sent without waiting for the answer.
        self.current: Request | None = None
        self.ready: deque[Request] = deque()
        #: When that began which is waited for: being idle, a request's headers, its body, the end of a closing.
        self.since = 0.0
        #: Bytes of bodies that this connection has in memory.
        self.held = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self._to_write = 0
        self._written_at = 0.0
        self._is_closing = False
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] | None = None
        self._size = self._head_size = self._raw_size = 0
        self._has_begun = self._is_body_refused = self._is_upgrading = False
        self._is_kept_alive = True

    # --- What the owner asks -----------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Nothing is being answered, and nothing of a further request has come."""
        return self.current is None and not self._has_begun and not self._is_closing

    def overdue(self, now: float) -> Refusal | None:
        """What to tell a client that took too long."""
        limits = self._owner.limits
        if self._is_stalled(now):
            return Refusal(0)
        waited = now - self.since
        if self._is_closing:
            return Refusal(0) if waited > limits.linger_seconds and not self._to_write else None
        if self.current is not None:
            return None
        if not self._has_begun:
            is_new = self in self._owner.unfinished
            return Refusal(0) if waited > (limits.head_seconds if is_new else limits.idle_seconds) else None
        if self._body is None:
            if waited > limits.head_seconds:
                return Refusal(408, f"The headers were not complete after {limits.head_seconds:.0f} seconds.")
        elif waited > limits.body_seconds + self._size / limits.body_rate:
            return Refusal(408, f"The body came too slowly: {self._size} bytes in {waited:.0f} seconds.")
        return None

    def _is_stalled(self, now: float) -> bool:
        """The client takes nothing of an answer that is waiting for it."""
        left = self.transport.get_write_buffer_size()
        if not left or left < self._to_write or not self._to_write:
            self._written_at = now
        self._to_write = left
        return bool(left) and now - self._written_at > self._owner.limits.write_seconds

    # --- asyncio.Protocol --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.address, self.port = peer[:2]
        self.since = self._owner.now()
        self._owner.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = True
        self._drained.set()
        self.ready.clear()
        self._release(self.held)
        self._owner.closed(self)

    def eof_received(self) -> bool:
        # The client has said all it had to say; what it asked for is still answered.
        if self.current is None or self._is_closing:
            return False
        (self.ready[-1] if self.ready else self.current).is_kept_alive = False
        return True

    def pause_writing(self) -> None:
        self._drained = asyncio.Event()

    def resume_writing(self) -> None:
        self._drained.set()

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        try:
            self._feed(data)
        except Refusal as refusal:
            self.refuse(refusal)
        except HttpParserError as error:
            # What a callback raised is the parser's context.
            cause = error.__context__
            self.refuse(cause if isinstance(cause, Refusal) else Refusal(400, f"This is not HTTP/1.1: {error}."))
        else:
            if self.current is not None:
                # One at a time: what comes behind stays with the kernel, and so with the client.
                self.transport.pause_reading()
            elif self._has_begun:
                self._owner.owes(self)

    def _feed(self, data: bytes) -> None:
        self._raw_size += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        if self._has_begun and self._body is None and self._raw_size > self._owner.limits.head_bytes + _ONE_READ:
            raise self._too_large_head()

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Answer in HTTP/1.1, as a server may that does not speak what the client would rather speak."""
        method, version = self._parser.get_method(), self._parser.get_http_version()
        if method == b"CONNECT":
            raise Refusal(405, "This is no proxy.")
        kept = [(name, value) for name, value in self._headers if name not in _UPGRADE_HEADERS]
        head = method + b" " + self._target + b" HTTP/" + version.encode() + b"\r\n"
        head += b"".join(name + b": " + value + b"\r\n" for name, value in kept)
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(head + b"\r\n" + rest)

    def _too_large_head(self) -> Refusal:
        return Refusal(431, f"The headers are larger than {self._owner.limits.head_bytes} bytes.")

    # --- httptools ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._reset()
        self._has_begun = True
        self.since = self._owner.now()

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > self._owner.limits.target_bytes:
            raise Refusal(414, f"The address is longer than {self._owner.limits.target_bytes} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._body is not None:
            return  # A trailer: it comes after whatever was decided by the headers.
        self._headers.append((name.lower(), value))
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self._owner.limits.head_bytes:
            raise self._too_large_head()
        if len(self._headers) > self._owner.limits.header_count:
            raise Refusal(431, f"The request has more than {self._owner.limits.header_count} headers.")

    def on_headers_complete(self) -> None:
        if self._parser.should_upgrade():
            self._is_upgrading = True
            return
        found: dict[bytes, bytes] = {}
        expects = b""
        for name, value in self._headers:
            if name in _ONLY_ONCE:
                if name in found:
                    raise Refusal(400, f"The header {name.decode()} is there twice.")
                found[name] = value
            elif name == b"expect":
                expects = value.strip().lower()
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            raise Refusal(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        if self._parser.get_http_version() == "1.1" and b"host" not in found:
            raise Refusal(400, "The header Host is missing.")
        if b"transfer-encoding" in found:
            if b"content-length" in found:
                raise Refusal(400, "Content-Length and Transfer-Encoding exclude each other.")
            if found[b"transfer-encoding"].strip().lower() != b"chunked":
                raise Refusal(501, "Of transfer encodings, only chunked is understood.")
        self._begin_body(int(found.get(b"content-length", b"0")), expects)

    def _begin_body(self, announced: int, expects: bytes) -> None:
        self._is_kept_alive = bool(self._parser.should_keep_alive())
        self._body = []
        self.since = self._owner.now()
        if announced > self._owner.limits.body_bytes:
            self._refuse_body(announced)
        elif expects == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif expects:
            raise Refusal(417, "Of expectations, only 100-continue is understood.")

    def on_body(self, body: bytes) -> None:
        if self._is_body_refused:
            return
        assert self._body is not None
        self._body.append(body)
        self._size += len(body)
        self.held += len(body)
        self._owner.buffered += len(body)
        if self._size > self._owner.limits.body_bytes:
            self._release(self._size)
            self._refuse_body(self._size)
        elif self._owner.buffered > self._owner.limits.buffered_bytes:
            self._owner.make_room(self)

    def on_message_complete(self) -> None:
        if not self._is_upgrading and not self._is_body_refused:
            self._hand_over(b"".join(self._body or ()), self._size)

    def _refuse_body(self, announced: int) -> None:
        """It is too large: the application gets the request without it and says so in its own words."""
        self._is_body_refused = True
        self._is_kept_alive = False
        self._hand_over(b"", announced)

    def _hand_over(self, body: bytes, announced: int) -> None:
        method, version = self._parser.get_method().decode("ascii"), self._parser.get_http_version()
        request = Request(self, method, self._target, version)
        request.headers = self._headers
        request.body = body
        request.content_length = announced
        request.is_kept_alive = self._is_kept_alive
        self._has_begun = self._is_body_refused
        self._body = self._body if self._is_body_refused else None
        self.ready.append(request)
        if self.current is None:
            self._next()

    def _release(self, size: int) -> None:
        self.held -= size
        self._owner.buffered -= size

    # --- Answers -----------------------------------------------------------------------------------------

    def _next(self) -> None:
        self.current = self.ready.popleft()
        self._owner.handed_over(self, self.current)

    async def write(self, request: Request, data: bytes) -> bool:
        """A part of the answer to `request`; returns when more may follow, False if nobody takes it any more."""
        if self.current is request and not self._is_closing:
            self.transport.write(data)
            await self._drained.wait()
        return self.current is request and not self._is_closing

    def finish(self, request: Request, data: bytes) -> None:
        """The rest of the answer to `request`; the next one's turn has come."""
        if self.current is not request or self._is_closing:
            return
        self.transport.write(data)
        self.current = None
        self.since = self._owner.now()
        self._release(len(request.body))
        if not request.is_kept_alive or self._owner.is_stopping:
            self._close(linger=self._has_begun)
        elif self.ready:
            self._next()
        else:
            self.transport.resume_reading()

    def abandon(self) -> None:
        """The answer cannot be completed: the client must not take what it has for the whole."""
        self.transport.abort()

    def refuse(self, refusal: Refusal) -> None:
        """Tell the client why, and close. In the middle of an answer nothing can be told."""
        if self.current is not None or refusal.status == 0:
            self.transport.abort()
            return
        error = {"code": _CODES.get(refusal.status, "bad_request"), "message": refusal.message, "field": None}
        body = json.dumps({"type": "error.list", "request_id": None, "errors": [error]}).encode()
        head = f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\nConnection: close\r\n"
        head += "Retry-After: 5\r\n" if refusal.status == 503 else ""
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """`linger`: the client may still be sending, and closing at once would reset the answer away."""
        self._is_closing = True
        self.since = self._owner.now()
        if linger and self.transport.can_write_eof():
            self.transport.write_eof()
            self.transport.resume_reading()
        else:
            self.transport.close()

    def close_if_idle(self) -> None:
        if self.is_idle:
            self._close(linger=False)
