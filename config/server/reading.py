"""Reads the requests of one HTTP/1.1 connection, within its limits.

`httptools` (llhttp, the parser of Node.js) parses the bytes and calls the `on_…` methods.
"""

from __future__ import annotations

from typing import Protocol

from httptools import HttpParserUpgrade, HttpRequestParser

from config.server.limits import Limits
from config.server.request import Headers, Refusal, framing_of, head_without_upgrade

#: Most bytes per read, and therefore the most by which a limit can be exceeded before it is noticed.
_READ_BYTES = 256 * 1024


class Buffers(Protocol):
    """What a reader needs to know about all connections."""

    limits: Limits
    #: Bytes of bodies in memory, of all connections.
    buffered: int

    def now(self) -> float: ...


class RequestReader:
    """The request that is arriving. A subclass implements the last three methods."""

    __slots__ = (
        "_body", "_buffers", "_has_begun", "_head_size", "_headers", "_is_body_refused", "_is_kept_alive",
        "_is_upgrading", "_parser", "_raw_size", "_size", "_target", "held", "since",
    )  # fmt: skip

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self._parser = HttpRequestParser(self)
        #: When the current wait began: for a request, its headers, its body, or the end of the connection.
        self.since = 0.0
        #: Bytes of request bodies that this connection has in memory.
        self.held = 0
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: Headers = []
        self._body: bytearray | None = None
        self._size = self._head_size = self._raw_size = 0
        self._has_begun = self._is_body_refused = self._is_upgrading = False
        self._is_kept_alive = True

    def feed(self, data: bytes) -> None:
        """Parse more data. Raises Refusal, or HttpParserError with the error of a callback as its context."""
        self._raw_size += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._continue_without_upgrade(data[upgrade.args[0] :])
        if self._has_begun and self._body is None and self._raw_size > self._buffers.limits.head_bytes + _READ_BYTES:
            raise self._too_large_head()

    def _continue_without_upgrade(self, rest: bytes) -> None:
        """Ignore the upgrade and answer in HTTP/1.1, as a server may that does not support the requested protocol."""
        method, version = self._parser.get_method(), self._parser.get_http_version()
        if method == b"CONNECT":
            raise Refusal(405, "This is no proxy.")
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(head_without_upgrade(method, self._target, version, self._headers) + rest)

    def _too_large_head(self) -> Refusal:
        return Refusal(431, f"The headers are larger than {self._buffers.limits.head_bytes} bytes.")

    # --- callbacks of httptools --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._reset()
        self._has_begun = True
        self.since = self._buffers.now()

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > self._buffers.limits.target_bytes:
            raise Refusal(414, f"The address is longer than {self._buffers.limits.target_bytes} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._body is not None:
            return  # A trailer field: ignored, since the request has already been interpreted.
        self._headers.append((name.lower(), value))
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self._buffers.limits.head_bytes:
            raise self._too_large_head()
        if len(self._headers) > self._buffers.limits.header_count:
            raise Refusal(431, f"The request has more than {self._buffers.limits.header_count} headers.")

    def on_headers_complete(self) -> None:
        if self._parser.should_upgrade():
            self._is_upgrading = True
            return
        framing = framing_of(self._headers, self._parser.get_http_version())
        self._is_kept_alive = bool(self._parser.should_keep_alive())
        self._body = bytearray()
        self.since = self._buffers.now()
        if framing.length > self._buffers.limits.body_bytes:
            self._refuse_body(framing.length)
        elif framing.expects_continue:
            self._send_continue()

    def on_body(self, body: bytes) -> None:
        if self._is_body_refused:
            return
        assert self._body is not None
        self._body += body  # into one buffer: many small pieces would need many times the memory
        self._size += len(body)
        self.held += len(body)
        self._buffers.buffered += len(body)
        if self._size > self._buffers.limits.body_bytes:
            self._release(self._size)
            self._refuse_body(self._size)
        elif self._buffers.buffered > self._buffers.limits.buffered_bytes:
            self._on_buffer_full()

    def on_message_complete(self) -> None:
        if not self._is_upgrading and not self._is_body_refused:
            self._hand_over(bytes(self._body or b""), self._size)

    def _refuse_body(self, announced: int) -> None:
        """Refuse a body that is too large: the application gets the request without it and reports the error itself."""
        self._is_body_refused = True
        self._is_kept_alive = False
        self._hand_over(b"", announced)

    def _release(self, size: int) -> None:
        self.held -= size
        self._buffers.buffered -= size

    # --- implemented by the connection -------------------------------------------------------------------

    def _hand_over(self, body: bytes, announced: int) -> None:
        """Take the complete request. `announced`: the size of its body, which is left out if it is too large."""
        raise NotImplementedError

    def _send_continue(self) -> None:
        """Tell the client to send the body."""
        raise NotImplementedError

    def _on_buffer_full(self) -> None:
        """Free memory: the bodies of all connections exceed the limit. Raises Refusal if this one must yield."""
        raise NotImplementedError
