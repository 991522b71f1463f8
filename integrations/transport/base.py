"""The values a transport takes and returns: no Django, no HTTP library.

A wire format builds a `Request` and reads a `Response`; a transport turns one into the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Headers = tuple[tuple[str, str], ...]

#: Maximum bytes of a response body that are read and kept; the rest is never read.
RESPONSE_BODY_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request, exactly as it goes on the wire.

    `timeout`: seconds for the whole attempt (DNS lookup, connect, TLS, sending and reading together). `secrets`:
    values that must be masked wherever the request is stored or displayed. A `mailto:` URL is sent through Django's
    mail backend instead of HTTP.
    """

    method: str
    url: str
    headers: Headers
    body: bytes
    timeout: float = 30.0
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """The response. `body` holds at most `RESPONSE_BODY_LIMIT` bytes, as received (never decompressed).

    Header names keep the case in which they arrived; `header()` looks them up case-insensitively.
    """

    status: int
    headers: Headers
    body: bytes
    is_truncated: bool = False

    def header(self, name: str) -> str | None:
        """Return the first value of the header `name` (case-insensitive), or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class TransportError(Exception):
    """The request got no usable response. `kind` is one of the constants below; `message` is shown to staff.

    `permanent`: a retry cannot succeed (for example a refused URL, or a header that cannot be sent).
    """

    TIMEOUT = "timeout"  #: the deadline of the attempt passed
    DNS = "dns"  #: the name does not resolve
    CONNECTION = "connection"  #: refused, unreachable or reset
    TLS = "tls"  #: certificate or handshake
    REFUSED_ADDRESS = "refused_address"  #: refused by the address guard
    PROTOCOL = "protocol"  #: the response is not valid HTTP or exceeds a limit, or the request is not valid HTTP

    def __init__(self, kind: str, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.permanent = permanent


def transport_error(error: Exception) -> TransportError:
    """Return `error` as a TransportError. Unexpected exceptions are wrapped, so that none ends the engine."""
    if isinstance(error, TransportError):
        return error
    return TransportError(TransportError.PROTOCOL, f"The attempt failed: {type(error).__name__}.")


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one submitted request: either `response` or `error` is set. `duration` in seconds."""

    key: Hashable
    response: Response | None
    error: TransportError | None
    duration: float


class Transport(Protocol):
    """Sends many requests concurrently; used by one owner thread.

    `submit` never blocks. `collect` waits up to `timeout` seconds for at least one result; if some are ready, it
    returns them immediately. `wake` may be called from another thread and ends a waiting `collect` early. Every
    submitted request yields exactly one result, at the latest two seconds after its deadline.

    Descriptors passed to `watch` also end a waiting `collect` while they are readable; the caller reads them.
    """

    capacity: int

    @property
    def waited(self) -> float:
        """Seconds that `collect` has spent waiting."""

    def submit(self, key: Hashable, request: Request) -> None: ...

    def collect(self, timeout: float) -> Sequence[Result]: ...

    def wake(self) -> None: ...

    def watch(self, descriptor: int) -> None: ...

    def unwatch(self, descriptor: int) -> None: ...

    def close(self) -> None: ...
