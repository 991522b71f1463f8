"""Claiming due deliveries: who may send how many, then a lease and a fencing token on each."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from django.db import connection
from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone

from deliveries.dispatch.pacing import PROBE_TIMEOUT, Pacer, next_eligible_at, noted_health, tokens
from deliveries.dispatch.types import LEASE_GRACE, ClaimedDelivery, IntegrationQueue
from deliveries.models import Revision
from deliveries.storage.arrays import big_numbers_array, numbers_array
from deliveries.storage.sql import as_time, execute_plain, execute_prepared, to_key, to_time
from integrations.foundation.identifiers import uuid7
from integrations.models import IntegrationHealth

logger = logging.getLogger("hookdesk.engine")

#: Any constant will do.
CLAIM_LOCK = 0x486F6F6B
#: How far an idle engine looks ahead, at most: a wake-up that is lost costs no more than this.
HORIZON = timedelta(seconds=5)
#: How long to leave alone what is due but has no room.
BLOCKED_BACKOFF = timedelta(seconds=0.5)


@dataclass(slots=True)
class Claim:
    """`next_eligible_at`: when to claim again if nothing happens before. `is_full`: all room was used.

    `config_version`: what the configuration clock showed when the rows were claimed; None where there are none.
    """

    rows: list[ClaimedDelivery]
    next_eligible_at: datetime
    config_version: int | None
    is_full: bool


# A "loose index scan": one probe per integration that has anything queued, however long its queue is.
_CANDIDATES = """
WITH RECURSIVE queued(id) AS (
  SELECT (SELECT min(integration_id) FROM deliveries_delivery WHERE due_at IS NOT NULL)
  UNION ALL
  SELECT (SELECT min(d.integration_id) FROM deliveries_delivery d
          WHERE d.due_at IS NOT NULL AND d.integration_id > queued.id)
  FROM queued WHERE queued.id IS NOT NULL
)
SELECT i.id,
  (SELECT min(d.due_at) FROM deliveries_delivery d WHERE d.integration_id = i.id AND d.due_at IS NOT NULL),
  (SELECT count(*) FROM deliveries_delivery d
   WHERE d.integration_id = i.id AND d.status = 'sending' AND d.due_at > %s),
  i.max_in_flight, i.rate_limit, coalesce(h.breaker, 'closed'), h.probe_at, h.throttled_until,
  coalesce(h.rate_tokens, 0), h.rate_refilled_at, h.first_failure_at IS NOT NULL,
  h.last_success_at IS NOT NULL AND h.consecutive_failures = 0
    AND (h.last_failure_at IS NULL OR h.last_failure_at < h.last_success_at)
FROM queued JOIN integrations_integration i ON i.id = queued.id
LEFT JOIN integrations_integrationhealth h ON h.integration_id = i.id
WHERE i.is_enabled AND i.deleted_at IS NULL
"""

_COLUMNS = (
    "d.id, d.store_id, d.integration_id, d.subscription_id, d.attempt_count, d.retry_count, d.crash_count,"
    " d.revision, d.order_key, d.failure_group_id, d.first_sent_at, e.topic, e.intent, e.object_type, e.object_id,"
    " e.data, e.origin, e.occurred_at, e.hops, e.cascade_left"
)

#: Unix seconds: reading a timestamptz is dear in Python.
_COLUMNS_POSTGRESQL = _COLUMNS.replace("d.first_sent_at", "extract(epoch FROM d.first_sent_at)::float8").replace(
    "e.occurred_at", "extract(epoch FROM e.occurred_at)::float8"
)

# A commit that claims something need not wait for the disk: before a byte leaves, the attempts are committed, and that
# makes durable what was written before them.
_CLAIM_POSTGRESQL = f"""
WITH due AS (
  SELECT d.id, d.status AS old_status, d.trigger AS old_trigger
  FROM unnest(%s::bigint[], %s::int[]) AS a(integration_id, room),
  LATERAL (SELECT id, status, trigger FROM deliveries_delivery
           WHERE integration_id = a.integration_id AND due_at <= %s
           ORDER BY due_at LIMIT a.room FOR UPDATE SKIP LOCKED) d
)
UPDATE deliveries_delivery d
SET status = 'sending', lease = %s, due_at = %s + make_interval(secs => i.timeout + {LEASE_GRACE}),
  attempt_count = d.attempt_count + 1, first_sent_at = coalesce(d.first_sent_at, %s),
  crash_count = CASE WHEN due.old_status = 'sending' THEN d.crash_count + 1 ELSE d.crash_count END,
  trigger = CASE WHEN due.old_trigger = 'test' THEN 'test' ELSE 'scheduled' END
