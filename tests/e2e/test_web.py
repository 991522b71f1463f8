"""The web server as `manage.py run` starts it, with more clients, and worse ones, than it has threads."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.installation import Installation

_serial = iter(range(1, 10_000_000))


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder: Path = tmp_path_factory.mktemp("web")
    installed = Installation(folder, WEB_WORKERS="2", WEB_THREADS="4")
    try:
        installed.start()
        yield installed
    finally:
        installed.clean_up()


@pytest.fixture(scope="module")
def headers(installation: Installation) -> dict[str, str]:
    made = json.loads(installation.manage("createstore", "Shop", "--json"))
    return {"X-Hub-Store": made["store"], "X-Hub-Access-Token": made["access_token"]}


def push(headers: dict[str, str]) -> bytes:
    body = json.dumps({"shipments": [{"id": str(next(_serial))}]})
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /api/v1/push HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def connect(installation: Installation, stack: ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", installation.port), timeout=60))


def status_of(client: socket.socket) -> int:
    """Of the next answer, which fits into one segment."""
    return int(client.recv(65536).split(b" ", 2)[1])


@pytest.mark.parametrize(("count", "rounds"), [(50, 12), (200, 4), (1000, 2)])
def test_each_of_many_keep_alive_clients_gets_its_share(
    installation: Installation, headers: dict[str, str], count: int, rounds: int
) -> None:
    """They push one after another. Counted in answers of all clients: with equal shares, each waits for `count`.

    Each is answered once before that: a process answers its first push later than its neighbour hundreds.
    """
    answers: Counter[int] = Counter()
    last = dict.fromkeys(range(count), 0)
    longest = total = 0
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        clients = [connect(installation, stack) for _ in range(count)]
        for number, client in enumerate(clients):
            selector.register(client, selectors.EVENT_READ, number)
            client.sendall(push(headers))
        waiting = set(clients)
        while waiting:
            ready = selector.select(60)
            assert ready, "nobody is answered any more"
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                assert status_of(key.fileobj) == 202
                waiting.remove(key.fileobj)
        for client in clients:
            client.sendall(push(headers))
        new, new_since, new_waited = None, 0, None
        while total < rounds * count or new_waited is None:
            if new is None and total > count:
                new, new_since = connect(installation, stack), total
                selector.register(new, selectors.EVENT_READ, -1)
                new.sendall(push(headers))
            ready = selector.select(60)
            assert ready, "nobody is answered any more"
            for key, _ in ready:
                client = key.fileobj
                assert isinstance(client, socket.socket)
                assert status_of(client) == 202
                total += 1
                if key.data == -1:
                    new_waited = total - new_since
                    selector.unregister(client)
                    continue
                longest = max(longest, total - last[key.data])
                last[key.data] = total
                answers[key.data] += 1
                client.sendall(push(headers))

    assert len(answers) == count
    assert max(longest, *(total - seen for seen in last.values())) <= 10 * count
    assert new_waited <= 10 * count


def test_two_hundred_slow_connections_hold_up_neither_pushes_nor_health_checks(
    installation: Installation, headers: dict[str, str]
) -> None:
    begun = [b"", b"POST /api/v1/push HTT", b"GET /admin/ HTTP/1.1\r\nHost: localhost\r\nX-", push(headers)[:-5]]
    with ExitStack() as stack:
        slow = [connect(installation, stack) for _ in range(200)]
        for number, client in enumerate(slow):
            client.sendall(begun[number % 4])
        client = connect(installation, stack)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            slow[2].sendall(b"a")
            client.sendall(push(headers))
            assert status_of(client) == 202
            assert installation.request("GET", "/healthz")[0] == 200
            assert installation.request("GET", "/readyz")[0] == 200
        # Those that go on are answered, too.
        slow[3].sendall(push(headers)[-5:])
        assert status_of(slow[3]) == 202


def test_requests_that_come_in_pieces_and_chunks_are_pushes_like_any_other(
    installation: Installation, headers: dict[str, str]
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST /api/v1/push HTTP/1.1\r\nHost: localhost\r\n{lines}Transfer-Encoding: chunked\r\n\r\n"
    with ExitStack() as stack:
        client = connect(installation, stack)
        for piece in (head, "d\r\n", '{"shipments":', "\r\n11\r\n", '[{"id":"chunked"}', "\r\n2\r\n]}\r\n0\r\n\r\n"):
            client.sendall(piece.encode())

        assert status_of(client) == 202
    rows = installation.rows("SELECT count(*) FROM deliveries_record WHERE external_id = 'chunked'")
    assert [tuple(row) for row in rows] == [(1,)]


def test_a_body_over_the_limit_is_refused_before_it_is_sent(
    installation: Installation, headers: dict[str, str]
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with ExitStack() as stack:
        client = connect(installation, stack)
        client.sendall(
            f"POST /api/v1/push HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: 99999999\r\n\r\n{{".encode()
        )

        assert status_of(client) == 413


@pytest.mark.parametrize("record_id", ["gid://shop/Order/7", "a/", "/a", "a//b", "a b/ü?#"])
def test_a_record_is_reached_by_an_id_with_slashes(
    installation: Installation, headers: dict[str, str], record_id: str
) -> None:
    assert installation.request("POST", "/api/v1/push", {"orders": [{"id": record_id}]}, **headers)[0] == 202
    status, found = installation.request("GET", f"/api/v1/records/order/{quote(record_id, safe='')}", **headers)
    assert (status, found["id"]) == (200, record_id)


def test_a_list_is_streamed_as_a_file_and_its_audit_entry_completed(
    installation: Installation, headers: dict[str, str]
) -> None:
    assert installation.request("POST", "/api/v1/push", {"orders": [{"id": "exported"}]}, **headers)[0] == 202
    connection = HTTPConnection("127.0.0.1", installation.port, timeout=60)
    connection.request("GET", "/api/v1/exports/records?id=exported", headers=headers)
    answer = connection.getresponse()
    assert [json.loads(line)["id"] for line in answer.read().splitlines()] == ["exported"]
    connection.close()
    [(after,)] = installation.rows("SELECT after FROM integrations_auditentry WHERE action = 'export'")
    assert json.loads(after) == {"format": "ndjson", "filter": {"id": "exported"}, "rows": 1, "complete": True}
