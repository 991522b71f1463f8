"""A scriptable HTTP server on 127.0.0.1 with a ledger of every byte it received.

It uses raw sockets, so that it can misbehave in ways that no HTTP library allows: `receiver.script(hang())`. Behaviours
are used in order; the last one repeats. The ledger can be a file that is fsynced before the response is sent, which
makes it an oracle that survives the death of either side.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import ssl
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

REASONS = {200: "OK", 202: "Accepted", 204: "No Content", 302: "Found", 410: "Gone", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Received:
    """One request as it came in. `raw` are its exact bytes, `at` is in unix seconds."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes
    connection: int
    at: float

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Exchange:
    """What a behaviour works with: the request and the connection."""

    request: Received
    connection: socket.socket
    stopping: threading.Event

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def wait(self, seconds: float) -> None:
        """Waits, but not past the end of the server."""
        if self.stopping.wait(seconds):
            raise ConnectionAbortedError("the server stops")


#: Answers a request; True keeps the connection open for another.
Behaviour = Callable[[Exchange], bool]


@dataclass
class Receiver:
    """Use as a context manager. `tls` makes it an HTTPS server."""

    ledger_file: Path | None = None
    tls: ssl.SSLContext | None = None
    family: socket.AddressFamily = socket.AF_INET
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    bytes_received: int = 0
    _behaviours: dict[str | None, list[Behaviour]] = field(default_factory=dict)

    def __enter__(self) -> Receiver:
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        host = "::1" if self.family == socket.AF_INET6 else "127.0.0.1"
        self._server = socket.create_server((host, 0), family=self.family, backlog=1024)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stopping.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._changed:
            still_open = list(self._open)
        for connection in still_open:
            _close_quietly(connection)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """The URL of `path`, under the name `host`."""
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def script(self, *behaviours: Behaviour, path: str | None = None) -> None:
        """How the next requests (to `path`, or to any other path) are answered."""
        self._behaviours[path] = list(behaviours)

    def wait_for(self, count: int, timeout: float = 5.0) -> list[Received]:
        """The requests, once there are at least `count`; fails the test if they do not come in time."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, timeout), (
                f"{len(self.requests)} requests came, {count} were expected"
            )
        return list(self.requests)

    def wait_until_closed(self, timeout: float = 5.0) -> None:
        """Waits until no connection is open; fails the test if one stays."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._open, timeout), "a connection is still open"

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                self._open.add(connection)
                number = self.connections
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        plain = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            pending = b""
            while True:
                request, pending = self._read_request(connection, pending, number)
                if request is None:
                    return
                behaviour = self._record(request)
                if not behaviour(Exchange(request, connection, self._stopping)):
                    return
        except OSError:
            pass
        finally:
            _close_quietly(connection)
            with self._changed:
                self._open.discard(plain)
                self._changed.notify_all()

    def _read_request(self, connection: socket.socket, data: bytes, number: int) -> tuple[Received | None, bytes]:
        while b"\r\n\r\n" not in data:
            more = self._receive(connection)
            if not more:
                return None, b""
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        length = int(next((value for name, value in headers if name.lower() == "content-length"), "0"))
        while len(rest) < length:
            more = self._receive(connection)
            if not more:
                return None, b""
            rest += more
        method, target, _ = first.split(" ", 2)
        body = rest[:length]
        raw = head + b"\r\n\r\n" + body
        return Received(method, target, headers, body, raw, number, time.time()), rest[length:]

    def _receive(self, connection: socket.socket) -> bytes:
        data = connection.recv(65536)
        with self._changed:
            self.bytes_received += len(data)
        return data

    def _record(self, request: Received) -> Behaviour:
        with self._changed:
            if self.ledger_file is not None:
                _append(self.ledger_file, request)
            self.requests.append(request)
            self._changed.notify_all()
            key = request.target if request.target in self._behaviours else None
            waiting = self._behaviours.get(key) or [answer()]
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]


def read_ledger(path: Path) -> list[dict[str, object]]:
    """The requests in a ledger file; a last line that was cut off by a crash is left out."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def answer(
    status: int = 200, body: bytes = b"ok", headers: dict[str, str] | None = None, *, delay: float = 0.0
) -> Behaviour:
    """A proper answer after `delay` seconds."""

    def behave(exchange: Exchange) -> bool:
        if delay:
            exchange.wait(delay)
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        reason = REASONS.get(status, "Status")
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        exchange.send(head.encode("latin-1") + body)
        return True

    return behave


def redirect(location: str, status: int = 302) -> Behaviour:
    """A redirect to `location`."""
    return answer(status, b"", {"Location": location})


def raw_answer(data: bytes, *, keep_open: bool = False) -> Behaviour:
    """Exactly these bytes, then the connection is closed, unless `keep_open`."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(data)
        return keep_open

    return behave


def hang(after: bytes = b"") -> Behaviour:
    """Sends `after` and then nothing more, until the other side goes away."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(after)
        while exchange.connection.recv(65536):
            pass
        return False

    return behave


def hang_after_headers() -> Behaviour:
    """Promises a body and never sends it."""
    return hang(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")


def drip(start: bytes, endless: bytes, pause: float = 0.05) -> Behaviour:
    """Sends `start`, then `endless` a byte at a time for ever (slow loris)."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(start)
        while True:
            for byte in endless:
                exchange.send(bytes((byte,)))
                exchange.wait(pause)

    return behave


def slow_header(pause: float = 0.05) -> Behaviour:
    """A header that never ends, byte by byte."""
    return drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a", pause)


def slow_body(pause: float = 0.05) -> Behaviour:
    """A body that comes byte by byte."""
    return drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"a", pause)


def flood(start: bytes, endless: bytes) -> Behaviour:
    """Sends `start`, then `endless` as fast as it goes, for ever."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(start)
        block = endless * max(1, 65536 // len(endless))
        while not exchange.stopping.is_set():
            exchange.send(block)
        return False

    return behave


def endless_body() -> Behaviour:
    """A chunked body without an end."""
    return flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"z" * 4096 + b"\r\n")


def ten_gigabytes() -> Behaviour:
    """A body announced and sent as 10 GB."""
    return flood(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", b"z" * 65536)


def endless_continue() -> Behaviour:
    """`100 Continue` for ever."""
    return flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n")


def huge_header() -> Behaviour:
    """One header without an end."""
    return flood(b"HTTP/1.1 200 OK\r\nX-Huge: ", b"a" * 1024)


def many_headers() -> Behaviour:
    """Header after header."""
    return flood(b"HTTP/1.1 200 OK\r\n", b"X-Many: " + b"a" * 1000 + b"\r\n")


def endless_chunk_line() -> Behaviour:
    """A chunk extension without an end."""
    return flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 1024)


def gzip_bomb(megabytes: int = 10, encoding: str = "gzip", layers: int = 1) -> Behaviour:
    """Zeros, compressed `layers` times."""
    body = bytes(megabytes * 1024 * 1024)
    for _ in range(layers):
        body = gzip.compress(body)
    return answer(200, body, {"Content-Encoding": encoding})


def reset(after: bytes = b"") -> Behaviour:
    """Sends `after` and resets the connection."""

    def behave(exchange: Exchange) -> bool:
        exchange.send(after)
        if after:
            exchange.wait(0.05)  # a reset overtakes bytes that were not read yet
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return behave


def close_silently() -> Behaviour:
    """Reads the request and closes without a word."""
    return lambda exchange: False


def _append(path: Path, request: Received) -> None:
    line = {
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "raw": b64encode(request.raw).decode(),
        "body": request.body.decode("latin-1"),
        "at": request.at,
    }
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _close_quietly(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()
