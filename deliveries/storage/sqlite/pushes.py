"""Pushes on SQLite: plain statements in one transaction."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import Any

from django.db import connection, transaction

from deliveries.models import Record
from deliveries.runtime.failpoints import failpoint
from deliveries.storage.columns import Written
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
    Verdict,
    WaitingPush,
    raise_unless_stored,
)
from deliveries.storage.sqlite.values import as_time

#: Most keys that one SELECT looks for.
KEYS_PER_STATEMENT = 500

_DELIVERIES, _EVENTS = Written(DeliveryRow), Written(EventRow)
_INSERT_EVENT = (
    f"INSERT INTO deliveries_event ({_EVENTS.columns}, store_id, origin, created_at)"
    f" VALUES ({_EVENTS.marks}, %s, %s, %s)"
)
_INSERT_DELIVERY = (
    f"INSERT INTO deliveries_delivery ({_DELIVERIES.columns}, store_id, created_at, status, first_sent_at,"
    ' attempt_count, "trigger", retry_count, crash_count, revision, is_awaiting_source, last_error)'
    f" VALUES ({_DELIVERIES.marks}, %s, %s, %s, %s, %s, 'scheduled', 0, 0, 0, false, '')"
)
_INSERT_RECORD = (
    "INSERT INTO deliveries_record (store_id, type, external_id, data, version, created_at, updated_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_UPDATE_RECORD = (
    "UPDATE deliveries_record SET data = %s, version = %s, updated_at = %s"
    " WHERE store_id = %s AND type = %s AND external_id = %s AND version = %s"
)
_LOOK_UP = "SELECT version, data FROM deliveries_record WHERE store_id = %s AND type = %s AND external_id = %s"
_LOOK_UP_KEY = "SELECT 1 FROM deliveries_idempotencykey WHERE store_id = %s AND key = %s"
_INSERT_KEY = (
    "INSERT INTO deliveries_idempotencykey (store_id, key, body_hash, response, created_at)"
    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
# If this process's second is older than the row's, because it had to wait, the push counts in the row's second.
_COUNT = (
    "INSERT INTO deliveries_pushwindow AS w (store_id, second, used) VALUES (%s, %s, %s)"
    " ON CONFLICT (store_id) DO UPDATE SET"
    " used = CASE WHEN excluded.second > w.second THEN excluded.used ELSE w.used + excluded.used END,"
    " second = CASE WHEN excluded.second > w.second THEN excluded.second ELSE w.second END"
    " RETURNING used, second"
)


class Pushes:
    has_one_writer = True

    def write_push(
        self, rows: PushRows, idempotency: IdempotencyRecord | None = None, *, notifies: bool = False
    ) -> None:
        (verdict,) = self.write_pushes([WaitingPush(rows, idempotency)])
        raise_unless_stored(verdict, rows)

    def write_pushes(
        self,
        pushes: Sequence[WaitingPush],
        *,
        notifies: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Verdict]:
        """Write the pushes in one transaction. `notifies` is ignored: engines detect each commit."""
        with transaction.atomic(), connection.cursor() as cursor:
            # One writer at a time: the verdicts stay true until the commit.
            verdicts = [_verdict(cursor, push) for push in pushes]
            good = [push for push, verdict in zip(pushes, verdicts, strict=True) if verdict is None]
            for push in good:
                _write_shared(cursor, push.rows, push.idempotency)
            cursor.executemany(_INSERT_EVENT, [cells for push in good for cells in _event_cells(push.rows)])
            cursor.executemany(_INSERT_DELIVERY, [cells for push in good for cells in _delivery_cells(push.rows)])
            failpoint("ingest.before_commit")
            if meanwhile is not None:
                meanwhile()
        return verdicts

    def existing_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        known: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        for kind in {key[0] for key in wanted}:
            of_kind = [key[1] for key in wanted if key[0] == kind]
            for start in range(0, len(of_kind), KEYS_PER_STATEMENT):
                chunk = of_kind[start : start + KEYS_PER_STATEMENT]
                found = Record.objects.filter(store_id=store_id, type=kind, external_id__in=chunk)
                for external_id, version, data in found.values_list("external_id", "version", "data"):
                    known[kind, external_id] = (version, data)
        return known

    def locked_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        """Read without locking: there is one writer at a time, so nobody else can change the records."""
        return self.existing_records(store_id, wanted)

    def hold_configuration(self, store_id: uuid.UUID) -> None:
        """Do nothing: there is one writer at a time."""

    def count_pushes(self, store_id: uuid.UUID, number: int) -> PushCount:
        now = time.time()
        with connection.cursor() as cursor:
            # Losing the last count does no harm, so its commit need not wait for the disk, unless a push is part of it.
            if not connection.in_atomic_block:
                cursor.execute("PRAGMA synchronous = NORMAL")
            try:
                cursor.execute(_COUNT, [store_id.hex, int(now), number])
                used, second = cursor.fetchone()
            finally:
                if not connection.in_atomic_block:
                    cursor.execute("PRAGMA synchronous = FULL")
        return PushCount(used, second, now)


def _is_current(cursor: Any, rows: PushRows) -> bool:
    cursor.execute(
        "SELECT 1 FROM integrations_store WHERE id = %s AND config_version = %s",
        [rows.store_id.hex, rows.config_version],
    )
    return cursor.fetchone() is not None


def _verdict(cursor: Any, push: WaitingPush) -> Verdict:
    """Decide whether this push can be written. Pushes written earlier in the same transaction do not affect it."""
    store = push.rows.store_id.hex
    if not _is_current(cursor, push.rows):
        return PlanIsStale()
    found = {}
    for row in push.rows.records:
        cursor.execute(_LOOK_UP, [store, row.type, row.external_id])
        version, data = cursor.fetchone() or (0, "")
        if version and not row.read_version:
            found[row.type, row.external_id] = (version, json.loads(data))
        elif version != row.read_version:
            return PlanIsStale()
    if found:
        return RecordsExist(found)
    if push.idempotency is not None:
        cursor.execute(_LOOK_UP_KEY, [store, push.idempotency.key])
        if cursor.fetchone() is not None:
            return PlanIsStale()
    return None


def _write_shared(cursor: Any, rows: PushRows, idempotency: IdempotencyRecord | None) -> None:
    """Write records and the idempotency key."""
    store, now = rows.store_id.hex, as_time(rows.now)
    for record in rows.records:
        _write_record(cursor, record, store, now)
    if idempotency is not None:
        response = json.dumps(idempotency.response)
        _write_one(cursor, _INSERT_KEY, [store, idempotency.key, idempotency.body_hash, response, now])


def _event_cells(rows: PushRows) -> list[tuple[Any, ...]]:
    store, now = rows.store_id.hex, as_time(rows.now)
    return [(*cells, store, rows.origin, now) for cells in _EVENTS.cells(rows.events)]


def _delivery_cells(rows: PushRows) -> list[tuple[Any, ...]]:
    store, now = rows.store_id.hex, as_time(rows.now)
    born = {True: ("sending", now, 1), False: ("pending", None, 0)}
    cells = _DELIVERIES.cells(rows.deliveries)
    return [(*cell, store, now, *born[row.lease is not None]) for cell, row in zip(cells, rows.deliveries, strict=True)]


def _write_record(cursor: Any, row: RecordRow, store: str, now: str) -> None:
    if row.read_version:
        key = [store, row.type, row.external_id, row.read_version]
        _write_one(cursor, _UPDATE_RECORD, [row.data_json, row.version, now, *key])
    else:
        _write_one(cursor, _INSERT_RECORD, [store, row.type, row.external_id, row.data_json, row.version, now, now])


def _write_one(cursor: Any, statement: str, values: list[Any]) -> None:
    cursor.execute(statement, values)
    if cursor.rowcount != 1:
        raise PlanIsStale
