"""Write one or many pushes on PostgreSQL with a single statement: one round trip and one commit for all of them.

Every row carries the number of its push. Only the rows of pushes whose preconditions hold are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

from django.db import DataError, connection, transaction

from deliveries.runtime.failpoints import failpoint
from deliveries.storage.arrays import big_numbers_array, keys_array, numbers_array, texts_array, times_array
from deliveries.storage.columns import Written
from deliveries.storage.postgresql.wakeups import CHANNEL
from deliveries.storage.rows.pushes import (
    DeliveryRow,
    EventRow,
    PlanIsStale,
    RecordRow,
    RecordsExist,
    Verdict,
    WaitingPush,
)
from deliveries.storage.sql import execute_prepared

#: Only events from receivers have hops, and only traced ones a trace; for all others the columns' defaults are right.
_RARE = ("hops", "cascade_left", "is_stopped", "traceparent")
_EVENTS = {False: Written(EventRow), True: Written(EventRow, without=_RARE)}
_DELIVERIES, _RECORDS = Written(DeliveryRow), Written(RecordRow)


def _rows(written: Written[Any], alias: str) -> str:
    """Return SQL for the rows of all pushes, each with the number of its push."""
    arrays = ", ".join(f"%s::{kind.array}" for kind in written.kinds)
    return f"unnest({arrays}, %s::int[]) AS {alias}({written.columns}, push)"


_PUSHES = (
    "p AS (SELECT * FROM unnest(%s::int[], %s::uuid[], %s::bigint[], %s::text[], %s::timestamptz[])"
    " AS p(push, store, version, origin, now))"
)
# OFFSET 0 forces one index lookup per row, even if the planner would prefer to scan a small table.
_FOUND = (
    f"pushed AS (SELECT p.store, p.now, r.* FROM {_rows(_RECORDS, 'r')} JOIN p USING (push)),"
    " found AS (SELECT r.push, r.type, r.external_id, o.version, o.data FROM pushed r CROSS JOIN LATERAL"
    " (SELECT version, data FROM deliveries_record WHERE store_id = r.store AND type = r.type"
    " AND external_id = r.external_id OFFSET 0) o WHERE r.read_version = 0 AND o.version > 0)"
)
_CURRENT = (
    "current AS (SELECT p.* FROM p CROSS JOIN LATERAL (SELECT 1 FROM integrations_store s"
    " WHERE s.id = p.store AND s.config_version = p.version OFFSET 0) s{unless})"
)
_UNLESS_FOUND = " WHERE NOT p.push = ANY(ARRAY(SELECT push FROM found))"
_KEYS = (
    "k AS (SELECT c.store, c.now, k.* FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[])"
    " AS k(key, body_hash, response, push) JOIN current c USING (push)),"
    " key AS (INSERT INTO deliveries_idempotencykey (store_id, key, body_hash, response, created_at)"
    " SELECT store, key, body_hash, response, now FROM k ON CONFLICT DO NOTHING RETURNING store_id, key),"
    " good AS (SELECT c.* FROM current c WHERE NOT c.push = ANY(ARRAY(SELECT k.push FROM k"
    " WHERE NOT EXISTS (SELECT 1 FROM key WHERE key.store_id = k.store AND key.key = k.key))))"
)
_NO_KEYS = "good AS (SELECT * FROM current)"
_EVENT = {
    is_plain: f"event AS (INSERT INTO deliveries_event ({events.columns}, store_id, origin, created_at)"
    f" SELECT {events.columns}, g.store, g.origin, g.now FROM {_rows(events, 'e')} JOIN good g USING (push))"
    for is_plain, events in _EVENTS.items()
}
_DELIVERY = (
    f"delivery AS (INSERT INTO deliveries_delivery ({_DELIVERIES.columns}, store_id, status, first_sent_at,"
    " attempt_count, trigger, retry_count, crash_count, revision, is_awaiting_source, last_error, created_at)"
    f" SELECT {_DELIVERIES.columns}, g.store, CASE WHEN lease IS NULL THEN 'pending' ELSE 'sending' END,"
    " CASE WHEN lease IS NULL THEN NULL ELSE g.now END, CASE WHEN lease IS NULL THEN 0 ELSE 1 END,"
    " 'scheduled', 0, 0, 0, false, '', g.now"
    f" FROM {_rows(_DELIVERIES, 'd')} JOIN good g USING (push))"
)
# Filtered instead of joined, so that the rows keep the order in which they must be locked.
_RECORD = (
    "written AS (SELECT * FROM pushed WHERE push = ANY(ARRAY(SELECT push FROM good))),"
    " record AS (INSERT INTO deliveries_record (store_id, type, external_id, data, version, created_at, updated_at)"
    " SELECT store, type, external_id, data, version, now, now FROM written"
    ' ORDER BY store, type COLLATE "C", external_id COLLATE "C"'
    " ON CONFLICT (store_id, type, external_id) DO UPDATE SET data = excluded.data, version = excluded.version,"
    " updated_at = excluded.updated_at"
    " WHERE deliveries_record.version = (SELECT w.read_version FROM written w WHERE w.store = excluded.store_id"
    " AND w.type = excluded.type AND w.external_id = excluded.external_id) RETURNING 1)"
)
_PROOF = "1 / (CASE WHEN (SELECT count(*) FROM record) = (SELECT count(*) FROM written) THEN 1 ELSE 0 END)"


def write_together(
    pushes: Sequence[WaitingPush], *, notifies: bool, meanwhile: Callable[[], None] | None = None
) -> list[Verdict] | None:
    """Write the pushes; return their verdicts. None: a record changed since it was read, and nothing was stored."""
    from psycopg.errors import DivisionByZero

    query = _query(
        has_events=any(push.rows.events for push in pushes),
        has_deliveries=any(push.rows.deliveries for push in pushes),
        has_records=any(push.rows.records for push in pushes),
        has_keys=any(push.idempotency for push in pushes),
        is_plain=all(push.rows.is_plain for push in pushes),
        notifies=notifies,
    )
    failpoint("ingest.before_commit")
    try:
        # A savepoint is needed only inside a transaction; otherwise the statement is its own transaction.
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            rows = execute_prepared(query, _values(pushes), meanwhile=meanwhile)
    except DataError as error:
        # A changed record fails the whole statement by a division by zero: see `_PROOF`.
        if isinstance(error.__cause__, DivisionByZero):
            return None
        raise
    stored: set[int] = set()
    found: dict[int, dict[tuple[str, str], tuple[int, Any]]] = {}
    for number, kind, external_id, version, data, *_ in rows:
        if kind is None:
            stored.add(number)
        else:
            found.setdefault(number, {})[kind, external_id] = (version, json.loads(data))
    return [
        None if number in stored else RecordsExist(found[number]) if number in found else PlanIsStale()
        for number in range(len(pushes))
    ]


@lru_cache
def _query(
    *, has_events: bool, has_deliveries: bool, has_records: bool, has_keys: bool, is_plain: bool, notifies: bool
) -> str:
    """Return the statement, one of a few variants. `_values` returns its parameters in the same order."""
    parts = [_PUSHES]
    if has_records:
        parts.append(_FOUND)
    parts.append(_CURRENT.format(unless=_UNLESS_FOUND if has_records else ""))
    parts.append(_KEYS if has_keys else _NO_KEYS)
    if has_events:
        parts.append(_EVENT[is_plain])
    if has_deliveries:
        parts.append(_DELIVERY)
    if has_records:
        parts.append(_RECORD)
    proof = _PROOF if has_records else "1"
    call = f"(SELECT pg_notify('{CHANNEL}', '')::text)" if notifies else "NULL::text"
    query = (
        f"WITH {', '.join(parts)} SELECT push, NULL::text, NULL::text, NULL::int, NULL::text, {proof}, {call} FROM good"
    )
    if has_records:
        query += " UNION ALL SELECT push, type, external_id, version, data, NULL, NULL FROM found"
    return query


def _values(pushes: Sequence[WaitingPush]) -> list[Any]:
    rows = [push.rows for push in pushes]
    values: list[Any] = [
        numbers_array(range(len(rows))),
        keys_array([row.store_id for row in rows]),
        big_numbers_array([row.config_version for row in rows]),
        texts_array([row.origin for row in rows]),
        times_array([row.now for row in rows]),
    ]
    values += _numbered(_RECORDS, [row.records for row in rows])
    if keyed := [(number, push.idempotency) for number, push in enumerate(pushes) if push.idempotency is not None]:
        values += [
            texts_array([idempotency.key for _, idempotency in keyed]),
            texts_array([idempotency.body_hash for _, idempotency in keyed]),
            texts_array([json.dumps(idempotency.response) for _, idempotency in keyed]),
            numbers_array([number for number, _ in keyed]),
        ]
    is_plain = all(row.is_plain for row in rows)
    values += _numbered(_EVENTS[is_plain], [row.events for row in rows])
    values += _numbered(_DELIVERIES, [row.deliveries for row in rows])
    return values


def _numbered(written: Written[Any], of_pushes: Sequence[Sequence[Any]]) -> list[Any]:
    """Return arrays of all pushes' rows, with the numbers of their pushes; an empty list if there are no rows."""
    rows = [row for of_push in of_pushes for row in of_push]
    if not rows:
        return []
    numbers = [number for number, of_push in enumerate(of_pushes) for _ in of_push]
    return [*written.arrays(rows), numbers_array(numbers)]
