"""All connections of a web process: accepts them, enforces their deadlines, and closes some when there are too many."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterable

from config.observability.request_lines import RequestLines
from config.server.http import Connection
from config.server.limits import Limits
from config.server.request import Refusal, Request

logger = logging.getLogger("hookdesk.web")

#: How often deadlines are checked, in seconds.
SWEEP_SECONDS = 1.0
ACCEPTED_AT_ONCE = 16
#: Seconds until the next accept if there is no capacity or no file descriptor for another connection.
_ACCEPT_RETRY_SECONDS = 0.1


class Connections:
    """`handle(request)` is called in the event loop for each complete request, one at a time per connection.

    The response is sent by `request.connection.finish(request, bytes)`, in the event loop, at any later time. `lines`
    logs requests, if the log has a line per request.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        handle: Callable[[Request], None],
        lines: RequestLines | None = None,
    ) -> None:
        self.loop = loop
        self.lines = lines
        self.limits = limits
        self._handle = handle
        self.open: set[Connection] = set()
        #: Connections with an incomplete request (or none yet, if they are new), oldest first.
        self.unfinished: dict[Connection, None] = {}
        self._unfinished_of: Counter[str] = Counter()
        #: Bytes of request bodies in memory.
        self.buffered = 0
        #: Connections with unsent response data at the last check.
        self._slow: set[Connection] = set()
        self.is_stopping = False
        self._listeners: list[socket.socket] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._arriving: set[asyncio.Task[object]] = set()

    def now(self) -> float:
        return self.loop.time()

    # --- accepting connections ---------------------------------------------------------------------------

    def listen(self, listeners: Iterable[socket.socket]) -> None:
        for listener in listeners:
            listener.setblocking(False)
            self._listeners.append(listener)
            self.loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accept a few at a time, so that processes sharing the listener also share the connections."""
        for _ in range(ACCEPTED_AT_ONCE):
            is_full = len(self.open) + len(self._arriving) >= self.limits.connections
            victim = self._longest_idle() if is_full else None
            if is_full and victim is None:
                self._pause(listener)
                return
            try:
                connected, _address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                logger.warning("cannot accept connections: %s", error.strerror)
                self._pause(listener)
                return
            if victim is not None:
                victim.transport.abort()
                self.open.discard(victim)
            connected.setblocking(False)
            arrival = self.loop.create_task(self.loop.connect_accepted_socket(lambda: Connection(self), connected))
            self._arriving.add(arrival)
            arrival.add_done_callback(self._arriving.discard)

    def _pause(self, listener: socket.socket) -> None:
        """Leave new connections in the kernel's backlog for a moment."""
        self.loop.remove_reader(listener)
        self.loop.call_later(_ACCEPT_RETRY_SECONDS, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if not self.is_stopping:
            self.loop.add_reader(listener, self._accept, listener)

    def _longest_idle(self) -> Connection | None:
        """Return the connection to close: an idle one, else one with an incomplete request; None if all are busy."""
        idle = [connection for connection in self.open if connection.is_idle and connection not in self.unfinished]
        others = [connection for connection in self.open if connection.current is None]
        return min(idle or others, key=lambda connection: connection.since, default=None)

    # --- callbacks of the connections --------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        self.open.add(connection)
        self.mark_incomplete(connection)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)

    def closed(self, connection: Connection) -> None:
        self.open.discard(connection)
        self._slow.discard(connection)
        self._mark_complete(connection)
        if self.lines is not None and connection.current is not None:
            self.lines.ended(connection.current)

    def mark_incomplete(self, connection: Connection) -> None:
        """Note that part of a request is missing. The number of incomplete requests per address is limited."""
        if connection in self.unfinished:
            return
        self.unfinished[connection] = None
        self._unfinished_of[connection.address] += 1
        if self._unfinished_of[connection.address] > self.limits.unfinished_per_address:
            oldest = next(other for other in self.unfinished if other.address == connection.address)
            self._mark_complete(oldest)
            oldest.refuse(Refusal(503, "Too many incomplete requests from this address."))

    def is_incomplete(self, connection: Connection) -> bool:
        return connection in self.unfinished

    def _mark_complete(self, connection: Connection) -> None:
        if connection in self.unfinished:
            del self.unfinished[connection]
            self._unfinished_of[connection.address] -= 1
            if not self._unfinished_of[connection.address]:
                del self._unfinished_of[connection.address]

    def request_ready(self, connection: Connection, request: Request) -> None:
        self._mark_complete(connection)
        if self.lines is not None:
            self.lines.begun(request)
        self._handle(request)

    def answer_unread(self, connection: Connection) -> None:
        """Note a client that reads its response slowly. Close the slowest if too much response data is in memory."""
        self._slow.add(connection)
        excess = self.unread() - self.limits.unread_bytes
        while excess > 0 and len(self._slow) > 1:
            victim = min(self._slow, key=lambda other: other.unread_since)
            excess -= victim.unread_bytes
            self._slow.discard(victim)
            victim.abandon()

    def unread(self) -> int:
        """Return the bytes of responses that wait for their clients."""
        self._slow = {connection for connection in self._slow if connection.unread_bytes}
        return sum(connection.unread_bytes for connection in self._slow)

    def shed_body(self, connection: Connection) -> None:
        """Refuse the request whose body has been arriving the longest: bodies use too much memory.

        Raises Refusal if that is the caller's.
        """
        holders = [other for other in self.unfinished if other.held]
        victim = min(holders, key=lambda other: other.since, default=connection)
        refusal = Refusal(503, "Too many large requests at the moment. Try again.")
        if victim is connection:
            raise refusal
        victim.refuse(refusal)

    # --- deadlines and shutdown --------------------------------------------------------------------------

    def _sweep(self) -> None:
        now = self.now()
        for connection in list(self.open):
            if refusal := connection.overdue(now):
                connection.refuse(refusal)
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep) if self.open else None

    @property
    def is_quiet(self) -> bool:
        """Whether no request is being answered."""
        return all(connection.current is None for connection in self.open)

    def stop(self) -> None:
        """Stop accepting connections; requests being answered may finish."""
        self.is_stopping = True
        for listener in self._listeners:
            self.loop.remove_reader(listener)
            listener.close()
        for connection in list(self.open):
            connection.close_if_idle()

    def abort(self) -> None:
        for connection in list(self.open):
            connection.transport.abort()
