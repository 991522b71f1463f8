"""Pushes on PostgreSQL: write them with the statement of `push_groups`, read and lock the records they change."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from django.db import OperationalError

from deliveries.storage.arrays import texts_array
from deliveries.storage.postgresql.push_groups import write_together
from deliveries.storage.rows.pushes import (
    ExistingRecords,
    IdempotencyRecord,
    PlanIsStale,
    PushCount,
    PushRows,
    Verdict,
    WaitingPush,
    raise_unless_stored,
)
from deliveries.storage.sql import execute_prepared, use_for_groups

# OFFSET 0 forces one index lookup per object, even if the planner would prefer to scan a small table.
_FIND = (
    "SELECT r.type, r.external_id, r.version, r.data FROM unnest(%s::text[], %s::text[]) AS p(type, external_id)"
    " CROSS JOIN LATERAL (SELECT * FROM deliveries_record"
    " WHERE store_id = %s::uuid AND type = p.type AND external_id = p.external_id OFFSET 0) r"
)

# Missing records are inserted with version 0, so that new and existing ones are locked in one order.
_LOCK = (
    "INSERT INTO deliveries_record (store_id, type, external_id, data, version, created_at, updated_at)"
    " SELECT %s, p.type, p.external_id, '{}', 0, now(), now()"
    " FROM unnest(%s::text[], %s::text[]) AS p(type, external_id)"
    " ON CONFLICT (store_id, type, external_id) DO UPDATE SET version = deliveries_record.version"
    " RETURNING type, external_id, version, data"
)

# If the statement's second is older than the row's, because it waited for the row or another host's clock is ahead, the
# push counts in the row's second. Losing the last count does no harm, so its commit need not wait for the disk.
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

    def write_push(
        self, rows: PushRows, idempotency: IdempotencyRecord | None = None, *, notifies: bool = False
    ) -> None:
        verdicts = write_together([WaitingPush(rows, idempotency)], notifies=notifies)
        raise_unless_stored(PlanIsStale() if verdicts is None else verdicts[0], rows)

    def write_pushes(
        self,
        pushes: Sequence[WaitingPush],
        *,
        notifies: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Verdict]:
        from psycopg.errors import DeadlockDetected, LockNotAvailable

        use_for_groups()
        try:
            verdicts = write_together(pushes, notifies=notifies, meanwhile=meanwhile)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                raise
            # Another transaction has locked rows that one of them writes. Each falls back to the slow path to wait.
            return [PlanIsStale() for _ in pushes]
        if verdicts is not None:
            return verdicts
        if len(pushes) == 1:
            return [PlanIsStale()]
        return [verdict for push in pushes for verdict in self.write_pushes([push], notifies=notifies)]

    def existing_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        types, ids = zip(*wanted, strict=True)
        return _as_known(execute_prepared(_FIND, [texts_array(types), texts_array(ids), store_id]))

    def locked_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        types, ids = zip(*sorted(wanted), strict=True)
        found = _as_known(execute_prepared(_LOCK, [store_id, texts_array(types), texts_array(ids)]))
        return {key: (version, data) for key, (version, data) in found.items() if version}

    def hold_configuration(self, store_id: uuid.UUID) -> None:
        # A shared lock: pushes wait only for configuration changes, not for each other.
        execute_prepared("SELECT 1 FROM integrations_store WHERE id = %s FOR SHARE", [store_id])

    def count_pushes(self, store_id: uuid.UUID, number: int) -> PushCount:
        used, second, now, _ = execute_prepared(_COUNT, [store_id, number])[0]
        return PushCount(used, second, now)


def _as_known(rows: Iterable[tuple[Any, ...]]) -> ExistingRecords:
    return {(kind, external_id): (version, json.loads(data)) for kind, external_id, version, data in rows}
