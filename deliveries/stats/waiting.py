"""How much waits for each integration, and since when: bounded, however much it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from deliveries.storage.rows.claims import QUEUED
from deliveries.storage.sql import to_time
from integrations.foundation.written import grouped

#: Deliveries that wait are counted up to here, of all integrations together.
COUNTED: Final = 200_000
LEAST_COUNTED: Final = 1_000
MOST_COUNTED: Final = 10_000

# The first of each queue.
_QUEUED = (
    QUEUED
    + """
SELECT id, (SELECT min(d.due_at) FROM deliveries_delivery d
            WHERE d.integration_id = queued.id AND d.due_at IS NOT NULL AND d.status <> 'sending')
FROM queued WHERE id IS NOT NULL
"""
)
_COUNT = (
    "SELECT COUNT(*) FROM"
    " (SELECT 1 FROM deliveries_delivery WHERE integration_id = %s AND due_at IS NOT NULL LIMIT %s) AS counted"
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """`number` deliveries that are not finished, counted up to `limit`; the one due longest since `oldest_due_at`
    (None: nothing is due)."""

    number: int = 0
    limit: int = MOST_COUNTED
    oldest_due_at: datetime | None = None

    def overdue(self, now: datetime) -> float:
        """Seconds that the oldest due one has waited; 0 if nothing is due."""
        return max(0.0, (now - self.oldest_due_at).total_seconds()) if self.oldest_due_at is not None else 0.0

    @property
    def text(self) -> str:
        return f"{grouped(self.limit)}+" if self.number >= self.limit else grouped(self.number)


def waiting(now: datetime, integrations: Iterable[int] | None = None, limit: int | None = None) -> dict[int, Waiting]:
    """By integration: of these, or of all that have anything queued, disabled ones too. `limit`: count each up to here;
    None: as far as is cheap."""
    with connection.cursor() as cursor:
        cursor.execute(_QUEUED)
        oldest: dict[int, Any] = {key: to_time(moment) for key, moment in cursor.fetchall()}
        wanted = oldest.keys() if integrations is None else oldest.keys() & set(integrations)
        limit = limit or min(MOST_COUNTED, max(LEAST_COUNTED, COUNTED // max(1, len(wanted))))
        found = {}
        for key in wanted:
            cursor.execute(_COUNT, [key, limit])
            due = oldest[key]
            is_due = due is not None and due <= now
            found[key] = Waiting(int(cursor.fetchone()[0]), limit, due if is_due else None)
    return found
