"""PostgreSQL: a whole push by one statement, one round trip, one commit."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.db import DataError, connection, transaction

from deliveries.ingest.plan import ExistingRecords, IdempotencyRecord, Plan, PlanIsStale, RecordsExist
from deliveries.runtime.failpoints import failpoint
from deliveries.runtime.notify import CHANNEL
from deliveries.storage.arrays import BIG_NUMBER, FLAG, KEY, NUMBER, TEXT, TIME, as_arrays, texts_array
from deliveries.storage.sql import execute_prepared

_HEAD = "c AS (SELECT %s::uuid AS store, %s::text AS origin, %s::timestamptz AS now)"
_STORE, _ORIGIN, _NOW = "(SELECT store FROM c)", "(SELECT origin FROM c)", "(SELECT now FROM c)"
_PUSHED = (
    "pushed AS (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[], %s::int[])"
    " AS p(type, external_id, data, version, read_version))"
)
_WANTED = "pushed AS (SELECT * FROM unnest(%s::text[], %s::text[]) AS p(type, external_id))"
# OFFSET makes it one look into the index per object, whatever the planner thinks of a table that is small.
_FOUND = (
    "found AS (SELECT r.type, r.external_id, r.version, r.data FROM pushed p CROSS JOIN LATERAL"
    f" (SELECT * FROM deliveries_record WHERE store_id = {_STORE} AND type = p.type AND external_id = p.external_id"
    " OFFSET 0) r)"
)
_SELECT_FOUND = "SELECT type, external_id, version, data FROM found"
_GUESS = "guess AS (SELECT count(*) = 0 AS holds FROM found)"
_IF_GUESSED = " WHERE (SELECT holds FROM guess)"
_EVENT = (
    "event AS (INSERT INTO deliveries_event (id, store_id, topic, intent, object_type, object_id, data, origin,"
    f" occurred_at, created_at{{columns}}) SELECT id, {_STORE}, topic, intent, type, object_id, data, {_ORIGIN},"
    f" occurred_at, {_NOW}{{columns}}"
    " FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],"
    " %s::timestamptz[]{arrays}) AS e(id, topic, intent, type, object_id, data, occurred_at{columns})"
)
#: Only what came back from a receiver says how far it came: of anything else the columns' defaults are true.
_HOPS = (", hops, cascade_left, is_stopped", ", %s::int[], %s::int[], %s::bool[]")
_DELIVERY = (
    "delivery AS (INSERT INTO deliveries_delivery (id, event_id, store_id, integration_id, subscription_id, topic,"
    ' status, "trigger", due_at, attempt_count, retry_count, crash_count, revision, order_key, is_awaiting_source,'
    f" last_error, created_at) SELECT id, event_id, {_STORE}, integration_id, subscription_id, topic,"
    f" 'pending', 'scheduled', due_at, 0, 0, 0, 0, order_key, false, '', {_NOW}"
    " FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[])"
    " AS d(id, event_id, integration_id, subscription_id, topic, order_key, due_at)"
)
_RECORD = (
    "record AS (INSERT INTO deliveries_record (store_id, type, external_id, data, version, created_at, updated_at)"
    f" SELECT {_STORE}, type, external_id, data, version, {_NOW}, {_NOW} FROM pushed"
)
_MERGE = (
    " ON CONFLICT (store_id, type, external_id) DO UPDATE SET data = excluded.data, version = excluded.version,"
    " updated_at = excluded.updated_at"
    " WHERE deliveries_record.version = (SELECT p.read_version FROM pushed p"
    " WHERE p.type = excluded.type AND p.external_id = excluded.external_id)"
)
_KEY = (
    "key AS (INSERT INTO deliveries_idempotencykey (store_id, key, body_hash, response, created_at)"
    f" SELECT {_STORE}, %s, %s, %s, {_NOW}"
)
_RETURNING = " RETURNING 1)"


def write_in_one_statement(
    plan: Plan, repetition: IdempotencyRecord | None, held: frozenset[uuid.UUID], *, notifies: bool = False
) -> None:
    """Store all of it, or nothing if a premise no longer holds (PlanIsStale) or a guess was wrong (RecordsExist).

    A premise that does not hold fails the statement as a whole, by a division by zero. `notifies`: the commit also
    wakes the engines.
    """
    from psycopg.errors import DivisionByZero

    query = _query(
        bool(plan.events),
        bool(plan.deliveries),
        bool(plan.records),
        repetition is not None,
        assumes_new=plan.assumes_new,
        notifies=notifies,
        has_hops=plan.has_hops,
    )
    values = _values(plan, repetition, held)
    failpoint("ingest.before_commit")
    try:
        # A savepoint only where a transaction is open: alone, the statement is its own transaction.
        if connection.in_atomic_block:
            with transaction.atomic():
                rows = execute_prepared(query, values)
        else:
            rows = execute_prepared(query, values)
    except DataError as error:
        if isinstance(error.__cause__, DivisionByZero):
            raise PlanIsStale from None
        raise
    if plan.assumes_new and rows[0][0] is not None:
        raise RecordsExist(_as_known(rows))


def existing_records(store_id: uuid.UUID, wanted: Iterable[tuple[str, str]]) -> ExistingRecords:
    """The records of these types and ids, with their versions."""
    types, ids = zip(*wanted, strict=True)
    query = f"WITH c AS (SELECT %s::uuid AS store), {_WANTED}, {_FOUND} {_SELECT_FOUND}"
    return _as_known(execute_prepared(query, [store_id, texts_array(types), texts_array(ids)]))


def _as_known(rows: Iterable[tuple[Any, ...]]) -> ExistingRecords:
    return {(row[0], row[1]): (row[2], json.loads(row[3])) for row in rows}


@lru_cache
def _query(
    has_events: bool,
    has_deliveries: bool,
    has_records: bool,
    has_key: bool,
    *,
    assumes_new: bool,
    notifies: bool,
    has_hops: bool = False,
) -> str:
    """The text, which is one of a few; `_values` gives what it asks for, in the same order."""
    only = _IF_GUESSED if assumes_new else ""
    parts = [_HEAD]
    checks = ["(SELECT count(*) FROM integrations_store WHERE id = %s AND config_version = %s) = 1"]
    if has_records:
        parts.append(_PUSHED)
    if assumes_new:
        parts += [_FOUND, _GUESS]
    if has_events:
        columns, arrays = _HOPS if has_hops else ("", "")
        parts.append(f"{_EVENT.format(columns=columns, arrays=arrays)}{only})")
    if has_deliveries:
        parts.append(f"{_DELIVERY}{only})")
    if has_records:
        parts.append(f"{_RECORD}{only}{_MERGE}{_RETURNING}")
        checks.append("(SELECT count(*) FROM record) = %s")
    if has_key:
        parts.append(f"{_KEY}{only} ON CONFLICT DO NOTHING{_RETURNING}")
        checks.append("(SELECT count(*) FROM key) = 1")
    proof = f"1 / (CASE WHEN {' AND '.join(checks)} THEN 1 ELSE 0 END)"
    call = f"pg_notify('{CHANNEL}', '')::text" if notifies else "NULL::text"
    head = f"WITH {', '.join(parts)}"
    if assumes_new:
        return f"{head} {_SELECT_FOUND} UNION ALL SELECT NULL, NULL, {proof}, {call}{only}"
    return f"{head} SELECT {proof}, {call}"


_EVENT_KINDS = (KEY, TEXT, TEXT, TEXT, TEXT, TEXT, TIME)
_HOPS_KINDS = (NUMBER, NUMBER, FLAG)
_DELIVERY_KINDS = (KEY, KEY, BIG_NUMBER, KEY, TEXT, TEXT, TIME)
_RECORD_KINDS = (TEXT, TEXT, TEXT, NUMBER, NUMBER)


def _values(plan: Plan, repetition: IdempotencyRecord | None, held: frozenset[uuid.UUID]) -> list[Any]:
    values: list[Any] = [plan.store_id, plan.origin, plan.now]
    if plan.records:
        values += as_arrays(
            _RECORD_KINDS, [(r.type, r.external_id, r.data_json, r.version, r.read_version) for r in plan.records]
        )
    if plan.events:
        values += as_arrays(
            _EVENT_KINDS,
            [(e.id, e.topic, e.intent, e.object_type, e.object_id, e.data_json, e.occurred_at) for e in plan.events],
        )
        if plan.has_hops:
            values += as_arrays(_HOPS_KINDS, [(e.hops, e.cascade_left, e.is_stopped) for e in plan.events])
    if plan.deliveries:
        values += as_arrays(
            _DELIVERY_KINDS,
            [
                (d.id, d.event_id, d.integration_id, d.subscription_id, d.topic, d.order_key,
                 None if d.id in held else plan.now)
                for d in plan.deliveries
            ],
        )  # fmt: skip
    if repetition is not None:
        values += [repetition.key, repetition.body_hash, json.dumps(repetition.response)]
    values += [plan.store_id, plan.config_version]
    if plan.records:
        values.append(len(plan.records))
    return values
