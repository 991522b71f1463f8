"""Claims on SQLite. It has one writer at a time, so claims need no lock of their own."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connection

from deliveries.storage.columns import Selected
from deliveries.storage.rows.claims import (
    LEASE_GRACE,
    QUEUED_INTEGRATIONS,
    ClaimedDelivery,
    IntegrationQueue,
    Leased,
)
from deliveries.storage.sql import to_key, to_time
from deliveries.storage.sqlite.values import as_time

logger = logging.getLogger("hookdesk.engine")


@lru_cache(maxsize=4096)
def _known_key(value: Any) -> Any:
    """Convert a key that many deliveries share; cached, because SQLite returns the same text again and again."""
    return to_key(value)


_QUEUED = Selected(IntegrationQueue, converted={datetime: to_time, bool: bool})
#: Rows are read before the UPDATE that claims them, with the values that they will have after it.
_CLAIMED = Selected(
    ClaimedDelivery,
    converted={"id": to_key, uuid.UUID: _known_key, datetime: to_time, bool: bool},
    spelled={
        "attempt_number": "d.attempt_count + 1",
        "crash_count": "CASE WHEN d.status = 'sending' THEN d.crash_count + 1 ELSE d.crash_count END",
        "first_sent_at": "coalesce(d.first_sent_at, %s)",
        "trigger": "CASE WHEN d.status = 'sending' AND d.\"trigger\" <> 'test' THEN 'scheduled' ELSE d.\"trigger\" END",
    },
)
_QUEUED_SQL = QUEUED_INTEGRATIONS.format(columns=_QUEUED.columns)
_DUE = (
    f"SELECT {_CLAIMED.columns}, i.timeout"
    " FROM deliveries_delivery d JOIN integrations_integration i ON i.id = d.integration_id"
    " JOIN deliveries_event e ON e.id = d.event_id"
    " WHERE d.integration_id = %s AND d.due_at <= %s ORDER BY d.due_at LIMIT %s"
)
_LEASE = (
    "UPDATE deliveries_delivery SET"
    " crash_count = CASE WHEN status = 'sending' THEN crash_count + 1 ELSE crash_count END,"
    " \"trigger\" = CASE WHEN status = 'sending' AND \"trigger\" <> 'test' THEN 'scheduled' ELSE \"trigger\" END,"
    " status = 'sending', lease = %s, due_at = %s, attempt_count = attempt_count + 1,"
    " first_sent_at = coalesce(first_sent_at, %s) WHERE id IN ({marks})"
)


class Claims:
    def lock_claims(self) -> None:
        """Do nothing: there is one writer at a time."""

    def lock_numbers(self, numbers: Iterable[int]) -> None:
        """Do nothing: there is one writer at a time."""

    def queued_integrations(self, now: datetime) -> list[IntegrationQueue]:
        with connection.cursor() as cursor:
            cursor.execute(_QUEUED_SQL, [as_time(now)] * 3)
            return [_QUEUED.read(row) for row in cursor.fetchall()]

    def lease(self, shares: Mapping[int, int], lease: uuid.UUID, now: datetime) -> Leased:
        """Lease with two statements per integration. With one writer at a time, no row locks are needed."""
        rows: list[ClaimedDelivery] = []
        unreadable: list[Any] = []
        with connection.cursor() as cursor:
            for integration_id, room in shares.items():
                for row in _leased(cursor, integration_id, room, lease, now):
                    try:
                        rows.append(_CLAIMED.read(row, lease=lease))
                    except Exception:
                        logger.exception("could not read delivery %s", row[0])
                        unreadable.append(row[0])
            if not rows and not unreadable:
                return Leased([], None, [])
            cursor.execute("SELECT version FROM integrations_configclock WHERE id = 1")
            (version,) = cursor.fetchone() or (0,)
        return Leased(rows, version or 0, unreadable)


def _leased(cursor: Any, integration_id: int, room: int, lease: uuid.UUID, now: datetime) -> list[tuple[Any, ...]]:
    moment = as_time(now)
    cursor.execute(_DUE, [moment, integration_id, moment, room])
    found: list[tuple[Any, ...]] = cursor.fetchall()
    if found:
        *_, timeout = found[0]
        until = as_time(now + timedelta(seconds=timeout + LEASE_GRACE))
        statement = _LEASE.format(marks=", ".join(["%s"] * len(found)))
        cursor.execute(statement, [lease.hex, until, moment, *(row[0] for row in found)])
    return found
