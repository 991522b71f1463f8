"""One HTTP/1.1 connection: reads complete requests, passes them on one at a time, writes the responses.

Everything here runs in the event loop. `RequestReader` parses what arrives.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from httptools import HttpParserError

from config.observability.request_lines import RequestLines
from config.server.reading import Buffers, RequestReader
from config.server.request import Refusal, Request
from config.server.unread import Unread


class Owner(Buffers, Protocol):
    """Knows all connections, dispatches their requests and enforces their deadlines."""

    is_stopping: bool
    lines: RequestLines | None

    def opened(self, connection: Connection) -> None: ...
    def closed(self, connection: Connection) -> None: ...
    def mark_incomplete(self, connection: Connection) -> None: ...
    def is_incomplete(self, connection: Connection) -> bool: ...
    def request_ready(self, connection: Connection, request: Request) -> None: ...
    def shed_body(self, connection: Connection) -> None: ...
    def answer_unread(self, connection: Connection) -> None: ...


class _PipelineFull(Exception):
    """The client has pipelined more requests than are buffered for it."""


class Connection(RequestReader, asyncio.Protocol):
    """One connection. The owner checks `overdue`; everything else is reported to the owner by callbacks."""

    __slots__ = (
        "_drained", "_is_closing", "_is_paused", "_owner", "_unread", "address", "current", "port", "ready",
        "transport",
    )  # fmt: skip

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self._owner = owner
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set when connected
        self.address, self.port = "", 0
        #: The request being answered, and pipelined ones: sent without waiting for the response.
        self.current: Request | None = None
        self.ready: deque[Request] = deque()
        self._drained = asyncio.Event()
        self._drained.set()
        self._unread = Unread()
        self._is_closing = self._is_paused = False

    # --- called by the owner -----------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered and no part of another one has arrived."""
        return self.current is None and not self._has_begun and not self._is_closing

    def overdue(self, now: float) -> Refusal | None:
        """Return the refusal for a client that took too long, or None."""
        limits = self._owner.limits
        if self._unread.is_overdue(self.unread_bytes, now, limits):
            return Refusal(0)
        waited = now - self.since
        if self._is_closing:
            return Refusal(0) if waited > limits.linger_seconds and not self.unread_bytes else None
        if self.current is not None:
            return None
        if not self._has_begun:
            is_new = self._owner.is_incomplete(self)
            return Refusal(0) if waited > (limits.head_seconds if is_new else limits.idle_seconds) else None
        if self._body is None:
            if waited > limits.head_seconds:
                return Refusal(408, f"The headers were not complete after {limits.head_seconds:.0f} seconds.")
        elif waited > limits.body_seconds + self._size / limits.body_rate:
            return Refusal(408, f"The body came too slowly: {self._size} bytes in {waited:.0f} seconds.")
        return None

    @property
    def unread_bytes(self) -> int:
        """Bytes of responses that wait in memory for the client to read them."""
        return self.transport.get_write_buffer_size()

    @property
    def unread_since(self) -> float:
        return self._unread.since

    # --- asyncio.Protocol --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.set_write_buffer_limits(high=self._owner.limits.answer_bytes)
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
        # The client has half-closed; its request is still answered.
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
        if self.current is not None:
            # One request at a time: leave further data in the kernel's buffer, which slows the client down.
            self._is_paused = True
            self.transport.pause_reading()
        try:
            self.feed(data)
        except Refusal as refusal:
            self.refuse(refusal)
        except HttpParserError as error:
            # The parser wraps what a callback raised: the original error is the context.
            cause = error.__context__
            if isinstance(cause, _PipelineFull):
                self._stop_reading_requests()
                return
            self.refuse(cause if isinstance(cause, Refusal) else Refusal(400, f"This is not HTTP/1.1: {error}."))
        else:
            if self.current is None and self._has_begun:
                self._owner.mark_incomplete(self)

    # --- called by the reader ----------------------------------------------------------------------------

    def _hand_over(self, body: bytes, announced: int) -> None:
        if len(self.ready) >= self._owner.limits.pipelined_requests:
            raise _PipelineFull
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

    def _stop_reading_requests(self) -> None:
        """Answer the buffered requests, then close the connection: the client must resend the rest."""
        self._release(self._size)
        self._has_begun = True
        self.ready[-1].is_kept_alive = False
        self.transport.pause_reading()

    def _send_continue(self) -> None:
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _on_buffer_full(self) -> None:
        self._owner.shed_body(self)

    # --- responses ---------------------------------------------------------------------------------------

    def _next(self) -> None:
        self.current = self.ready.popleft()
        self._owner.request_ready(self, self.current)

    async def write(self, request: Request, data: bytes) -> bool:
        """Write a part of the response to `request`. Returns when more may follow; False if the client is gone."""
        if self.current is request and not self._is_closing:
            if self._owner.lines is not None:
                self._owner.lines.sent(request, data)
            self._write(data)
            await self._drained.wait()
        return self.current is request and not self._is_closing

    def finish(self, request: Request, data: bytes) -> None:
        """Write the rest of the response to `request` and start the next request."""
        if self.current is not request or self._is_closing:
            return
        self._write(data)
        self.current = None
        self.since = self._owner.now()
        if (lines := self._owner.lines) is not None:
            lines.sent(request, data)
            lines.ended(request)
        self._release(len(request.body))
        if not request.is_kept_alive or self._owner.is_stopping:
            self._close(linger=self._has_begun)
        elif self.ready:
            self._next()
        elif self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()

    def _write(self, data: bytes) -> None:
        self.transport.write(data)
        if left := self.unread_bytes:
            self._unread.on_write(len(data), left, self._owner.now())
            self._owner.answer_unread(self)

    def abandon(self) -> None:
        """Abort because the response cannot be completed: the client must not mistake a part for the whole."""
        self.transport.abort()

    def refuse(self, refusal: Refusal) -> None:
        """Send the refusal and close. In the middle of a response, only close."""
        if self.current is not None or refusal.status == 0:
            self.transport.abort()
            return
        self.transport.write(refusal.answer())
        if self._owner.lines is not None:
            self._owner.lines.refused(refusal.status)
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """Close. `linger`: the client may still be sending; an immediate close would reset the connection, and the
        client might lose the response.
        """
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
