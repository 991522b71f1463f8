"""A curl handle for one request at a time: its options, its callbacks and the response it receives."""

from __future__ import annotations

import socket
import time
from collections.abc import Hashable
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import pycurl

from integrations.transport import http_message
from integrations.transport.base import RESPONSE_BODY_LIMIT, Headers, Response, Result, TransportError, transport_error
from integrations.transport.curl.sockets import CurlSockets
from integrations.transport.guard.addresses import AddressPolicy
from integrations.transport.http_message import HEAD_LIMIT, INTERIM_LIMIT, Prepared, printable

_TLS_ERRORS = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_INVALIDCERTSTATUS,
        pycurl.E_SSL_PINNEDPUBKEYNOTMATCH,
        pycurl.E_SSL_CACERT_BADFILE,
    }
)
#: CURLE_TOO_LARGE, for which pycurl has no constant: one of curl's own limits was exceeded.
_TOO_LARGE = 100
_PROTOCOL_ERRORS = frozenset(
    {pycurl.E_UNSUPPORTED_PROTOCOL, pycurl.E_FTP_WEIRD_SERVER_REPLY, pycurl.E_BAD_CONTENT_ENCODING, _TOO_LARGE}
)
#: curl has no separate code for a response with invalid chunks or headers.
_PROTOCOL_WORDS = ("chunk", "header", "HTTP/0.9", "hex")
_CONTINUE, _ABORT = 0, 1  # PREREQFUNC_OK, PREREQFUNC_ABORT
_EMPTY_LINES = (b"\r\n", b"\n")
_RESEND = "The kept connection broke before an answer came. It is not known whether the request arrived."


class KeptConnections:
    """Maps connections to sockets, to find out whether the receiver has closed a kept connection.

    Keys are (address, port, local port).
    """

    def __init__(self, sockets: CurlSockets) -> None:
        self._sockets = sockets
        self._descriptors: dict[tuple[str, int, int], int] = {}
        self._keys: dict[int, tuple[str, int, int]] = {}

    def add(self, opened: list[int], key: tuple[str, int, int]) -> None:
        """Find the socket of the connection `key` among `opened`."""
        for descriptor in opened:
            borrowed = socket.socket(fileno=descriptor)
            try:
                if borrowed.getsockname()[1] == key[2]:
                    self._descriptors.pop(self._keys.get(descriptor, key), None)
                    self._descriptors[key], self._keys[descriptor] = descriptor, key
            except OSError:
                pass
            finally:
                borrowed.detach()

    def is_closed(self, key: tuple[str, int, int]) -> bool:
        """Return whether the receiver has closed the connection."""
        descriptor = self._descriptors.get(key)
        return descriptor is not None and self._sockets.is_closed(descriptor)

    def opened(self, descriptor: int) -> None:
        self._sockets.opened(descriptor)