FROM due, integrations_integration i, deliveries_event e
WHERE d.id = ANY(ARRAY(SELECT id FROM due)) AND due.id = d.id AND i.id = d.integration_id AND e.id = d.event_id
RETURNING {_COLUMNS_POSTGRESQL}, due.old_trigger, due.old_status = 'sending',
  (SELECT set_config('synchronous_commit', 'off', true)), (SELECT version FROM integrations_configclock WHERE id = 1)
"""


_LOCK = f"SELECT pg_advisory_xact_lock({CLAIM_LOCK})"


def lock_claims() -> None:
    """Until the transaction ends, no other engine claims.

    Claims are made one at a time, so that caps and rates hold over all engines. The claim comes last in an engine's
    transaction: one that locks more than its own deliveries before must take this lock first, or two engines could
    wait for each other. SQLite has one writer at a time, which is the same lock.
    """
    if connection.vendor == "postgresql":
        execute_plain(_LOCK)


def wait_for_disk() -> None:
    """The commit of this transaction is durable when it returns, although it claims: nothing follows that would be."""
    if connection.vendor == "postgresql":
        execute_plain("SET LOCAL synchronous_commit TO DEFAULT")


def claim(*, pacer: Pacer, room: int, now: datetime) -> Claim:
    """Lease up to `room` due deliveries. Inside a transaction, which also serialises the claims of all engines."""
    lock_claims()
    with connection.cursor() as cursor:
        candidates = [_candidate(row) for row in _queued(cursor, now)]
        shares = pacer.allocate(candidates, room, now)
        rows, version = _lease(cursor, shares, now) if shares else ([], None)
    _note_paced(candidates, rows, now)
    chances = [_chance(candidate, now) for candidate in candidates]
    is_full = sum(shares.values()) >= room and len(rows) >= room
    return Claim(_with_revisions(rows), min([*chances, now + HORIZON]), version, is_full)


def _queued(cursor: Any, now: datetime) -> Sequence[Sequence[Any]]:
    if connection.vendor == "postgresql":
        return execute_prepared(_CANDIDATES, [now])  # planning it costs more than running it
    cursor.execute(_CANDIDATES, [as_time(now)])
    return cast("Sequence[Sequence[Any]]", cursor.fetchall())


def _chance(candidate: IntegrationQueue, now: datetime) -> datetime:
    """When a claim may find more here. What other engines have in dispatch frees its room without telling us."""
    chance = next_eligible_at(candidate, now)
    return chance if chance > now else now + BLOCKED_BACKOFF


def _candidate(row: Sequence[Any]) -> IntegrationQueue:
    return IntegrationQueue(
        integration_id=row[0],
        next_due=to_time(row[1]),
        in_flight=row[2],
        max_in_flight=row[3],
        rate_limit=row[4],
        breaker=row[5],
        probe_at=to_time(row[6]),
        throttled_until=to_time(row[7]),
        rate_tokens=row[8],
        rate_refilled_at=to_time(row[9]),
        is_failing=bool(row[10]),
        answered_last=bool(row[11]),
    )


def _lease(cursor: Any, shares: dict[int, int], now: datetime) -> tuple[list[ClaimedDelivery], int | None]:
    """What was claimed, and the configuration's version at that moment."""
    lease = uuid7()
    if connection.vendor == "postgresql":
        values = [big_numbers_array(shares), numbers_array(shares.values()), now, lease, now, now]
        found: Sequence[Sequence[Any]] = execute_prepared(_CLAIM_POSTGRESQL, values)
    else:
        found = _lease_portably(cursor, shares, lease, now)
    return [claimed for row in found if (claimed := _readable(row, lease))], (found[0][-1] or 0) if found else None


def _readable(row: Sequence[Any], lease: uuid.UUID) -> ClaimedDelivery | None:
    """None for a row that holds what cannot be (SQLite keeps any text anywhere): it fails, the others are sent."""
    try:
        return _claimed(row, lease)
    except Exception:
        logger.exception("the delivery %s cannot be read", row[0])
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE deliveries_delivery SET status = 'failed', due_at = NULL, lease = NULL, finished_at = %s,"
                " last_error = %s WHERE id = %s",
                [
                    as_time(timezone.now()),
                    "Hookdesk cannot read this delivery. The worker's log has the details.",
                    row[0],
                ],
            )
        return None


