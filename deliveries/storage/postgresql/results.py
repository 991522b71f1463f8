"""Results in PostgreSQL: many rows by one statement."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from deliveries.storage.columns import Written
from deliveries.storage.rows.results import FinishedAttempt, OpenedAttempt, RecordedDelivery
from deliveries.storage.sql import execute_prepared

_OPENED, _FINISHED, _RECORDED = Written(OpenedAttempt), Written(FinishedAttempt), Written(RecordedDelivery)

_OPEN = (
    f"INSERT INTO deliveries_attempt ({_OPENED.columns}, outcome, is_response_truncated, error_kind, error_message,"
    f" summary) SELECT r.*, 'running', false, '', '', '' FROM {_OPENED.unnested} AS r"
)
_FINISH = (
    f"UPDATE deliveries_attempt a SET {_FINISHED.assigned('r.{}', 'id')}"
    f" FROM {_FINISHED.unnested} AS r({_FINISHED.columns})"
    " WHERE a.id = r.id AND a.outcome IN ('running', 'unknown')"
)
# Row by row through the primary key: a bare `status = 'sending'` would tempt the planner to read the index of all that
# is in dispatch, which looks empty to it and is full of what has been.
_RECORD = (
    f"UPDATE deliveries_delivery d SET {_RECORDED.assigned('r.{}', 'id', 'lease')}, lease = NULL, crash_count = 0"
    f" FROM {_RECORDED.unnested} AS r({_RECORDED.columns})"
    " WHERE d.id = r.id AND d.lease = r.lease AND d.status || '' = 'sending' RETURNING d.id"
)


class Results:
    def open_attempts(self, rows: Sequence[OpenedAttempt]) -> None:
        if rows:
            execute_prepared(_OPEN, _OPENED.arrays(rows))

    def finish_attempts(self, rows: Sequence[FinishedAttempt]) -> None:
        if rows:
            execute_prepared(_FINISH, _FINISHED.arrays(rows))

    def record_deliveries(self, rows: Sequence[RecordedDelivery]) -> set[uuid.UUID]:
        return {key for (key,) in execute_prepared(_RECORD, _RECORDED.arrays(rows))} if rows else set()
