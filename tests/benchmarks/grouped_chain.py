"""The rival under load: two processes and two ideas, with what Hookdesk promises about a 202 and about attempts.

*Group commit*: requests that come in while a transaction runs go into the next one together. *Born claimed*: a
delivery is written with the lease of the engine next door and handed to it over a Unix socket, so it is neither
claimed nor read. Each 202 follows a commit that waits for the disk; each delivery is signed, sent and recorded. There are
no subscriptions, filters, limits, order, retries or address guard: it is a limit, not a design.

`python -m tests.benchmarks.grouped_chain engine RECEIVER_PORT SOCKET URL` sends, `… web PORT SOCKET URL` takes events.
Events whose topic is not TOPIC are only stored.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import socket
import struct
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.benchmarks.contenders import TOPIC, Contender
from tests.benchmarks.engines import Processes, backends_of
from tests.benchmarks.environment import Installation
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.web import free_port, wait_for_port

#: Kept connections to the receiver, and with it the most requests in dispatch.
CONNECTIONS = 32
LARGEST_GROUP = 500
#: So long the recorder lets ended attempts gather, in seconds.
GATHERING = 0.004
_FRAME = struct.Struct(">I16s")
_SECRET = b"a secret of the benchmark, 32 b."

_TABLES = """
CREATE TABLE grouped_event (id uuid PRIMARY KEY, topic text, data text, created_at timestamptz DEFAULT now());
CREATE TABLE grouped_delivery (id uuid PRIMARY KEY, event_id uuid, status text, due_at timestamptz) WITH (fillfactor = 60);
CREATE INDEX ON grouped_delivery (event_id);
CREATE INDEX ON grouped_delivery (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE grouped_attempt (id uuid PRIMARY KEY, delivery_id uuid, started_at timestamptz, ended_at timestamptz,
  request text, response_status smallint, response text);
CREATE INDEX ON grouped_attempt (delivery_id);
"""
_STORE = (
    "WITH event AS (INSERT INTO grouped_event (id, topic, data) SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[]))"
    " INSERT INTO grouped_delivery (id, event_id, status, due_at)"
    " SELECT *, 'sending', now() + interval '60 s' FROM unnest(%s::uuid[], %s::uuid[])"
)
_RECORD = (
    "WITH ended AS (INSERT INTO grouped_attempt (id, delivery_id, started_at, ended_at, request, response_status, response)"
    " SELECT i, d, s, now(), q, n, r FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::text[], %s::smallint[],"
    " %s::text[]) AS t(i, d, s, q, n, r) RETURNING delivery_id)"
    " UPDATE grouped_delivery AS d SET status = 'succeeded', due_at = NULL FROM ended WHERE d.id = ended.delivery_id"
)


@contextmanager
def grouped_chain(installation: Installation, receiver: LedgerReceiver) -> Iterator[Contender]:
    """Running, in a scratch database of its own."""
    installation.connection.execute(_TABLES)
    port, path = free_port(), str(installation.folder / "engine.socket")
    module = ["-m", "tests.benchmarks.grouped_chain"]
    with ExitStack() as stack:
        command = [*module, "engine", str(receiver.port), path, installation.url]
        engine = stack.enter_context(Processes(installation, command))
        while not os.path.exists(path):
            engine.require_alive()
            time.sleep(0.02)
        web = stack.enter_context(Processes(installation, [*module, "web", str(port), path, installation.url]))
        wait_for_port(web, port)

        def kinds() -> dict[int, str]:
            backends = dict.fromkeys(backends_of(installation), "postgresql")
            return {engine.process.pid: "engine", web.process.pid: "web", **backends}

        unfinished = "SELECT count(*) FROM grouped_delivery WHERE due_at IS NOT NULL"
        stored = "SELECT count(*) FROM grouped_event"
        attempts = "SELECT count(*) FROM grouped_attempt"
        yield Contender("grouped chain", installation, receiver, port, kinds, unfinished, stored, attempts)


def new_id() -> uuid.UUID:
    """In order of time, as version 7."""
    return uuid.UUID(bytes=(time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))


class Gathering:
    """What a loop collects and a thread works off, as much at a time as has come in meanwhile."""

    def __init__(self) -> None:
        self._waiting: list[Any] = []
        self._lock = threading.Lock()
        self._some = threading.Event()

    def add(self, item: Any) -> None:
        with self._lock:
            self._waiting.append(item)
        self._some.set()

    def take(self, *, pause: float = 0.0) -> list[Any]:
        """Waits until there is something."""
        while True:
            self._some.wait()
            if pause:
                time.sleep(pause)
            with self._lock:
                taken, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
                if not self._waiting:
                    self._some.clear()
            if taken:
                return taken


def connect(url: str) -> Any:
    import psycopg

    return psycopg.connect(url, autocommit=True, prepare_threshold=0).cursor(binary=True)


# --- the way in ------------------------------------------------------------------------------------------------


class Intake(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, events: Gathering) -> None:
        self._events = events

    def connection_made(self, transport: Any) -> None:
        import httptools

        self.transport, self._body, self._token = transport, b"", b""
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-hub-access-token":
            self._token = value

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        body, token, self._body, self._token = self._body, self._token, b"", b""
        if not token:
            self.transport.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            return
        event = json.loads(body)
        self._events.add((event["topic"], json.dumps(event["data"], separators=(",", ":")), self))

    def answer(self, key: uuid.UUID) -> None:
        body = b'{"id":"%s"}' % str(key).encode()
        head = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)


def write_events(events: Gathering, path: str, url: str, loop: asyncio.AbstractEventLoop) -> None:
    cursor, engine = connect(url), socket.socket(socket.AF_UNIX)
    engine.connect(path)
    while True:
        group = events.take()
        ids = [new_id() for _ in group]
        due = [(new_id(), key, item[1]) for key, item in zip(ids, group, strict=True) if item[0] == TOPIC]
        columns = [ids, [item[0] for item in group], [item[1] for item in group]]
        cursor.execute(_STORE, [*columns, [one[0] for one in due], [one[1] for one in due]])
        if due:
            bodies = [(key, data.encode()) for key, _, data in due]
            engine.sendall(b"".join(_FRAME.pack(len(data), key.bytes) + data for key, data in bodies))
        loop.call_soon_threadsafe(_answer_all, group, ids)


def _answer_all(group: list[Any], ids: list[uuid.UUID]) -> None:
    for (_, _, connection), key in zip(group, ids, strict=True):
        connection.answer(key)


async def take_events(port: int, path: str, url: str) -> None:
    loop, events = asyncio.get_running_loop(), Gathering()
    threading.Thread(target=write_events, args=(events, path, url, loop), daemon=True).start()
    server = await loop.create_server(lambda: Intake(events), "127.0.0.1", port)
    await server.serve_forever()


# --- the way out -----------------------------------------------------------------------------------------------


class Sender(asyncio.Protocol):
    """One kept connection to the receiver, one request at a time."""

    def __init__(self, ended: Gathering, idle: deque[Sender], queued: deque[Any]) -> None:
        self._ended, self._idle, self._queued = ended, idle, queued

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._expect()

    def _expect(self) -> None:
        import httptools

        self._answer: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.append(name + b": " + value)

    def on_body(self, data: bytes) -> None:
        self._answer.append(data)

    def on_message_complete(self) -> None:
        key, started, text = self._job
        answer = b"\n".join(self._answer).decode()
        self._ended.add((new_id(), key, started, text.decode(), self._parser.get_status_code(), answer))
        self._expect()
        if self._queued:
            self.send(self._queued.popleft())
        else:
            self._idle.append(self)

    def send(self, job: tuple[uuid.UUID, datetime, bytes]) -> None:
        self._job = job
        self._transport.write(job[2])


def signed_request(key: uuid.UUID, data: bytes) -> bytes:
    second, name = int(time.time()), f"msg_{key.hex}"
    digest = hmac.new(_SECRET, b"%s.%d.%s" % (name.encode(), second, data), hashlib.sha256).digest()
    head = (
        f"POST /i/0 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nwebhook-id: {name}\r\n"
        f"webhook-timestamp: {second}\r\nwebhook-signature: v1,{base64.b64encode(digest).decode()}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def record_attempts(ended: Gathering, url: str) -> None:
    cursor = connect(url)
    while True:
        cursor.execute(_RECORD, [list(column) for column in zip(*ended.take(pause=GATHERING), strict=True)])


async def send_deliveries(receiver_port: int, path: str, url: str) -> None:
    loop, ended = asyncio.get_running_loop(), Gathering()
    idle: deque[Sender] = deque()
    queued: deque[Any] = deque()
    threading.Thread(target=record_attempts, args=(ended, url), daemon=True).start()
    for _ in range(CONNECTIONS):
        _, sender = await loop.create_connection(lambda: Sender(ended, idle, queued), "127.0.0.1", receiver_port)
        idle.append(sender)

    async def take_over(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while head := await reader.read(1):
            length, key = _FRAME.unpack(head + await reader.readexactly(_FRAME.size - 1))
            delivery = uuid.UUID(bytes=key)
            job = (delivery, datetime.now(UTC), signed_request(delivery, await reader.readexactly(length)))
            if idle:
                idle.popleft().send(job)
            else:
                queued.append(job)

    server = await asyncio.start_unix_server(take_over, path)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    role = {"web": take_events, "engine": send_deliveries}[sys.argv[1]]
    uvloop.run(role(int(sys.argv[2]), sys.argv[3], sys.argv[4]))
