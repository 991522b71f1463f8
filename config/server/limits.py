"""Time and size limits per client. Exceeding one closes that client's connection and no other."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from typing import Any

#: File descriptors reserved for the database, logs and the listening socket.
_RESERVED_FILES = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds, sizes in bytes. All but `head_*` and `body_*` are per web process."""

    #: From opening the connection, or the first byte of a later request, to the end of the headers.
    head_seconds: float = 10.0
    target_bytes: int = 8190
    head_bytes: int = 32 * 1024
    header_count: int = 100
    #: Base time for a body, extended as bytes arrive: a body slower than `body_rate` is refused.
    body_seconds: float = 20.0
    body_rate: int = 16 * 1024
    body_bytes: int = 10 * 1024 * 1024
    #: Between two requests on a connection. Longer than the keep-alive of common proxies, so that they close first.
    idle_seconds: float = 75.0
    #: Base time for reading a response, extended as the client reads: a client slower than `write_rate` is dropped.
    write_seconds: float = 30.0
    write_rate: int = 16 * 1024
    #: How much of a response is buffered for a slow client before its thread has to wait.
    answer_bytes: int = 4 * 1024 * 1024
    #: Limit on all buffered response data. Beyond it, the client that has been slow the longest is dropped.
    unread_bytes: int = 128 * 1024 * 1024
    #: Requests that a client may pipeline. If it sends more, these are answered and the connection is closed.
    pipelined_requests: int = 100
    #: After refusing a request, how long to read and discard what still arrives.
    linger_seconds: float = 2.0
    #: Open connections. At the limit, the one that has been idle the longest is closed.
    connections: int = 4096
    #: Connections with incomplete requests per address. Proxies are unaffected, because they send complete requests.
    unfinished_per_address: int = 1024
    #: Total size of bodies that are arriving or waiting for a thread.
    buffered_bytes: int = 256 * 1024 * 1024


def limits_from_environment(body_bytes: int) -> Limits:
    """Read `WEB_CONNECTIONS` (as far as the system's limit on files allows) and `WEB_CONNECTIONS_PER_ADDRESS`."""
    wanted = int(os.environ.get("WEB_CONNECTIONS", "4096"))
    connections = max(16, min(wanted, _raise_file_limit(wanted + _RESERVED_FILES) - _RESERVED_FILES))
    per_address: dict[str, Any] = {}
    if own := os.environ.get("WEB_CONNECTIONS_PER_ADDRESS", ""):
        per_address["unfinished_per_address"] = int(own)
    return Limits(body_bytes=body_bytes, connections=connections, **per_address)


def _raise_file_limit(wanted: int) -> int:
    """Raise the limit to `wanted` file descriptors if possible; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, wanted)
    if soft < wanted and soft < hard:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