def _lease_portably(cursor: Any, shares: dict[int, int], lease: uuid.UUID, now: datetime) -> list[Sequence[Any]]:
    """The same in two statements per integration. SQLite's one writer needs no row locks."""
    found: list[Sequence[Any]] = []
    cursor.execute("SELECT version FROM integrations_configclock WHERE id = 1")
    version = (cursor.fetchone() or [0])[0]
    for integration_id, room in shares.items():
        cursor.execute(
            f"SELECT {_COLUMNS}, d.trigger, d.status = 'sending', i.timeout"
            " FROM deliveries_delivery d JOIN integrations_integration i ON i.id = d.integration_id"
            " JOIN deliveries_event e ON e.id = d.event_id"
            " WHERE d.integration_id = %s AND d.due_at <= %s ORDER BY d.due_at LIMIT %s",
            [integration_id, as_time(now), room],
        )
        rows = cursor.fetchall()
        if not rows:
            continue
        until = now + timedelta(seconds=rows[0][-1] + LEASE_GRACE)
        marks = ", ".join(["%s"] * len(rows))
        cursor.execute(
            "UPDATE deliveries_delivery SET"
            " crash_count = CASE WHEN status = 'sending' THEN crash_count + 1 ELSE crash_count END,"
            " trigger = CASE WHEN trigger = 'test' THEN 'test' ELSE 'scheduled' END,"
            " status = 'sending', lease = %s, due_at = %s, attempt_count = attempt_count + 1,"
            f" first_sent_at = coalesce(first_sent_at, %s) WHERE id IN ({marks})",
            [lease.hex, as_time(until), as_time(now), *(row[0] for row in rows)],
        )
        for row in rows:
            fresh = [*row[:-1], version]
            fresh[4] += 1
            fresh[6] += 1 if row[21] else 0
            fresh[10] = row[10] or now
            found.append(fresh)
    return found


@lru_cache(maxsize=4096)
def _known_key(value: Any) -> Any:
    """Of what many deliveries share: SQLite gives the same text again and again."""
    return to_key(value)


def _claimed(row: Sequence[Any], lease: uuid.UUID) -> ClaimedDelivery:
    return ClaimedDelivery(
        id=to_key(row[0]),
        lease=lease,
        store_id=_known_key(row[1]),
        integration_id=row[2],
        subscription_id=_known_key(row[3]),
        attempt_number=row[4],
        retry_count=row[5],
        crash_count=row[6],
        revision=row[7],
        order_key=row[8],
        failure_group_id=row[9],
        first_sent_at=to_time(row[10]),
        event_topic=row[11],
        event_intent=row[12],
        object_type=row[13],
        object_id=row[14],
        data_json=row[15],
        origin=row[16],
        occurred_at=to_time(row[17]),
        hops=row[18],
        cascade_left=row[19],
        trigger=row[20],
        was_sending=bool(row[21]),
        attempt_id=uuid7(),
    )


def _with_revisions(rows: list[ClaimedDelivery]) -> list[ClaimedDelivery]:
    """Edited deliveries send their revision's payload instead of the event's."""
    edited = {row.id: row for row in rows if row.revision}
    if edited:
        # As text: what it holds is looked at where a failure concerns this delivery only.
        data = Cast("data", TextField())
        found = Revision.objects.filter(delivery_id__in=list(edited)).annotate(text=data)
        for delivery_id, number, text in found.values_list("delivery_id", "number", "text"):
            if number == edited[delivery_id].revision:
                edited[delivery_id].data_json = text
    return rows


def _note_paced(candidates: list[IntegrationQueue], rows: list[ClaimedDelivery], now: datetime) -> None:
    """Keep what rate-limited integrations used, and that a breaker's probe is under way."""
    taken = Counter(row.integration_id for row in rows)
    for candidate in candidates:
        count = taken[candidate.integration_id]
        if count and candidate.is_failing:
            # Another engine may have written so: the success that ends it must be written at once.
            noted_health.pop(candidate.integration_id, None)
        if not count or (candidate.rate_limit is None and candidate.breaker == "closed"):
            continue
        health = IntegrationHealth.objects.filter(integration_id=candidate.integration_id)
        if candidate.rate_limit is not None:
            left = max(0.0, tokens(candidate, now) - count)
            IntegrationHealth.objects.get_or_create(integration_id=candidate.integration_id)
            health.update(rate_tokens=left, rate_refilled_at=now)
        if candidate.breaker != "closed":
            noted_health.pop(candidate.integration_id, None)  # whatever becomes of the probe must be written
            health.update(breaker="half_open", probe_at=now + PROBE_TIMEOUT)
