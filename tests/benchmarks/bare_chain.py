"""The rival of idle latency: the shortest way from a push to its receiver that commits what Hookdesk commits.

`python -m tests.benchmarks.bare_chain web PORT URL` takes pushes, commits each to PostgreSQL with a NOTIFY, and
answers. `… engine RECEIVER_PORT URL` listens, claims, commits an attempt, and sends. No framework, no tokens, no
matching, no signature, no guard; one process each, one connection to the database, one kept connection to the
receiver. What is left is the machine: its disk, its scheduler, and how fast it wakes from doing nothing.
"""

from __future__ import annotations

import re
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.benchmarks.engines import Processes
from tests.benchmarks.environment import Installation
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.web import free_port, wait_for_port

_TABLES = (
    "CREATE TABLE bare_delivery (id bigserial PRIMARY KEY, data text, status text DEFAULT 'pending');"
    " CREATE INDEX bare_due ON bare_delivery (id) WHERE status = 'pending';"
    " CREATE TABLE bare_attempt (id bigserial PRIMARY KEY, delivery_id bigint, body text)"
)
_TAKE = "WITH d AS (INSERT INTO bare_delivery (data) VALUES (%s)) SELECT pg_notify('bare', '')"
_CLAIM = (
    "UPDATE bare_delivery SET status = 'sending' WHERE id IN"
    " (SELECT id FROM bare_delivery WHERE status = 'pending' ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING id, data"
)
_ATTEMPT = "INSERT INTO bare_attempt (delivery_id, body) VALUES (%s, %s)"
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def bare_chain(installation: Installation, receiver: LedgerReceiver) -> Iterator[int]:
    """The port that takes pushes, while both processes run."""
    installation.connection.execute(_TABLES)
    port = free_port()
    module = ["-m", "tests.benchmarks.bare_chain"]
    with ExitStack() as stack:
        stack.enter_context(Processes(installation, [*module, "engine", str(receiver.port), installation.url]))
        web = stack.enter_context(Processes(installation, [*module, "web", str(port), installation.url]))
        wait_for_port(web, port)
        yield port


def take_pushes(port: int, url: str) -> None:
    import psycopg

    connection = psycopg.connect(url, autocommit=True, prepare_threshold=0)
    server = socket.create_server(("127.0.0.1", port))
    poll, clients = select.poll(), {server.fileno(): server}
    poll.register(server, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == server.fileno():
                client, _ = server.accept()
                clients[client.fileno()] = client
                poll.register(client, select.POLLIN)
            elif body := read_message(clients[descriptor]):
                connection.execute(_TAKE, [body.decode()])
                clients[descriptor].sendall(_ACCEPTED)
            else:
                poll.unregister(descriptor)
                clients.pop(descriptor).close()


def send_deliveries(receiver_port: int, url: str) -> None:
    import psycopg

    listening = psycopg.connect(url, autocommit=True)
    connection = psycopg.connect(url, autocommit=True, prepare_threshold=0)
    listening.execute("LISTEN bare")
    receiver = socket.create_connection(("127.0.0.1", receiver_port))
    receiver.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        for key, data in connection.execute(_CLAIM).fetchall():
            connection.execute(_ATTEMPT, [key, data])
            head = f"POST /i/0 HTTP/1.1\r\nHost: x\r\nwebhook-id: bare_{key}\r\nContent-Length: {len(data)}\r\n\r\n"
            receiver.sendall(head.encode() + data.encode())
            read_message(receiver)
        for _ in listening.notifies(stop_after=1):
            pass


def read_message(peer: socket.socket) -> bytes:
    """The body of the next request or answer; empty when the other side has closed."""
    text = b""
    while b"\r\n\r\n" not in text:
        if not (more := peer.recv(65536)):
            return b""
        text += more
    head, _, body = text.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length:\s*(\d+)", head)
    length = int(found[1]) if found else 0
    while len(body) < length:
        body += peer.recv(65536)
    return body


if __name__ == "__main__":
    {"web": take_pushes, "engine": send_deliveries}[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
