"""The gateway between the event loop and Django: runs a request as a WSGI call in a thread and writes its response."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from config.server.answers import http_date
from config.server.connections import Connections
from config.server.request import Request
from integrations.foundation import request_id

logger = logging.getLogger("hookdesk.web")

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
#: Responses up to this many bytes are written in one piece.
_ONE_PIECE = 256 * 1024
_BODYLESS = ("204", "304")
_LAST_CHUNK = b"0\r\n\r\n"
_SERVER_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class ClientGone(Exception):
    """The client has gone away."""


def environ_of(request: Request, base: dict[str, Any]) -> dict[str, Any]:
    """Return the environ of PEP 3333. Excludes headers with underscores, so that `X_Hub_Store` cannot pass for
    `X-Hub-Store`.

    Spiffy Stores sends headers with underscores; `hookdesk.underscored` has them for code that asks for them.
    """
    target = request.target
    if not target.startswith(b"/") and b"://" in target:
        # The absolute form is meant for proxies, but every server must accept it.
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    path, _, query = target.partition(b"?")
    environ = {
        **base,
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": target.decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": request.connection.address,
        "REMOTE_PORT": str(request.connection.port),
        "CONTENT_LENGTH": str(request.content_length),
        "wsgi.input": io.BytesIO(request.body),
    }
    for name, value in request.headers:
        if name == b"content-type":
            environ["CONTENT_TYPE"] = value.decode("latin-1")
        elif b"_" not in name and name not in (b"content-length", b"transfer-encoding"):
            key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
            text = value.decode("latin-1")
            joint = "; " if name == b"cookie" else ","
            environ[key] = f"{environ[key]}{joint}{text}" if key in environ else text
        elif b"_" in name:
            environ.setdefault("hookdesk.underscored", []).append((name.decode("latin-1"), value.decode("latin-1")))
    return environ


class Gateway:
    """`respond(request)` runs the application in the calling thread and writes its response."""

    def __init__(self, application: Application, connections: Connections, *, host: str, port: int) -> None:
        self._application = application
        self._connections = connections
        self._base = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }

    def respond(self, request: Request) -> None:
        """Never raises: the thread must survive for the next request."""
        if request.connection not in self._connections.open:
            return
        writer = _ResponseWriter(request, self._connections)
        request_id.set_current(request.id or None)
        try:
            body = self._application(environ_of(request, self._base), writer.start)
            try:
                writer.send(body)
            finally:
                if close := getattr(body, "close", None):
                    close()
        except ClientGone:
            self._call(request.connection.abandon)
        except BaseException:
            if self._connections.loop.is_closed():
                return  # The process is ending.
            logger.exception("the application failed at %s %s", request.method, request.path.decode("latin-1"))
            if writer.is_begun:
                self._call(request.connection.abandon)
            else:
                request.is_kept_alive = False
                self._call(request.connection.finish, request, _SERVER_ERROR)
        finally:
            request_id.set_current(None)

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        with suppress(RuntimeError):  # closed: the process is ending
            self._connections.loop.call_soon_threadsafe(function, *arguments)


class _ResponseWriter:
    """Writes one response."""

    def __init__(self, request: Request, connections: Connections) -> None:
        self._request = request
        self._connections = connections
        self._loop = connections.loop
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self.is_begun = False

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info is not None and self.is_begun:
            raise exc_info[1].with_traceback(exc_info[2])
        self._status, self._headers = status, headers
        if self._request.on_response_start is not None:
            self._request.on_response_start(status, headers)
        return self._write_by_callable

    def _write_by_callable(self, data: bytes) -> None:
        raise NotImplementedError("Return the body; PEP 3333's write() is for frameworks of before it.")

    def send(self, body: Iterable[bytes]) -> None:
        has_body = self._request.method != "HEAD" and not self._status.startswith(_BODYLESS)
        pieces: list[bytes] = []
        size = 0
        iterator = iter(body)
        for piece in iterator:
            pieces.append(piece)
            size += len(piece)
            if size > _ONE_PIECE or getattr(body, "streaming", False):
                self._stream(pieces, iterator, has_body=has_body)
                return
        whole = b"".join(pieces)
        head = self._head(f"Content-Length: {len(whole)}\r\n")
        self.is_begun = True
        data = head + whole if has_body else head
        self._loop.call_soon_threadsafe(self._request.connection.finish, self._request, data)

    def _stream(self, pieces: list[bytes], rest: Iterable[bytes], *, has_body: bool) -> None:
        is_chunked = False
        framing = ""
        if not self._has("content-length"):
            # HTTP/1.0 has no chunks: the end of the connection is the end of the response.
            is_chunked = self._request.version == "1.1"
            self._request.is_kept_alive = self._request.is_kept_alive and is_chunked
            framing = "Transfer-Encoding: chunked\r\n" if is_chunked else ""
        head = self._head(framing)
        self.is_begun = True
        connection = self._request.connection
        if not has_body:
            self._loop.call_soon_threadsafe(connection.finish, self._request, head)
            return
        self._write(head + _framed(b"".join(pieces), is_chunked=is_chunked))
        for piece in rest:
            if piece:
                self._write(_framed(piece, is_chunked=is_chunked))
        self._loop.call_soon_threadsafe(connection.finish, self._request, _LAST_CHUNK if is_chunked else b"")

    def _write(self, data: bytes) -> None:
        """Write, and wait until the client has read enough for more. The connection's deadline bounds the wait."""
        written = asyncio.run_coroutine_threadsafe(self._request.connection.write(self._request, data), self._loop)
        if not written.result():
            raise ClientGone

    def _has(self, name: str) -> bool:
        return any(key.lower() == name for key, _ in self._headers)

    def _head(self, framing: str) -> bytes:
        if self._has("content-length") or self._status.startswith(_BODYLESS):
            framing = ""
        lines = [f"HTTP/1.1 {self._status}\r\nDate: {http_date().decode()}\r\n", framing]
        lines += [f"{name}: {value}\r\n" for name, value in self._headers]
        if not self._request.is_kept_alive or self._connections.is_stopping:
            lines.append("Connection: close\r\n")
        elif self._request.version == "1.0":
            lines.append("Connection: keep-alive\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1")


def _framed(data: bytes, *, is_chunked: bool) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if is_chunked and data else data
