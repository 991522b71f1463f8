"""Row counts without counting a table: exact for small tables, from indexes or estimated for large ones.

Whatever the tables hold, a count costs no more than reading `EXACT` rows and `MOST_COUNTED` entries of an index.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, models, transaction

from deliveries.models import Attempt, Delivery, Event
from deliveries.storage import backend

#: Tables of up to this many rows are counted.
EXACT = 10_000
#: Entries of a partial index are counted up to this.
MOST_COUNTED = 100_000

_Status = Delivery.Status
# Conditions of the partial indexes, word for word: SQLite uses them in no other case.
_FAILING = "status IN ('retrying', 'failed')"
_SET_ASIDE = "status IN ('discarded', 'superseded')"
_BY_INDEX = {
    _Status.SENDING: "status = 'sending'",
    _Status.RETRYING: f"status = 'retrying' AND {_FAILING}",
    _Status.FAILED: f"status = 'failed' AND {_FAILING}",
    _Status.DISCARDED: f"status = 'discarded' AND {_SET_ASIDE}",
    _Status.SUPERSEDED: f"status = 'superseded' AND {_SET_ASIDE}",
}


def event_count() -> int:
    return _rows_of(Event)


def attempt_count() -> int:
    return _rows_of(Attempt)


def delivery_counts() -> dict[str, int]:
    """Return counts by status. In a large table, `succeeded` is the remainder of an estimate and includes held ones."""
    with transaction.atomic():
        backend().prefer_indexes()
        total = _rows_of(Delivery)
        if total <= EXACT:
            return dict.fromkeys(_Status.values, 0) | _exact_statuses()
        counts: dict[str, int] = {status: _entries(condition) for status, condition in _BY_INDEX.items()}
        queued = _entries("due_at IS NOT NULL")
    counts[_Status.PENDING] = max(0, queued - counts[_Status.SENDING] - counts[_Status.RETRYING])
    return counts | {_Status.SUCCEEDED: max(0, total - sum(counts.values()))}


def _exact_statuses() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT status, COUNT(*) FROM (SELECT status FROM deliveries_delivery LIMIT {EXACT}) AS kept GROUP BY 1"
        )
        return dict(cursor.fetchall())


def _entries(condition: str) -> int:
    """Return the number of entries of the partial index with this condition."""
    rows = f"SELECT 1 FROM deliveries_delivery WHERE {condition} LIMIT {MOST_COUNTED}"
    return int(_value(f"SELECT COUNT(*) FROM ({rows}) AS counted"))


def _rows_of(model: type[models.Model]) -> int:
    table = model._meta.db_table
    count = int(_value(f"SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT {EXACT + 1}) AS counted"))
    return count if count <= EXACT else max(count, backend().estimated_rows(table))


def _value(query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]
