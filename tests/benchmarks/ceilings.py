"""What the machine gives when half of the work is left out.

`python -m tests.benchmarks.ceilings client TRANSPORT PORT SECONDS CORE`: our transport sending as fast as it can,
with no database. `… database SECONDS CORE`, inside a scratch installation: the statements that claim and record
deliveries with their attempts, as few and as plain as can be, with no HTTP. Both print one line of JSON.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
import uuid
from contextlib import suppress
from typing import Any

BATCH = 250
BODY = b'{"type":"shipment.created","data":{' + b'"a":"0123456789",' * 26 + b'"z":0}}'


def pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    with suppress(OSError):
        os.sched_setaffinity(0, {cores[core % len(cores)]})


def client(transport: str, port: int, seconds: float) -> int:
    """Requests answered. All of them are in dispatch at once as far as the transport takes them."""
    from integrations.transport import AddressPolicy, Request, make_transport, parse_allow

    capacity = {"requests": 256, "curl": 2000}[transport]
    sender = make_transport(transport, AddressPolicy(parse_allow(["127.0.0.0/8"])), capacity)
    url, answered, sent, in_flight = f"http://127.0.0.1:{port}/i/0", 0, 0, 0
    head = (("Content-Type", "application/json"), ("webhook-signature", "v1," + "A" * 44))
    prefix = f"msg_{os.getpid():08x}"
    deadline = time.monotonic() + seconds
    while (is_open := time.monotonic() < deadline) or in_flight:
        for _ in range(min(capacity, 512) - in_flight if is_open else 0):
            sender.submit(sent, Request("POST", url, (*head, ("webhook-id", f"{prefix}{sent:024x}")), BODY))
            sent += 1
            in_flight += 1
        results = sender.collect(1.0)
        in_flight -= len(results)
        answered += sum(result.response is not None for result in results)
    sender.close()
    return answered


_CLAIM = (
    "UPDATE deliveries_delivery SET status = 'sending', lease = gen_random_uuid(), attempt_count = attempt_count + 1,"
    " due_at = now() + interval '60 s', first_sent_at = now()"
    " WHERE id IN (SELECT id FROM deliveries_delivery WHERE integration_id = %s AND due_at <= now()"
    " ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id, lease"
)
_ATTEMPTS = (
    "INSERT INTO deliveries_attempt (id, delivery_id, number, trigger, revision, outcome, started_at, method, url,"
    " request_headers, request_body, is_body_encrypted, is_response_truncated, error_kind, error_message, summary,"
    " duration_ms, response_status, response_headers, response_body)"
    " SELECT gen_random_uuid(), delivery_id, 1, 'scheduled', 0, 'succeeded', now(), 'POST', 'http://127.0.0.1/i/0',"
    " '[]', %s, false, false, '', '', '', 1, 200, '[]', '{}' FROM unnest(%s::uuid[]) AS r(delivery_id)"
)
_FINISH = (
    "UPDATE deliveries_delivery d SET status = 'succeeded', due_at = NULL, lease = NULL, last_status = 200,"
    " finished_at = now() FROM unnest(%s::uuid[], %s::uuid[]) AS r(id, lease) WHERE d.id = r.id AND d.lease = r.lease"
)


def database_postgresql(url: str, seconds: float) -> int:
    """Deliveries claimed and recorded, with prepared statements over one connection."""
    import psycopg

    done = 0
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        integrations = [row[0] for row in connection.execute("SELECT id FROM integrations_integration ORDER BY id")]
        deadline = time.monotonic() + seconds
        turn = os.getpid()
        landed: tuple[list[Any], list[Any]] | None = None
        while time.monotonic() < deadline:
            turn += 1
            with connection.transaction():
                if landed is not None:
                    connection.execute(_FINISH, landed)
                    connection.execute(_ATTEMPTS, (BODY, landed[0]))
                rows = connection.execute(_CLAIM, (integrations[turn % len(integrations)], BATCH)).fetchall()
            done += len(landed[0]) if landed else 0
            landed = [row[0] for row in rows], [row[1] for row in rows]
    return done


def database_sqlite(path: str, seconds: float) -> int:
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    integrations = [row[0] for row in connection.execute("SELECT id FROM integrations_integration ORDER BY id")]
    done, turn, deadline = 0, os.getpid(), time.monotonic() + seconds
    landed: list[str] = []
    now = "2026-01-01 00:00:00.000000"
    while time.monotonic() < deadline:
        turn += 1
        lease = uuid.uuid4().hex
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE deliveries_delivery SET status = 'succeeded', due_at = NULL, lease = NULL, last_status = 200,"
            f" finished_at = '{now}' WHERE id = ?",
            [(key,) for key in landed],
        )
        connection.executemany(
            'INSERT INTO deliveries_attempt (id, delivery_id, number, "trigger", revision, outcome, started_at,'
            " method, url, request_headers, request_body, is_body_encrypted, is_response_truncated, error_kind,"
            " error_message, summary, duration_ms, response_status, response_headers, response_body)"
            " VALUES (?, ?, 1, 'scheduled', 0, 'succeeded', '2026-01-01 00:00:00', 'POST', 'http://127.0.0.1/i/0',"
            " '[]', ?, false, false, '', '', '', 1, 200, '[]', '{}')",
            [(uuid.uuid4().hex, key, BODY) for key in landed],
        )
        rows = connection.execute(
            f"UPDATE deliveries_delivery SET status = 'sending', lease = '{lease}', attempt_count = 1,"
            " due_at = '9999-01-01' WHERE id IN (SELECT id FROM deliveries_delivery WHERE integration_id = ?"
            " AND due_at <= '9998-01-01' ORDER BY due_at LIMIT ?) RETURNING id",
            (integrations[turn % len(integrations)], BATCH),
        ).fetchall()
        connection.execute("COMMIT")
        done += len(landed)
        landed = [row[0] for row in rows]
    return done


def main() -> None:
    kind, *values = sys.argv[1:]
    pin(int(values[-1]))
    started = time.monotonic()
    if kind == "client":
        count = client(values[0], int(values[1]), float(values[2]))
    else:
        url = os.environ["DATABASE_URL"]
        if url.startswith("sqlite"):
            count = database_sqlite(url.removeprefix("sqlite:///"), float(values[0]))
        else:
            count = database_postgresql(url, float(values[0]))
    print(json.dumps({"count": count, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main()
