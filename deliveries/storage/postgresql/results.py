"""Results on PostgreSQL: many rows in one statement."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from deliveries.storage.columns import Written
from deliveries.storage.rows.figures import AttemptFigure, CountedAttempts, summed
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery
from deliveries.storage.sql import execute_prepared

_ATTEMPTS, _RECORDED, _COUNTS = Written(EndedAttempt), Written(RecordedDelivery), Written(CountedAttempts)
_KEYS = ("id", "delivery_id", "number")

_INSERT = f"INSERT INTO deliveries_attempt AS a ({_ATTEMPTS.columns})"
# The row may exist already: another engine recorded the attempt as interrupted, or the commit of this very batch was
# not confirmed. An ended attempt is not changed.
_REPLACE = (
    f"ON CONFLICT (delivery_id, number) DO UPDATE SET {_ATTEMPTS.assigned('excluded.{}', *_KEYS)}"
    " WHERE a.outcome IN ('running', 'unknown')"
)
# The delivery of a late result may have been pruned.
_IS_THERE = "EXISTS (SELECT FROM deliveries_delivery d WHERE d.id = r.delivery_id)"
_WRITE = f"{_INSERT} SELECT r.* FROM {_ATTEMPTS.unnested} AS r({_ATTEMPTS.columns}) WHERE {_IS_THERE} {_REPLACE}"
_INTERRUPT = (
    f"{_INSERT} SELECT r.* FROM {_ATTEMPTS.unnested} AS r ON CONFLICT (delivery_id, number) DO UPDATE"
    " SET outcome = excluded.outcome, error_kind = excluded.error_kind, error_message = excluded.error_message"
    " WHERE a.outcome = 'running'"
)


def _record(condition: str) -> str:
    """Return SQL that records results, finding each row by primary key.

    `status || ''` keeps the planner from using the partial index of deliveries being sent: it looks nearly empty, but
    is full of dead entries.
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


def _count(condition: str) -> str:
    return (
        f"INSERT INTO deliveries_attemptcount AS c ({_COUNTS.columns})"
        f" SELECT r.* FROM {_COUNTS.unnested} AS r{condition}"
        ' ON CONFLICT (slot, writer, integration_id, kind, "bin") DO UPDATE'
        " SET number = c.number + excluded.number, milliseconds = c.milliseconds + excluded.milliseconds"
    )


# The sums cover all results, so they are written only if none is late, which is rare; see `_count_rest`.
_COUNTED = f", counted AS ({_count(' WHERE (SELECT count(*) FROM held) = %s')})"
_ALONE = (
    "WITH free AS MATERIALIZED"
    " (SELECT NOT EXISTS (SELECT FROM deliveries_delivery WHERE is_awaiting_source) AS is_free),"
    f" {_record(' AND (SELECT is_free FROM free)')}"
)
_ALONE_GIVES = " SELECT NULL::uuid, is_free FROM free UNION ALL SELECT id, true FROM held"
# Variants with and without figures to count.
_RECORD = {is_counted: f"WITH {_record('')}{_COUNTED * is_counted} SELECT id FROM held" for is_counted in (True, False)}
_RECORD_ALONE = {is_counted: f"{_ALONE}{_COUNTED * is_counted}{_ALONE_GIVES}" for is_counted in (True, False)}


class Results:
    def record_results(
        self,
        deliveries: Sequence[RecordedDelivery],
        attempts: Sequence[EndedAttempt],
        figures: Sequence[AttemptFigure] = (),
    ) -> set[uuid.UUID]:
        if not deliveries:
            return set()
        values = _values(deliveries, attempts, figures)
        held = {key for (key,) in execute_prepared(_RECORD[bool(figures)], values)}
        self._count_rest(deliveries, figures, held)
        return held

    def record_alone(
        self,
        deliveries: Sequence[RecordedDelivery],
        attempts: Sequence[EndedAttempt],
        figures: Sequence[AttemptFigure] = (),
    ) -> set[uuid.UUID] | None:
        rows = execute_prepared(_RECORD_ALONE[bool(figures)], _values(deliveries, attempts, figures))
        if not all(is_free for _, is_free in rows):
            return None
        held = {key for key, _ in rows if key is not None}
        self._count_rest(deliveries, figures, held)
        return held

    def count_attempts(self, figures: Sequence[AttemptFigure]) -> None:
        if figures:
            execute_prepared(_count(""), _COUNTS.arrays(summed(figures)))

    def _count_rest(
        self, deliveries: Sequence[RecordedDelivery], figures: Sequence[AttemptFigure], held: set[uuid.UUID]
    ) -> None:
        if len(held) < len(deliveries):
            self.count_attempts([figure for figure in figures if figure.delivery_id in held])

    def write_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        if rows:
            execute_prepared(_WRITE, _ATTEMPTS.arrays(rows))

    def interrupt_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        if rows:
            execute_prepared(_INTERRUPT, _ATTEMPTS.arrays(rows))


def _values(
    deliveries: Sequence[RecordedDelivery], attempts: Sequence[EndedAttempt], figures: Sequence[AttemptFigure]
) -> list[Any]:
    values: list[Any] = [*_RECORDED.arrays(deliveries), *_ATTEMPTS.arrays(attempts)]
    return [*values, *_COUNTS.arrays(summed(figures)), len(deliveries)] if figures else values
