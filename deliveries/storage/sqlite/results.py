"""Results on SQLite: one prepared statement for many rows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.db import connection, transaction

from deliveries.storage.columns import Written
from deliveries.storage.rows.figures import AttemptFigure, CountedAttempts, summed
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery

_ATTEMPTS, _RECORDED, _COUNTS = Written(EndedAttempt), Written(RecordedDelivery), Written(CountedAttempts)
_KEYS = ("id", "delivery_id", "number")

_INSERT = f"INSERT INTO deliveries_attempt ({_ATTEMPTS.columns}) VALUES ({_ATTEMPTS.marks})"
# The row may exist already: another engine recorded the attempt as interrupted, or the commit of this very batch was
# not confirmed. An ended attempt is not changed.
_WRITE = (
    # The delivery of a late result may have been pruned.
    f"INSERT INTO deliveries_attempt ({_ATTEMPTS.columns}) SELECT {_ATTEMPTS.marks}"
    " WHERE EXISTS (SELECT 1 FROM deliveries_delivery WHERE id = %s)"
    f" ON CONFLICT (delivery_id, number) DO UPDATE SET {_ATTEMPTS.assigned('excluded.{}', *_KEYS)}"
    " WHERE deliveries_attempt.outcome IN ('running', 'unknown')"
)
_INTERRUPT = (
    f"{_INSERT} ON CONFLICT (delivery_id, number) DO UPDATE SET outcome = excluded.outcome,"
    " error_kind = excluded.error_kind, error_message = excluded.error_message"
    " WHERE deliveries_attempt.outcome = 'running'"
)
_RECORD = (
    f"UPDATE deliveries_delivery SET {_RECORDED.assigned('%s', 'id', 'lease')}, lease = NULL, crash_count = 0,"
    " \"trigger\" = CASE WHEN \"trigger\" = 'test' THEN 'test' ELSE 'scheduled' END"
    " WHERE id = %s AND lease = %s AND status = 'sending'"
)
_COUNT = (
    f"INSERT INTO deliveries_attemptcount ({_COUNTS.columns}) VALUES ({_COUNTS.marks})"
    ' ON CONFLICT (slot, writer, integration_id, kind, "bin") DO UPDATE SET number = number + excluded.number,'
    " milliseconds = milliseconds + excluded.milliseconds"
)


class Results:
    def record_results(
        self,
        deliveries: Sequence[RecordedDelivery],
        attempts: Sequence[EndedAttempt],
        figures: Sequence[AttemptFigure] = (),
    ) -> set[uuid.UUID]:
        if not deliveries:
            return set()
        held = _held(deliveries)
        with connection.cursor() as cursor:
            cursor.executemany(_RECORD, _RECORDED.cells([row for row in deliveries if row.id in held]))
        self.write_attempts([row if row.delivery_id in held else row._replace(outcome="late") for row in attempts])
        self.count_attempts([figure for figure in figures if figure.delivery_id in held])
        return held

    def record_alone(
        self,
        deliveries: Sequence[RecordedDelivery],
        attempts: Sequence[EndedAttempt],
        figures: Sequence[AttemptFigure] = (),
    ) -> set[uuid.UUID] | None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM deliveries_delivery WHERE is_awaiting_source LIMIT 1")
                if cursor.fetchone() is not None:
                    return None
            return self.record_results(deliveries, attempts, figures)

    def count_attempts(self, figures: Sequence[AttemptFigure]) -> None:
        if figures:
            with connection.cursor() as cursor:
                cursor.executemany(_COUNT, _COUNTS.cells(summed(figures)))

    def write_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(_WRITE, [(*cells, cells[1]) for cells in _ATTEMPTS.cells(rows)])

    def interrupt_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(_INTERRUPT, _ATTEMPTS.cells(rows))


def _held(deliveries: Sequence[RecordedDelivery]) -> set[uuid.UUID]:
    """Return the deliveries whose lease is still current."""
    leases = {row.id.hex: row.lease.hex for row in deliveries}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, lease FROM deliveries_delivery"
            f" WHERE status = 'sending' AND id IN ({', '.join(['%s'] * len(leases))})",
            list(leases),
        )
        return {uuid.UUID(key) for key, lease in cursor.fetchall() if leases[key] == lease}
