"""Writing a plan: all of it or nothing, and only if what it was planned on still holds."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction

from deliveries.arrays import big_numbers_array, keys_array, numbers_array, texts_array, times_array
from deliveries.failpoints import failpoint
from deliveries.ingest.plan import Plan
from deliveries.ordering import first_in_line, lock_order_keys
from deliveries.sql import as_time, execute_prepared


class PlanIsStale(Exception):
    """The configuration, a record or an idempotency key changed since the plan was made. Plan again."""


class Repetition:
    """The idempotency key that a plan is written under, with the answer that a repetition gets."""

    __slots__ = ("body_hash", "key", "response")

    def __init__(self, key: str, body_hash: str, response: Any) -> None:
        self.key = key
        self.body_hash = body_hash
        self.response = response


def write_plan(plan: Plan, repetition: Repetition | None = None) -> None:
    """Store events, deliveries, records and the key in one transaction. Raises PlanIsStale, and nothing is stored."""
    if plan.has_ordered:
        with transaction.atomic():
            keys = {(row.subscription_id, row.order_key) for row in plan.deliveries if row.order_key is not None}
            lock_order_keys(keys)
            _write(plan, repetition, held=_held_rows(plan))
    else:
        _write(plan, repetition, held=frozenset())


def _held_rows(plan: Plan) -> frozenset[uuid.UUID]:
    """Ordered deliveries that must wait for an earlier one of the same record."""
    held = set()
    taken: set[tuple[uuid.UUID, str]] = set()
    for row in plan.deliveries:
        if row.order_key is None:
            continue
        key = (row.subscription_id, row.order_key)
        if key in taken or first_in_line(*key) is not None:
            held.add(row.id)
        taken.add(key)
    return frozenset(held)


def _write(plan: Plan, repetition: Repetition | None, *, held: frozenset[uuid.UUID]) -> None:
    if connection.vendor == "postgresql":
        _write_postgresql(plan, repetition, held)
    else:
        _write_portably(plan, repetition, held)


# --- PostgreSQL: one statement, one round trip, one commit ------------------------------------------------

_EVENT = (
    "INSERT INTO deliveries_event (id, store_id, topic, intent, object_type, object_id, data, origin, occurred_at,"
    " created_at) SELECT id, {store}, topic, intent, type, object_id, data, {origin}, occurred_at, {now}"
    " FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])"
    " AS e(id, topic, intent, type, object_id, data, occurred_at)"
)
_DELIVERY = (
    "INSERT INTO deliveries_delivery (id, event_id, store_id, integration_id, subscription_id, topic, status,"
    ' "trigger", due_at, attempt_count, retry_count, crash_count, revision, order_key, is_awaiting_source, last_error,'
    " created_at) SELECT id, event_id, {store}, integration_id, subscription_id, topic, 'pending', 'scheduled', due_at,"
    " 0, 0, 0, 0, order_key, false, '', {now}"
    " FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[])"
    " AS d(id, event_id, integration_id, subscription_id, topic, order_key, due_at)"
)
_RECORD = (
    "INSERT INTO deliveries_record (store_id, type, external_id, data, version, created_at, updated_at)"
    " SELECT {store}, type, external_id, data, version, {now}, {now}"
    " FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[], %s::int[])"
    " AS r(type, external_id, data, version, read_version)"
    " ON CONFLICT (store_id, type, external_id) DO UPDATE SET data = excluded.data, version = excluded.version,"
    " updated_at = excluded.updated_at"
    " WHERE deliveries_record.version = (SELECT p.read_version FROM unnest(%s::text[], %s::text[], %s::int[])"
    " AS p(type, external_id, read_version)"
    " WHERE p.type = excluded.type AND p.external_id = excluded.external_id) RETURNING 1"
)
_KEY = (
    "INSERT INTO deliveries_idempotencykey (store_id, key, body_hash, response, created_at)"
    " VALUES ({store}, %s, %s, %s, {now}) ON CONFLICT DO NOTHING RETURNING 1"
)


def _write_postgresql(plan: Plan, repetition: Repetition | None, held: frozenset[uuid.UUID]) -> None:
    """All rows by one statement, which fails as a whole (division by zero) if a premise no longer holds."""
    from psycopg.errors import DivisionByZero

    parts: list[str] = []
    values: list[Any] = []
    checks = ["(SELECT count(*) FROM integrations_store WHERE id = %s AND config_version = %s) = 1"]
    head = "WITH c AS (SELECT %s::uuid AS store, %s::text AS origin, %s::timestamptz AS now)"
    values += [plan.store_id, plan.origin, plan.now]
    common = {"store": "(SELECT store FROM c)", "origin": "(SELECT origin FROM c)", "now": "(SELECT now FROM c)"}
    for name, statement, columns in _statements(plan, held):
        parts.append(f"{name} AS ({statement.format(**common)})")
        values += columns
    if plan.records:
        checks.append("(SELECT count(*) FROM record) = %s")
    if repetition is not None:
        parts.append(f"key AS ({_KEY.format(**common)})")
        values += [repetition.key, repetition.body_hash, json.dumps(repetition.response)]
        checks.append("(SELECT count(*) FROM key) = 1")
    query = f"{', '.join([head, *parts])} SELECT 1 / (CASE WHEN {' AND '.join(checks)} THEN 1 ELSE 0 END)"
    values += [plan.store_id, plan.config_version]
    if plan.records:
        values.append(len(plan.records))
    failpoint("ingest.before_commit")
    try:
        # A savepoint only where a transaction is open: alone, the statement is its own transaction.
        if connection.in_atomic_block:
            with transaction.atomic():
                execute_prepared(query, values)
        else:
            execute_prepared(query, values)
    except Exception as error:
        if isinstance(error, DivisionByZero) or isinstance(error.__cause__, DivisionByZero):
            raise PlanIsStale from None
        raise


def _statements(plan: Plan, held: frozenset[uuid.UUID]) -> Iterable[tuple[str, str, list[Any]]]:
    if plan.events:
        rows = plan.events
        yield (
            "event",
            _EVENT,
            [
                keys_array(row.id for row in rows),
                texts_array(row.topic for row in rows),
                texts_array(row.intent for row in rows),
                texts_array(row.object_type for row in rows),
                texts_array(row.object_id for row in rows),
                texts_array(row.data_json for row in rows),
                times_array(row.occurred_at for row in rows),
            ],
        )
    if plan.deliveries:
        wanted = plan.deliveries
        yield (
            "delivery",
            _DELIVERY,
            [
                keys_array(row.id for row in wanted),
                keys_array(row.event_id for row in wanted),
                big_numbers_array(row.integration_id for row in wanted),
                keys_array(row.subscription_id for row in wanted),
                texts_array(row.topic for row in wanted),
                texts_array(row.order_key for row in wanted),
                times_array(None if row.id in held else plan.now for row in wanted),
            ],
        )
    if plan.records:
        records = plan.records
        types = texts_array(row.type for row in records)
        ids = texts_array(row.external_id for row in records)
        reads = numbers_array(row.read_version for row in records)
        documents = texts_array(row.data_json for row in records)
        versions = numbers_array(row.version for row in records)
        yield "record", _RECORD, [types, ids, documents, versions, reads, types, ids, reads]


# --- any other database: plain statements in one transaction -----------------------------------------------------


def _write_portably(plan: Plan, repetition: Repetition | None, held: frozenset[uuid.UUID]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM integrations_store WHERE id = %s AND config_version = %s",
            [plan.store_id.hex, plan.config_version],
        )
        if cursor.fetchone() is None:
            raise PlanIsStale
        if repetition is not None:
            cursor.execute(
                "INSERT INTO deliveries_idempotencykey (store_id, key, body_hash, response, created_at)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    plan.store_id.hex,
                    repetition.key,
                    repetition.body_hash,
                    json.dumps(repetition.response),
                    as_time(plan.now),
                ],
            )
            if cursor.rowcount != 1:
                raise PlanIsStale
        _write_records(cursor, plan)
        store, now = plan.store_id.hex, as_time(plan.now)
        cursor.executemany(
            "INSERT INTO deliveries_event (id, store_id, topic, intent, object_type, object_id, data, origin,"
            " occurred_at, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (row.id.hex, store, row.topic, row.intent, row.object_type, row.object_id, row.data_json, plan.origin,
                 as_time(row.occurred_at), now)
                for row in plan.events
            ],
        )  # fmt: skip
        cursor.executemany(
            "INSERT INTO deliveries_delivery (id, event_id, store_id, integration_id, subscription_id, topic, status,"
            ' "trigger", due_at, attempt_count, retry_count, crash_count, revision, order_key, is_awaiting_source,'
            " last_error, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'pending', 'scheduled', %s, 0, 0, 0, 0, %s, false, '', %s)",
            [
                (row.id.hex, row.event_id.hex, store, row.integration_id, row.subscription_id.hex, row.topic,
                 None if row.id in held else now, row.order_key, now)
                for row in plan.deliveries
            ],
        )  # fmt: skip
        failpoint("ingest.before_commit")


def _write_records(cursor: Any, plan: Plan) -> None:
    for row in plan.records:
        if row.read_version:
            cursor.execute(
                "UPDATE deliveries_record SET data = %s, version = %s, updated_at = %s"
                " WHERE store_id = %s AND type = %s AND external_id = %s AND version = %s",
                [
                    row.data_json,
                    row.version,
                    as_time(plan.now),
                    plan.store_id.hex,
                    row.type,
                    row.external_id,
                    row.read_version,
                ],
            )
        else:
            cursor.execute(
                "INSERT INTO deliveries_record (store_id, type, external_id, data, version, created_at, updated_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    plan.store_id.hex,
                    row.type,
                    row.external_id,
                    row.data_json,
                    row.version,
                    as_time(plan.now),
                    as_time(plan.now),
                ],
            )
        if cursor.rowcount != 1:
            raise PlanIsStale
