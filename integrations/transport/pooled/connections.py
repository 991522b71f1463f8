"""urllib3 connections that connect only to checked addresses and send requests unchanged.

The connection keeps the host name of the URL, so the Host header, SNI and certificate verification use that name; only
the address the socket connects to is replaced.
"""

from __future__ import annotations

import http.client
import io
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from integrations.transport.base import Headers, TransportError
from integrations.transport.deadlines import Attempt
from integrations.transport.guard.addresses import AddressPolicy, Target, describe_refusal
from integrations.transport.guard.dns import Resolver, permitted_addresses
from integrations.transport.http_message import HEAD_CUT_OFF, HEAD_LIMIT, HEAD_TOO_LONG, INTERIM_LIMIT, ONLY_INTERIM

# urllib3 logs URLs even at level WARNING, and a URL may contain a secret.
logging.getLogger("urllib3").setLevel(logging.ERROR)

#: Target and attempt of the request that this thread is sending.
_current = threading.local()


class WireHeaders:
    """Ordered pairs of headers, with the request target.

    urllib3 would re-encode the target and merge headers of the same name; this class passes both through unchanged.
    """

    __slots__ = ("pairs", "target")

    def __init__(self, pairs: Headers, target: str) -> None:
        self.pairs = pairs
        self.target = target

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.pairs)

    def __contains__(self, name: str) -> bool:
        wanted = name.lower()
        return any(key.lower() == wanted for key, _ in self.pairs)

    def items(self) -> Headers:
        return self.pairs

    def copy(self) -> WireHeaders:
        return self

    def update(self, _proxy_headers: object) -> None:
        """Do nothing: there is never a proxy."""


class OpenSockets:
    """Counts a transport's open sockets; above `limit`, connections are closed instead of kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        with self._lock:
            self.count += number


class BoundedResponse(http.client.HTTPResponse):
    """A response with a limit on interim responses and on header bytes."""

    def begin(self) -> None:
        if self.headers is not None:
            return
        plain = self.fp
        self.fp = _HeadReader(plain)
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = plain

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(INTERIM_LIMIT):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                return version, status, reason
            while self.fp.readline(HEAD_LIMIT) not in (b"\r\n", b"\n", b""):
                pass
        raise TransportError(TransportError.PROTOCOL, ONLY_INTERIM)


class _HeadReader:
    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader
        self._left = HEAD_LIMIT

    def readline(self, limit: int = -1) -> bytes:
        is_first = self._left == HEAD_LIMIT
        line = self._reader.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise TransportError(TransportError.PROTOCOL, HEAD_TOO_LONG)
        if not line.endswith(b"\n") and not is_first:  # http.client would treat it as the end of the headers
            raise TransportError(TransportError.CONNECTION, HEAD_CUT_OFF)
        return line

    def close(self) -> None:
        self._reader.close()

    def flush(self) -> None:
        self._reader.flush()


class _Guarded(HTTPConnection):
    """Common behaviour of HTTP and HTTPS connections."""

    response_class = BoundedResponse

    def __init__(self, *args: Any, guard: Guard, **options: Any) -> None:
        super().__init__(*args, **options)
        self._guard = guard
        self._outgoing: list[bytes] | None = None
        self._is_counted = False

    def _new_conn(self) -> socket.socket:
        connected = self._guard.open(_current.target, _current.attempt)
        self._guard.open_sockets.add(1)
        self._is_counted = True
        return connected

    def close(self) -> None:
        if self._is_counted:
            self._is_counted = False
            self._guard.open_sockets.add(-1)
        super().close()

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Send headers and body in one system call, and in one packet if they fit."""
        if self.sock is not None:
            _current.attempt.attach(self.sock)
        self._outgoing = []
        try:
            super().request(method, headers.target, body=body, headers=headers, **options)
            data = b"".join(self._outgoing)
        finally:
            self._outgoing = None
        self.send(data)

    def send(self, data: Any) -> None:
        if self._outgoing is None:
            super().send(data)
        else:
            self._outgoing.append(data)


class GuardedHTTPConnection(_Guarded):
    """An HTTP connection to a checked address."""


class GuardedHTTPSConnection(_Guarded, HTTPSConnection):
    """An HTTPS connection to a checked address; the certificate must match the host name of the URL."""


class _ReturnsToPool:
    """Returns a connection to the pool only if the deadline has not shut it down and the socket limit allows it."""

    conn_kw: dict[str, Any]

    def _put_conn(self, conn: Any) -> None:
        attempt: Attempt | None = getattr(_current, "attempt", None)
        if conn is not None:
            is_usable = attempt is None or attempt.detach()
            sockets = self.conn_kw["guard"].open_sockets
            if not is_usable or sockets.count > sockets.limit:
                conn.close()
        super()._put_conn(conn)  # type: ignore[misc]


class GuardedHTTPPool(_ReturnsToPool, HTTPConnectionPool):
    ConnectionCls = GuardedHTTPConnection


class GuardedHTTPSPool(_ReturnsToPool, HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPSConnection


class Guard:
    """Resolves names, checks addresses and connects. `open_sockets` counts the sockets it has opened."""

    def __init__(self, policy: AddressPolicy, resolver: Resolver, open_sockets: OpenSockets) -> None:
        self.policy = policy
        self.open_sockets = open_sockets
        self._resolver = resolver

    def open(self, target: Target, attempt: Attempt) -> socket.socket:
        """Return a socket connected to a permitted address of `target`; raises TransportError."""
        if target.address is not None:
            addresses: tuple[str, ...] = (target.address,)
        else:
            addresses = self._resolver.resolve(target.host, attempt.remaining())
        addresses = permitted_addresses(target, addresses, self.policy)
        problem: OSError | None = None
        for position, address in enumerate(addresses):
            # Each address gets a share of the time, so that an unreachable one does not use up all of it.
            share = attempt.remaining() / (len(addresses) - position)
            try:
                return self._connect(address, target.port, share, attempt)
            except OSError as error:
                problem = error
            if attempt.is_expired or time.monotonic() >= attempt.deadline:
                break
        raise _connect_error(target, problem)

    def _connect(self, address: str, port: int, timeout: float, attempt: Attempt) -> socket.socket:
        if not self.policy.permits(address):
            raise TransportError(TransportError.REFUSED_ADDRESS, describe_refusal(address))
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(timeout)
            attempt.attach(connection)
            connection.connect((address, port))
            connection.settimeout(attempt.remaining())
        except BaseException:
            attempt.detach()
            connection.close()
            raise
        return connection


def use_for(target: Target, attempt: Attempt) -> None:
    """Set the target and attempt for the next request of this thread."""
    _current.target, _current.attempt = target, attempt


def _connect_error(target: Target, problem: OSError | None) -> TransportError:
    where = f"{target.host}:{target.port}"
    if isinstance(problem, TimeoutError):
        return TransportError(TransportError.TIMEOUT, f"{where} did not accept the connection in time.")
    reason = getattr(problem, "strerror", None) or problem
    return TransportError(TransportError.CONNECTION, f"No connection to {where}: {reason}.")
