"""What a transport takes and gives back: plain values, no Django, no HTTP library.

A wire format makes a `Request` and reads a `Response`; a transport turns the one into the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Headers = tuple[tuple[str, str], ...]

#: Bytes of an answer's body that are read and kept; the rest is never read.
RESPONSE_BODY_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request, exactly as it goes on the wire.

    `timeout` is the deadline of the whole attempt in seconds: name lookup, connect, TLS, sending and
    reading together. `secrets` are the values that must never be shown: whoever stores or draws the
    request masks them. `mailto:` URLs are sent by Django's mail instead of HTTP.
    """

    method: str
    url: str
    headers: Headers
    body: bytes
    timeout: float = 30.0
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. `body` holds at most `RESPONSE_BODY_LIMIT` bytes, as received (never decompressed).

    Header names are as received; compare them without case through `header()`.
    """

    status: int
    headers: Headers
    body: bytes
    is_truncated: bool = False

    def header(self, name: str) -> str | None:
        """The first value of the header `name`, found without regard to case, or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class TransportError(Exception):
    """No usable answer came. `kind` is one of the constants below; `message` is for staff to read.

    `permanent` says that another try cannot help (a URL that is refused, a header that cannot be sent).
    """

    TIMEOUT = "timeout"  #: the deadline of the attempt passed
    DNS = "dns"  #: the name does not resolve
    CONNECTION = "connection"  #: refused, unreachable or reset
    TLS = "tls"  #: certificate or handshake
    REFUSED_ADDRESS = "refused_address"  #: the address guard said no
    PROTOCOL = "protocol"  #: what came back is not HTTP, or past a bound

    def __init__(self, kind: str, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.permanent = permanent


def transport_error(error: Exception) -> TransportError:
    """The error itself, or one that stands for whatever else was raised: it must not cost an engine the others."""
    if isinstance(error, TransportError):
        return error
    return TransportError(TransportError.PROTOCOL, f"The attempt failed: {type(error).__name__}.")


@dataclass(frozen=True, slots=True)
class Result:
    """The end of one submitted request: `response` or `error`, never both. Durations in seconds."""

    key: Hashable
    response: Response | None
    error: TransportError | None
    duration: float


class Transport(Protocol):
    """Many requests in flight at once, driven by one owner thread.

    `submit` never blocks; `collect` waits up to `timeout` seconds for at least one result, and returns at
    once with all there are when some are ready. `wake` may be called from another thread and ends a
    waiting `collect` early. Every request that was submitted yields exactly one result, at the latest two
    seconds after its deadline.

    `watch`ed descriptors end a waiting `collect` too, as long as they have something to be read, which is the
    caller's to read.
    """

    capacity: int
    #: Seconds that `collect` has spent waiting.
    waited: float

    def submit(self, key: Hashable, request: Request) -> None: ...

    def collect(self, timeout: float) -> Sequence[Result]: ...

    def wake(self) -> None: ...

    def watch(self, descriptor: int) -> None: ...

    def unwatch(self, descriptor: int) -> None: ...

    def close(self) -> None: ...
