"""Results in PostgreSQL: many rows by one statement."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from deliveries.storage.columns import Written
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery
from deliveries.storage.sql import execute_prepared

_ATTEMPTS, _RECORDED = Written(EndedAttempt), Written(RecordedDelivery)
_KEYS = ("id", "delivery_id", "number")

_INSERT = f"INSERT INTO deliveries_attempt AS a ({_ATTEMPTS.columns})"
# Its row may be there already: another engine took it for interrupted, or the commit of this very batch was not
# confirmed. What has ended stays as it is.
_REPLACE = (
    f"ON CONFLICT (delivery_id, number) DO UPDATE SET {_ATTEMPTS.assigned('excluded.{}', *_KEYS)}"
    " WHERE a.outcome IN ('running', 'unknown')"
)
# A late result may find that its delivery was pruned long ago.
_IS_THERE = "EXISTS (SELECT FROM deliveries_delivery d WHERE d.id = r.delivery_id)"
_WRITE = f"{_INSERT} SELECT r.* FROM {_ATTEMPTS.unnested} AS r({_ATTEMPTS.columns}) WHERE {_IS_THERE} {_REPLACE}"
_INTERRUPT = (
    f"{_INSERT} SELECT r.* FROM {_ATTEMPTS.unnested} AS r ON CONFLICT (delivery_id, number) DO UPDATE"
    " SET outcome = excluded.outcome, error_kind = excluded.error_kind, error_message = excluded.error_message"
    " WHERE a.outcome = 'running'"
)


def _record(condition: str) -> str:
    """Row by row through the primary key: a bare `status = 'sending'` would tempt the planner to read the index of all
    that is in dispatch, which looks empty to it and is full of what has been.
    """
    outcome = "CASE WHEN held.id IS NULL THEN 'late' ELSE r.\"outcome\" END"
    values = ", ".join(outcome if name == "outcome" else f'r."{name}"' for name in _ATTEMPTS.names)
    return (
        f"held AS (UPDATE deliveries_delivery d SET {_RECORDED.assigned('r.{}', 'id', 'lease')}, lease = NULL,"
        " crash_count = 0, \"trigger\" = CASE WHEN d.\"trigger\" = 'test' THEN 'test' ELSE 'scheduled' END"
        f" FROM {_RECORDED.unnested} AS r({_RECORDED.columns})"
        f" WHERE d.id = r.id AND d.lease = r.lease AND d.status || '' = 'sending'{condition} RETURNING d.id),"
        f" written AS ({_INSERT} SELECT {values} FROM {_ATTEMPTS.unnested} AS r({_ATTEMPTS.columns})"
        f" LEFT JOIN held ON held.id = r.delivery_id WHERE (held.id IS NOT NULL OR {_IS_THERE}){condition} {_REPLACE})"
    )


_RECORD = f"WITH {_record('')} SELECT id FROM held"
_RECORD_ALONE = (
    "WITH free AS MATERIALIZED"
    " (SELECT NOT EXISTS (SELECT FROM deliveries_delivery WHERE is_awaiting_source) AS is_free),"
    f" {_record(' AND (SELECT is_free FROM free)')}"
    " SELECT NULL::uuid, is_free FROM free UNION ALL SELECT id, true FROM held"
)


class Results:
    def record_results(
        self, deliveries: Sequence[RecordedDelivery], attempts: Sequence[EndedAttempt]
    ) -> set[uuid.UUID]:
        if not deliveries:
            return set()
        values = [*_RECORDED.arrays(deliveries), *_ATTEMPTS.arrays(attempts)]
        return {key for (key,) in execute_prepared(_RECORD, values)}

    def record_alone(
        self, deliveries: Sequence[RecordedDelivery], attempts: Sequence[EndedAttempt]
    ) -> set[uuid.UUID] | None:
        values = [*_RECORDED.arrays(deliveries), *_ATTEMPTS.arrays(attempts)]
        rows = execute_prepared(_RECORD_ALONE, values)
        return {key for key, _ in rows if key is not None} if all(is_free for _, is_free in rows) else None

    def write_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        if rows:
            execute_prepared(_WRITE, _ATTEMPTS.arrays(rows))

    def interrupt_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        if rows:
            execute_prepared(_INTERRUPT, _ATTEMPTS.arrays(rows))
