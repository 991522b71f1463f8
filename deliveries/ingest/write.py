"""Writing a plan: all of it or nothing, and only if what it was planned on still holds."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.db import connection, transaction

from deliveries.dispatch.ordering import first_in_line, lock_order_keys
from deliveries.ingest.one_statement import write_in_one_statement
from deliveries.ingest.plan import IdempotencyRecord, Plan, PlanIsStale
from deliveries.runtime.failpoints import failpoint
from deliveries.storage.sql import as_time


def write_plan(plan: Plan, repetition: IdempotencyRecord | None = None, *, notifies: bool = False) -> None:
    """Store events, deliveries, records and the key in one transaction.

    Raises PlanIsStale or, for a plan that guesses, RecordsExist; nothing is stored then. `notifies`: the commit itself
    wakes the engines, where the database can.
    """
    if keys := plan.order_keys:
        with transaction.atomic():
            lock_order_keys(keys)
            _write(plan, repetition, _held_rows(plan), notifies=notifies)
    else:
        _write(plan, repetition, frozenset(), notifies=notifies)


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


def _write(plan: Plan, repetition: IdempotencyRecord | None, held: frozenset[uuid.UUID], *, notifies: bool) -> None:
    if connection.vendor == "postgresql":
        write_in_one_statement(plan, repetition, held, notifies=notifies)
    else:
        _write_portably(plan, repetition, held)


def _write_portably(plan: Plan, repetition: IdempotencyRecord | None, held: frozenset[uuid.UUID]) -> None:
    """Any other database: plain statements in one transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM integrations_store WHERE id = %s AND config_version = %s",
            [plan.store_id.hex, plan.config_version],
        )
        if cursor.fetchone() is None:
            raise PlanIsStale
        _write_records(cursor, plan)
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
        store, now = plan.store_id.hex, as_time(plan.now)
        cursor.executemany(
            "INSERT INTO deliveries_event (id, store_id, topic, intent, object_type, object_id, data, origin,"
            " occurred_at, created_at, hops, cascade_left, is_stopped)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (row.id.hex, store, row.topic, row.intent, row.object_type, row.object_id, row.data_json, plan.origin,
                 as_time(row.occurred_at), now, row.hops, row.cascade_left, row.is_stopped)
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
