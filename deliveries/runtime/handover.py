"""Handover: pass deliveries to an engine of the same host over a Unix socket, to be sent once they are committed.

A delivery that is handed over was born claimed: it was written with the lease of the receiving engine, which therefore
needs neither claim nor read it. It is announced while the transaction runs, so that the engine builds its request
meanwhile, and sent when the web process says that it is committed. A delivery lost on the way is like one whose engine
died: it becomes due again when its lease ends.

An engine listens; each web process connects to all engines of its host. Both must run as the same user, which the
kernel confirms. Messages are JSON, each prefixed by its length (4 bytes, big-endian). An engine sends offers and
closings, a web process sends deliveries and what became of their transactions:

    {"offers": [[integration, credits, config_version, lease_seconds, until, is_busy], …]}
    {"close": [integration, …]}   null: all of them, because the engine stops
    {"announced": [[config_version, since, store, origin, now, lease, [event, …]], …]}
    {"committed": [lease, …], "dropped": [lease, …]}   dropped: these were not stored

with `event` = [id, topic, intent, object_type, object_id, data, occurred_at, [[delivery, integration, subscription],
…]], followed by its `traceparent` if it has one. Ids are hex, `now` and `occurred_at` Unix seconds, `since` and `until`
seconds of the monotonic clock, which all processes of a host share.
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

#: Of the messages, and part of the address: while an upgrade runs, old and new processes do not connect to each other.
VERSION = 2
_LENGTH = struct.Struct("!I")
_PEER = struct.Struct("3i")  # Linux's struct ucred: pid, uid, gid
#: Largest message in bytes that is accepted; larger than any that is sent.
MAX_MESSAGE_BYTES = 256 * 1024 * 1024


class Offer(NamedTuple):
    """Credits for an integration: how many more deliveries may be born with a lease of this engine.

    `config_version`: the configuration version that the engine knows; pushes with a later one must not use the offer.
    `lease_seconds`: the length of the leases. `until`: when the offer ends (monotonic seconds). `is_busy`: the engine
    is short of CPU time; if its credits run out, that is the reason, and not a slow receiver.
    """

    integration_id: int
    credits: int
    config_version: int
    lease_seconds: float
    until: float
    is_busy: bool = False


def is_possible() -> bool:
    """Whether the platform supports it: only Linux has abstract sockets, which vanish with their process."""
    return sys.platform == "linux"


def address(slot: int) -> bytes:
    """Return the address of the engine in this slot of this host: an abstract socket, which needs no shared folder."""
    database = connection.settings_dict
    key = f"{settings.SECRET_KEY}\n{database['HOST']}:{database['PORT']}/{database['NAME']}\n{host_name()}"
    return b"\0hookdesk/%d/%b/%d" % (VERSION, hashlib.sha256(key.encode()).hexdigest()[:32].encode(), slot)


def is_ours(connected: socket.socket) -> bool:
    """Whether the peer is a process of the same user."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(credentials)[1]) == os.geteuid()


def packed(message: dict[str, Any]) -> bytes:
    data = json.dumps(message, ensure_ascii=False, separators=(",", ":"), check_circular=False).encode()
    return _LENGTH.pack(len(data)) + data


class Messages:
    """Splits the bytes of one connection into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yield the messages completed by `data`. Raises ValueError if it is invalid: close the connection then."""
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
