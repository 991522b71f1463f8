"""Handing deliveries to an engine of the same host as soon as they are committed, over a Unix socket.

A delivery that is handed over was born claimed: it was written with the lease of the engine that gets it, which
therefore need neither claim nor read it. What is lost on the way is a claim whose engine died, and ends with its lease.

An engine listens; each web process connects to all engines of its host. Both are of the same user, which the kernel
tells. Messages are JSON, each behind its length (4 bytes, big-endian). An engine sends `Offer`s and a web process
`Handed` ones:

    {"offer": [integration, credits, config_version, lease_seconds, until, is_busy]}
    {"close": [integration, …]}   null: all of them; the engine stops
    {"handed": [[config_version, since, store, origin, now, lease, [event, …]], …]}

with `event` = [id, topic, intent, object_type, object_id, data, occurred_at, [[delivery, integration, subscription],
…]], and its `traceparent` behind these if it has one. Ids are hex, `now` and `occurred_at` Unix seconds, `since` and
`until` seconds of the monotonic clock, which the processes of a host share.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from deliveries.runtime.registry import host_name

_LENGTH = struct.Struct("!I")
_PEER = struct.Struct("3i")  # Linux's struct ucred: pid, uid, gid
#: Bytes of one message, for whoever reads it: beyond any that is sent.
MAX_MESSAGE_BYTES = 256 * 1024 * 1024


class Offer(NamedTuple):
    """Room at an integration: so many more deliveries may be born with a lease of this engine.

    `config_version`: nothing that a store's later version changes is known to the engine. `lease_seconds`: how long
    the lease is to be. `until`: when the offer ends, in seconds of the monotonic clock. `is_busy`: the engine has no
    time to spare; where its room is used up, that is why, and not a receiver that takes its time.
    """

    integration_id: int
    credits: int
    config_version: int
    lease_seconds: float
    until: float
    is_busy: bool = False


def is_possible() -> bool:
    """Abstract sockets, which vanish with their process, and the uid of a peer are Linux's."""
    return sys.platform == "linux"


def address(slot: int) -> bytes:
    """Of the engine in this slot of this host. Abstract: it needs no folder that both may write to."""
    database = connection.settings_dict
    key = f"{settings.SECRET_KEY}\n{database['HOST']}:{database['PORT']}/{database['NAME']}\n{host_name()}"
    return b"\0hookdesk/%b/%d" % (hashlib.sha256(key.encode()).hexdigest()[:32].encode(), slot)


def is_ours(connected: socket.socket) -> bool:
    """Whether the other side is a process of the same user."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(credentials)[1]) == os.geteuid()


def packed(message: dict[str, Any]) -> bytes:
    data = json.dumps(message, ensure_ascii=False, separators=(",", ":"), check_circular=False).encode()
    return _LENGTH.pack(len(data)) + data


class Messages:
    """Whole messages out of the bytes of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Raises ValueError for what is no message: the connection is to be closed."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4:
            (length,) = _LENGTH.unpack_from(buffer)
            if length > MAX_MESSAGE_BYTES:
                raise ValueError("a message is too long")
            if len(buffer) < 4 + length:
                return
            message = json.loads(bytes(buffer[4 : 4 + length]))
            del buffer[: 4 + length]
            yield message
