"""Pushes in PostgreSQL: a whole push by one statement, one round trip, one commit."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

from django.db import DataError, connection, transaction

from deliveries.runtime.failpoints import failpoint
from deliveries.storage.arrays import texts_array
from deliveries.storage.columns import Written
from deliveries.storage.postgresql.wakeups import CHANNEL
from deliveries.storage.rows.pushes import (
    DeliveryRow,
    EventRow,
    ExistingRecords,
    IdempotencyRecord,
    PlanIsStale,
    PushCount,
    PushRows,
    RecordRow,
    RecordsExist,
)
from deliveries.storage.sql import execute_prepared

_DELIVERIES, _RECORDS = Written(DeliveryRow), Written(RecordRow)
#: Only what came back from a receiver says how far it came: of anything else the columns' defaults are true.
_EVENTS = {True: Written(EventRow), False: Written(EventRow, without=("hops", "cascade_left", "is_stopped"))}

_HEAD = "c AS (SELECT %s::uuid AS store, %s::text AS origin, %s::timestamptz AS now)"
_STORE, _ORIGIN, _NOW = "(SELECT store FROM c)", "(SELECT origin FROM c)", "(SELECT now FROM c)"
_PUSHED = f"pushed AS (SELECT * FROM {_RECORDS.unnested} AS p({_RECORDS.columns}))"
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
    "event AS (INSERT INTO deliveries_event ({columns}, store_id, origin, created_at)"
    f" SELECT {{columns}}, {_STORE}, {_ORIGIN}, {_NOW} FROM {{unnested}} AS e({{columns}})"
)
_DELIVERY = (
    f"delivery AS (INSERT INTO deliveries_delivery ({_DELIVERIES.columns}, store_id, status, trigger, attempt_count,"
    " retry_count, crash_count, revision, is_awaiting_source, last_error, created_at)"
    f" SELECT {_DELIVERIES.columns}, {_STORE}, 'pending', 'scheduled', 0, 0, 0, 0, false, '', {_NOW}"
    f" FROM {_DELIVERIES.unnested} AS d({_DELIVERIES.columns})"
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

# Those that do not exist are inserted as version 0: new and existing ones must be locked in one order.
_LOCK = (
    "INSERT INTO deliveries_record (store_id, type, external_id, data, version, created_at, updated_at)"
    " SELECT %s, p.type, p.external_id, '{}', 0, now(), now()"
    " FROM unnest(%s::text[], %s::text[]) AS p(type, external_id)"
    " ON CONFLICT (store_id, type, external_id) DO UPDATE SET version = deliveries_record.version"
    " RETURNING type, external_id, version, data"
)

# A clock that is behind the row's, on another host or because it waited for the row, counts into the row's second.
# Nothing is lost if the last count is: its commit need not wait for the disk.
_COUNT = (
    "INSERT INTO deliveries_pushwindow AS w (store_id, second, used)"
    " VALUES (%s, floor(extract(epoch FROM clock_timestamp()))::bigint, %s::bigint)"
    " ON CONFLICT (store_id) DO UPDATE SET"
    " used = CASE WHEN excluded.second > w.second THEN excluded.used ELSE w.used + excluded.used END,"
    " second = CASE WHEN excluded.second > w.second THEN excluded.second ELSE w.second END"
    " RETURNING used, second, extract(epoch FROM clock_timestamp())::float8,"
    " (SELECT set_config('synchronous_commit', 'off', true))"
)


class Pushes:
    has_one_writer = False
    #: While it writes, the database finds out whether records are new.
    can_guess_new = True

    def write_push(
        self, rows: PushRows, repetition: IdempotencyRecord | None = None, *, notifies: bool = False
    ) -> None:
        # A premise that does not hold fails the statement as a whole, by a division by zero.
        from psycopg.errors import DivisionByZero

        query = _query(
            bool(rows.events),
            bool(rows.deliveries),
            bool(rows.records),
            repetition is not None,
            assumes_new=rows.assumes_new,
            notifies=notifies,
            has_hops=rows.has_hops,
        )
        values = _values(rows, repetition)
        failpoint("ingest.before_commit")
        try:
            # A savepoint only where a transaction is open: alone, the statement is its own transaction.
            if connection.in_atomic_block:
                with transaction.atomic():
                    found = execute_prepared(query, values)
            else:
                found = execute_prepared(query, values)
        except DataError as error:
            if isinstance(error.__cause__, DivisionByZero):
                raise PlanIsStale from None
            raise
        if rows.assumes_new and found[0][0] is not None:
            raise RecordsExist(_as_known(found))

    def existing_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        types, ids = zip(*wanted, strict=True)
        query = f"WITH c AS (SELECT %s::uuid AS store), {_WANTED}, {_FOUND} {_SELECT_FOUND}"
        return _as_known(execute_prepared(query, [store_id, texts_array(types), texts_array(ids)]))

    def locked_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        types, ids = zip(*sorted(wanted), strict=True)
        found = _as_known(execute_prepared(_LOCK, [store_id, texts_array(types), texts_array(ids)]))
        return {key: (version, data) for key, (version, data) in found.items() if version}

    def hold_configuration(self, store_id: uuid.UUID) -> None:
        # Shared: pushes do not wait for each other here, only for changes of the configuration.
        execute_prepared("SELECT 1 FROM integrations_store WHERE id = %s FOR SHARE", [store_id])

    def count_pushes(self, store_id: uuid.UUID, number: int) -> PushCount:
        used, second, now, _ = execute_prepared(_COUNT, [store_id, number])[0]
        return PushCount(used, second, now)


def _as_known(rows: Iterable[tuple[Any, ...]]) -> ExistingRecords:
    return {(kind, external_id): (version, json.loads(data)) for kind, external_id, version, data in rows}


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
        events = _EVENTS[has_hops]
        parts.append(f"{_EVENT.format(columns=events.columns, unnested=events.unnested)}{only})")
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


def _values(rows: PushRows, repetition: IdempotencyRecord | None) -> list[Any]:
    values: list[Any] = [rows.store_id, rows.origin, rows.now]
    if rows.records:
        values += _RECORDS.arrays(rows.records)
    if rows.events:
        values += _EVENTS[rows.has_hops].arrays(rows.events)
    if rows.deliveries:
        values += _DELIVERIES.arrays(rows.deliveries)
    if repetition is not None:
        values += [repetition.key, repetition.body_hash, json.dumps(repetition.response)]
    values += [rows.store_id, rows.config_version]
    if rows.records:
        values.append(len(rows.records))
    return values
