"""Time and size limits per client. Reaching one closes that client's connection and no other."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from typing import Any

#: File descriptors that are kept for the database, logs and the listening socket.
_RESERVED_FILES = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are seconds, sizes bytes. All but `head_*` and `body_*` are per web process."""

    #: From opening a connection, or the first byte of another request, to the end of its headers.
    head_seconds: float = 10.0
    target_bytes: int = 8190
    head_bytes: int = 32 * 1024
    header_count: int = 100
    #: Base time for a body, extended as bytes arrive: one slower than `body_rate` is cut off.
    body_seconds: float = 20.0
    body_rate: int = 16 * 1024
    body_bytes: int = 10 * 1024 * 1024
    #: Between two requests of a connection; longer than the keep-alive of the usual proxies, so that they close first.
    idle_seconds: float = 75.0
    #: A client has so long to take its answer, and longer by what it takes: slower than `write_rate` is given up.
    write_seconds: float = 30.0
    write_rate: int = 16 * 1024
    #: So much of an answer waits in memory for a slow client before a thread has to wait for it.
    answer_bytes: int = 4 * 1024 * 1024
    #: All answers that wait for clients, together. Beyond it, the client that has taken the longest is given up.
    unread_bytes: int = 128 * 1024 * 1024
    #: Requests that a client may send before the answer to the first; then it gets those answers and the end.
    pipelined_requests: int = 100
    #: After an answer that refuses the rest of a request: what still comes is thrown away for so long.
    linger_seconds: float = 2.0
    #: Open connections. At the limit the one idle the longest is closed.
    connections: int = 4096
    #: Connections of one address with incomplete requests. Proxies are unaffected: they send whole requests.
    unfinished_per_address: int = 1024
    #: Total size of bodies that are arriving or waiting for a thread.
    buffered_bytes: int = 256 * 1024 * 1024


def limits_from_environment(body_bytes: int) -> Limits:
    """`WEB_CONNECTIONS` and `WEB_CONNECTIONS_PER_ADDRESS`, as far as the system's file limit allows."""
    wanted = int(os.environ.get("WEB_CONNECTIONS", "4096"))
    connections = max(16, min(wanted, _raise_file_limit(wanted + _RESERVED_FILES) - _RESERVED_FILES))
    per_address: dict[str, Any] = {}
    if own := os.environ.get("WEB_CONNECTIONS_PER_ADDRESS", ""):
        per_address["unfinished_per_address"] = int(own)
    return Limits(body_bytes=body_bytes, connections=connections, **per_address)


def _raise_file_limit(wanted: int) -> int:
    """Ask for `wanted` file descriptors; returns how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, wanted)
    if soft < wanted and soft < hard:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
