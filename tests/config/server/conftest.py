"""The web server's event loop in a thread of the test, with an application that the test gives it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import uvloop

from config.server.connections import Connections
from config.server.lanes import Lanes
from config.server.limits import Limits
from config.server.wsgi import Application, Gateway

Start = Callable[..., object]


def echo(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Answers what it was sent."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']} ".encode(), body]


class Client:
    """A raw connection: sends bytes, reads whole answers."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._buffer = b""

    def send(self, data: bytes) -> Client:
        self.socket.sendall(data)
        return self

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case), body of the next answer, which has a Content-Length."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return int(first.split()[1]), headers, body

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"closed after {self._buffer!r}"
        self._buffer += data

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        data = self._buffer
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(65536):
                data += piece
        self._buffer = b""
        return data

    def close(self) -> None:
        self.socket.close()


class Server:
    """`with Server(application, limits) as server: server.client()`."""

    def __init__(
        self, application: Application = echo, limits: Limits | None = None, threads: int = 4, send_buffer: int = 0
    ) -> None:
        self._application = application
        self._limits = limits or Limits()
        self._threads = threads
        #: Bytes that the kernel takes for a client that does not read; 0: as many as it likes.
        self._send_buffer = send_buffer
        self._clients: list[Client] = []

    def __enter__(self) -> Server:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        if self._send_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        self.port = listener.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listener, ready), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        self._loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self.connections = Connections(self._loop, self._limits, lambda request: lanes.admit(request))
        gateway = Gateway(self._application, self.connections, host="127.0.0.1", port=self.port)
        lanes = Lanes(gateway.respond, self.connections, threads=self._threads)
        self.connections.listen([listener])
        ready.set()
        self._loop.run_forever()
        self._loop.close()

    def client(self) -> Client:
        client = Client(self.port)
        self._clients.append(client)
        return client

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """In the loop's thread; returns what it returns."""
        done: list[Any] = []
        event = threading.Event()

        def run() -> None:
            try:
                done.append(function(*arguments))
            finally:
                event.set()

        self._loop.call_soon_threadsafe(run)
        assert event.wait(10)
        return done[0]

    def eventually(self, condition: Callable[[], object], why: str) -> None:
        until = time.monotonic() + 20
        while not self.call(condition):
            assert time.monotonic() < until, why
            time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        self.call(self.connections.stop)
        self.call(self.connections.abort)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
