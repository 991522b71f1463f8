"""Claims on PostgreSQL. An advisory lock serialises the claims of any number of engines."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from deliveries.storage.arrays import big_numbers_array, numbers_array
from deliveries.storage.columns import Selected
from deliveries.storage.rows.claims import (
    LEASE_GRACE,
    QUEUED_INTEGRATIONS,
    ClaimedDelivery,
    IntegrationQueue,
    Leased,
)
from deliveries.storage.sql import execute_plain, execute_prepared, to_time

logger = logging.getLogger("hookdesk.engine")

#: An arbitrary constant.
CLAIM_LOCK = 0x486F6F6B

_QUEUED = Selected(IntegrationQueue, converted={"reserved": int})
_CLAIMED = Selected(
    ClaimedDelivery,
    converted={datetime: to_time},
    spelled={
        # Unix seconds, because converting a timestamptz in Python is expensive.
        "first_sent_at": "extract(epoch FROM d.first_sent_at)::float8",
        "occurred_at": "extract(epoch FROM e.occurred_at)::float8",
        "lease_ended_at": "extract(epoch FROM CASE WHEN due.old_status = 'sending' THEN due.old_due_at END)::float8",
        "interrupted_trigger": "due.old_trigger",
    },
)

# The row keeps the attempt's trigger until the attempt is recorded: it is stored nowhere else in the meantime.
_CLAIM = f"""
WITH due AS (
  SELECT d.id, d.status AS old_status, d.trigger AS old_trigger, d.due_at AS old_due_at
  FROM unnest(%s::bigint[], %s::int[]) AS a(integration_id, room),
  LATERAL (SELECT id, status, trigger, due_at FROM deliveries_delivery
           WHERE integration_id = a.integration_id AND due_at <= %s
           ORDER BY due_at LIMIT a.room FOR UPDATE SKIP LOCKED) d
)
UPDATE deliveries_delivery d
SET status = 'sending', lease = %s, due_at = %s + make_interval(secs => i.timeout + {LEASE_GRACE}),
  attempt_count = d.attempt_count + 1, first_sent_at = coalesce(d.first_sent_at, %s),
  crash_count = CASE WHEN due.old_status = 'sending' THEN d.crash_count + 1 ELSE d.crash_count END,
  trigger = CASE WHEN due.old_status = 'sending' AND due.old_trigger <> 'test' THEN 'scheduled' ELSE d.trigger END
FROM due, integrations_integration i, deliveries_event e
WHERE d.id = ANY(ARRAY(SELECT id FROM due)) AND due.id = d.id AND i.id = d.integration_id AND e.id = d.event_id
RETURNING {_CLAIMED.columns}, (SELECT version FROM integrations_configclock WHERE id = 1)
"""
_QUEUED_SQL = QUEUED_INTEGRATIONS.format(columns=_QUEUED.columns)
_LOCK = f"SELECT pg_advisory_xact_lock({CLAIM_LOCK})"


class Claims:
    def lock_claims(self) -> None:
        execute_plain(_LOCK)

    def queued_integrations(self, now: datetime) -> list[IntegrationQueue]:
        # Prepared, because planning costs more than running.
        return [_QUEUED.read(row) for row in execute_prepared(_QUEUED_SQL, [now] * 3)]

    def lease(self, shares: Mapping[int, int], lease: uuid.UUID, now: datetime) -> Leased:
        values = [big_numbers_array(shares), numbers_array(shares.values()), now, lease, now, now]
        found = execute_prepared(_CLAIM, values)
        rows: list[ClaimedDelivery] = []
        unreadable: list[Any] = []
        for row in found:
            try:
                rows.append(_CLAIMED.read(row, lease=lease))
            except Exception:
                logger.exception("could not read delivery %s", row[0])
                unreadable.append(row[0])
        return Leased(rows, (found[0][-1] or 0) if found else None, unreadable)

    def lock_numbers(self, numbers: list[int]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(n) FROM unnest(%s::bigint[]) AS n", [numbers])