class CurlHandle:
    """A reusable pycurl handle for one HTTP method. The callbacks run inside `socket_action`."""

    _key: Hashable
    _addresses: tuple[str, ...]

    def __init__(
        self, method: str, has_body: bool, policy: AddressPolicy, ca_file: str, connections: KeptConnections
    ) -> None:
        self.kind = (method, has_body)
        self.easy = pycurl.Curl()
        self.must_restart = False
        self._policy = policy
        self._connections = connections
        self._has_pins = False
        self._is_fresh = False
        self._clear()
        self._configure(method, has_body, ca_file)

    def start(self, key: Hashable, prepared: Prepared, addresses: tuple[str, ...], deadline: float) -> None:
        """Prepare the handle to send `prepared` to one of `addresses`, which have been checked."""
        self._clear()
        self._key, self._addresses, self._deadline = key, addresses, deadline
        easy, target = self.easy, prepared.target
        easy.setopt(pycurl.URL, f"{target.scheme}://{target.authority}/")
        easy.setopt(pycurl.REQUEST_TARGET, target.path)  # unchanged: in a URL, curl would turn %2f into %2F
        easy.setopt(pycurl.HTTPHEADER, _header_lines(prepared.headers))
        if prepared.body is not None:
            easy.setopt(pycurl.POSTFIELDS, prepared.body)
        if target.address is None:
            pins = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
            easy.setopt(pycurl.RESOLVE, [f"+{target.host}:{target.port}:{pins}"])
            self._has_pins = True
        elif self._has_pins:
            easy.setopt(pycurl.RESOLVE, [])
            self._has_pins = False
        self._set_fresh(False)
        self._set_deadline(self.started)

    def restart(self) -> None:
        """Prepare the handle to send the same request on a new connection: nothing had been sent."""
        self.must_restart = False
        self._set_fresh(True)
        self._set_deadline(time.monotonic())

    def result(self, code: int, message: str) -> Result:
        """Return the result. `code` (0: success) and `message` are curl's."""
        duration = time.monotonic() - self.started
        try:
            return Result(self._key, self._response(code, message), None, duration)
        except Exception as error:
            return Result(self._key, None, transport_error(error), duration)

    def close(self) -> None:
        self.easy.close()

    def _set_fresh(self, is_fresh: bool) -> None:
        if is_fresh != self._is_fresh:
            self.easy.setopt(pycurl.FRESH_CONNECT, int(is_fresh))
            self._is_fresh = is_fresh

    def _set_deadline(self, now: float) -> None:
        self.easy.setopt(pycurl.TIMEOUT_MS, max(1, int((self._deadline - now) * 1000)))

    def _clear(self) -> None:
        self._key = None
        self.started = time.monotonic()
        self._addresses = ()
        self._opened: list[int] = []
        self._deadline = 0.0
        self._error: TransportError | None = None
        self._head: list[bytes] = []
        self._head_bytes = 0
        self._is_head_complete = False
        self._interim = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._is_truncated = False
        self._is_sent = False

    def _configure(self, method: str, has_body: bool, ca_file: str) -> None:
        options: dict[int, Any] = {
            # Ignore the environment: no proxy, no .netrc, no cookies, no redirects, no other protocol.
            pycurl.PROXY: "",
            pycurl.NOPROXY: "*",
            pycurl.NETRC: pycurl.NETRC_IGNORED,
            pycurl.FOLLOWLOCATION: 0,
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.HTTP09_ALLOWED: 0,
            pycurl.HTTP_CONTENT_DECODING: 0,
            pycurl.SSL_VERIFYPEER: 1,
            pycurl.SSL_VERIFYHOST: 2,
            pycurl.SSLVERSION: pycurl.SSLVERSION_TLSv1_2,
            pycurl.CAINFO: ca_file,
            pycurl.NOSIGNAL: 1,
            pycurl.TCP_NODELAY: 1,
            # Thousands of handles are kept, and libcurl's default upload buffer is 64 KiB each.
            pycurl.UPLOAD_BUFFERSIZE: 16 * 1024,
            pycurl.BUFFERSIZE: 16 * 1024,
            pycurl.OPENSOCKETFUNCTION: self._open_socket,
            pycurl.SOCKOPTFUNCTION: self._note_socket,
            pycurl.PREREQFUNCTION: self._before_request,
            pycurl.HEADERFUNCTION: self._take_header,
            pycurl.WRITEFUNCTION: self._take_body,
        }
        if has_body:
            options[pycurl.POST] = 1
        elif method == "HEAD":
            options[pycurl.NOBODY] = 1
        if (method, has_body) not in (("GET", False), ("HEAD", False), ("POST", True)):
            options[pycurl.CUSTOMREQUEST] = method
        for option, value in options.items():
            self.easy.setopt(option, value)

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        """Open a socket only to an address that was checked for this request."""
        ip = address.addr[0]
        ip = str(ip_address(ip.decode() if isinstance(ip, bytes) else ip))
        if ip not in self._addresses or not self._policy.permits(ip):
            self._error = TransportError(TransportError.REFUSED_ADDRESS, f"{ip} is not an address that was checked.")
            return pycurl.SOCKET_BAD
        return socket.socket(address.family, address.socktype, address.protocol)

    def _note_socket(self, descriptor: int, _purpose: int) -> int:
        self._opened.append(descriptor)
        self._connections.opened(descriptor)
        return 0  # SOCKOPT_OK

    def _before_request(self, ip: str, _local: str, port: int, local_port: int) -> int:
        """Run when the connection is established and before anything is sent.

        A second call means that curl wants to resend because a kept connection failed. The receiver may have read the
        first request, so the transfer is aborted and the engine decides about a retry.
        """
        connection = (ip, port, local_port)
        if self._is_sent:
            self._error = TransportError(TransportError.CONNECTION, _RESEND)
        elif not self._policy.permits(ip):
            self._error = TransportError(TransportError.REFUSED_ADDRESS, f"{ip} is not an address that was checked.")
        elif self._opened:
            self._connections.add(self._opened, connection)
        elif self._connections.is_closed(connection):
            self.must_restart = True
            return _ABORT
        self._is_sent = True
        return _CONTINUE if self._error is None else _ABORT

    def _take_header(self, line: bytes) -> int | None:
        self._head_bytes += len(line)
        if line[:5] == b"HTTP/" and (self._is_head_complete or not self._head):
            self._interim += bool(self._head)
            self._head.clear()
            self._is_head_complete = False
        if line in _EMPTY_LINES:
            self._is_head_complete = True
        elif not self._is_head_complete:  # later lines are trailers
            self._head.append(line)
        if self._head_bytes <= HEAD_LIMIT and self._interim <= INTERIM_LIMIT:
            return None
        what = http_message.HEAD_TOO_LONG if self._interim <= INTERIM_LIMIT else http_message.ONLY_INTERIM
        self._error = TransportError(TransportError.PROTOCOL, what)
        return -1

    def _take_body(self, data: bytes) -> int | None:
        room = RESPONSE_BODY_LIMIT - self._body_bytes
        if len(data) <= room:
            self._body.append(data)
            self._body_bytes += len(data)
            return None
        self._body.append(data[:room])
        self._is_truncated = True
        return -1  # ends the transfer and closes the connection

    def _response(self, code: int, message: str) -> Response:
        if self._error is not None:
            raise self._error
        if code and not self._is_truncated:
            raise _classify(code, message)
        status = self.easy.getinfo(pycurl.RESPONSE_CODE)
        if not status or not self._head:
            raise TransportError(TransportError.PROTOCOL, "The response is not valid HTTP.")
        if not self._is_head_complete:
            raise TransportError(TransportError.CONNECTION, http_message.HEAD_CUT_OFF)
        return Response(status, _read_headers(self._head), b"".join(self._body), self._is_truncated)


