"""Results in SQLite: one prepared statement for many rows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.db import connection, transaction

from deliveries.storage.columns import Written
from deliveries.storage.rows.results import FinishedAttempt, OpenedAttempt, RecordedDelivery

_OPENED, _FINISHED, _RECORDED = Written(OpenedAttempt), Written(FinishedAttempt), Written(RecordedDelivery)

_OPEN = (
    f"INSERT INTO deliveries_attempt ({_OPENED.columns}, outcome, is_response_truncated, error_kind, error_message,"
    f" summary) VALUES ({_OPENED.marks}, 'running', false, '', '', '')"
)
_FINISH = (
    f"UPDATE deliveries_attempt SET {_FINISHED.assigned('%s', 'id')}"
    " WHERE id = %s AND outcome IN ('running', 'unknown')"
)
_RECORD = (
    f"UPDATE deliveries_delivery SET {_RECORDED.assigned('%s', 'id', 'lease')}, lease = NULL, crash_count = 0"
    " WHERE id = %s AND lease = %s AND status = 'sending'"
)


class Results:
    def open_attempts(self, rows: Sequence[OpenedAttempt]) -> None:
        if rows:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.executemany(_OPEN, _OPENED.cells(rows))

    def finish_attempts(self, rows: Sequence[FinishedAttempt]) -> None:
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(_FINISH, _FINISHED.cells(rows))

    def record_deliveries(self, rows: Sequence[RecordedDelivery]) -> set[uuid.UUID]:
        if not rows:
            return set()
        leases = {row.id.hex: row.lease.hex for row in rows}
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, lease FROM deliveries_delivery"
                f" WHERE status = 'sending' AND id IN ({', '.join(['%s'] * len(leases))})",
                list(leases),
            )
            held = {uuid.UUID(key) for key, lease in cursor.fetchall() if leases[key] == lease}
            cursor.executemany(_RECORD, _RECORDED.cells([row for row in rows if row.id in held]))
        return held