def _header_lines(headers: Headers) -> list[bytes]:
    """Return header lines as curl expects them: `Name;` sends an empty value, `Name:` removes the header."""
    lines = [f"{name}: {value}" if value.strip(" \t") else f"{name};" for name, value in headers]
    lines += _suppressed(tuple([name for name, _ in headers]))
    return "\n".join(lines).encode("latin-1").split(b"\n")  # no value holds a line break


@lru_cache(maxsize=4096)
def _suppressed(names: tuple[str, ...]) -> list[str]:
    """Return the lines that suppress curl's default headers, except those in these names."""
    given = {name.lower() for name in names}
    return [f"{name}:" for name in ("User-Agent", "Content-Type", "Expect") if name.lower() not in given]


def _read_headers(lines: list[bytes]) -> Headers:
    parts = [line.decode("latin-1").partition(":") for line in lines[1:]]
    return tuple([(name, value.strip()) for name, colon, value in parts if colon])


def _classify(code: int, message: str) -> TransportError:
    message = printable(message).rstrip(".") or f"curl error {code}"
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return TransportError(TransportError.TIMEOUT, http_message.INCOMPLETE)
    if code in _TLS_ERRORS:
        return TransportError(TransportError.TLS, f"The TLS connection failed: {message}.")
    if code == pycurl.E_COULDNT_RESOLVE_HOST:
        return TransportError(TransportError.DNS, f"The name does not resolve: {message}.")
    if code == _TOO_LARGE:
        return TransportError(TransportError.PROTOCOL, "A header of the response is too long.")
    if code in _PROTOCOL_ERRORS or (code == pycurl.E_RECV_ERROR and any(word in message for word in _PROTOCOL_WORDS)):
        return TransportError(TransportError.PROTOCOL, f"The response is not valid HTTP: {message}.")
    if code == pycurl.E_GOT_NOTHING:
        return TransportError(TransportError.CONNECTION, http_message.NO_RESPONSE)
    return TransportError(TransportError.CONNECTION, f"The connection failed: {message}.")
