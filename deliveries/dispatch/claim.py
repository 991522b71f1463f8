"""Claim due deliveries: allocate capacity to integrations, then set a lease and a fencing token on each delivery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone

from deliveries.dispatch.pacing import PROBE_TIMEOUT, Pacer, next_eligible_at, tokens, written_health
from deliveries.dispatch.types import ClaimedDelivery, IntegrationQueue
from deliveries.models import Revision
from deliveries.storage import backend
from deliveries.storage.rows.claims import Leased
from integrations.foundation.identifiers import uuid7
from integrations.models import IntegrationHealth

#: The longest an idle engine waits before it claims again: the most that a lost wake-up can cost.
HORIZON = timedelta(seconds=5)
#: How long to wait before claiming again for integrations that are at their limit.
BLOCKED_BACKOFF = timedelta(seconds=0.5)
UNREADABLE = "Hookdesk cannot read this delivery. The worker's log has the details."


@dataclass(slots=True)
class Claim:
    """The result of a claim.

    `next_eligible_at`: when to claim again unless something wakes the engine earlier. `is_full`: all free capacity was
    used. `has_more`: an integration may have more due deliveries and can take them as soon as a request in flight
    ends. `config_version`: the configuration version at the time of the claim; None if nothing was claimed.
    """

    rows: list[ClaimedDelivery]
    next_eligible_at: datetime
    config_version: int | None
    is_full: bool
    has_more: bool
    #: Integrations whose due deliveries were all claimed.
    drained: list[int]


def claim(*, pacer: Pacer, room: int, now: datetime) -> Claim:
    """Lease up to `room` due deliveries. Call inside a transaction.

    The claim lock serialises the claims of all engines, so that caps and rate limits hold across engines. The claim is
    the last step of an engine's transaction. A transaction that locks more than the engine's own deliveries before it
    must call `lock_claims` first; otherwise two engines could deadlock.
    """
    backend().lock_claims()
    candidates = backend().queued_integrations(now)
    shares = pacer.allocate(candidates, room, now)
    rows, version, unreadable = backend().lease(shares, uuid7(), now) if shares else Leased([], None, [])
    for key in unreadable:  # fail these; the others are sent
        _fail_unreadable(key)
    _save_pacing(candidates, rows, now)
    next_claims = [_next_claim_at(candidate, now) for candidate in candidates]
    is_full = sum(shares.values()) >= room and len(rows) >= room
    next_eligible = min([*next_claims, now + HORIZON])
    has_more = _has_more(candidates, shares, rows, now)
    return Claim(_with_revisions(rows), next_eligible, version, is_full, has_more, _drained(shares, rows))


def next_due(now: datetime) -> datetime | None:
    """Return when to claim next; None if something is due now. Takes no locks."""
    candidates = backend().queued_integrations(now)
    if any(candidate.next_due <= now for candidate in candidates):
        return None
    return min([*(_next_claim_at(candidate, now) for candidate in candidates), now + HORIZON])


def _has_more(
    candidates: list[IntegrationQueue], shares: Mapping[int, int], rows: list[ClaimedDelivery], now: datetime
) -> bool:
    """Whether an eligible integration used up its share. Throttled and similar integrations do not count: they wait for
    a point in time, not for a result.
    """
    taken = Counter(row.integration_id for row in rows)
    return any(
        next_eligible_at(candidate, now) <= now
        and taken[candidate.integration_id] >= shares.get(candidate.integration_id, 0)
        for candidate in candidates
    )


def _drained(shares: Mapping[int, int], rows: list[ClaimedDelivery]) -> list[int]:
    taken = Counter(row.integration_id for row in rows)
    return [key for key, count in taken.items() if count < shares.get(key, 0)]


def _next_claim_at(candidate: IntegrationQueue, now: datetime) -> datetime:
    """When another claim for this integration may succeed. Other engines free capacity without notifying us."""
    moment = next_eligible_at(candidate, now)
    return moment if moment > now else now + BLOCKED_BACKOFF


def _fail_unreadable(key: Any) -> None:
    """Fail a delivery by raw SQL. `key` is the raw database value: even the key may be invalid for the model."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE deliveries_delivery SET status = 'failed', due_at = NULL, lease = NULL, finished_at = %s,"
            " last_error = %s WHERE id = %s",
            [connection.ops.adapt_datetimefield_value(timezone.now()), UNREADABLE, key],
        )


def _with_revisions(rows: list[ClaimedDelivery]) -> list[ClaimedDelivery]:
    """Replace the event's payload by the current revision's in edited deliveries."""
    edited = {row.id: row for row in rows if row.revision}
    if edited:
        # As text: parsing happens later, where an error affects this delivery only.
        data = Cast("data", TextField())
        found = Revision.objects.filter(delivery_id__in=list(edited)).annotate(text=data)
        for delivery_id, number, text in found.values_list("delivery_id", "number", "text"):
            if number == edited[delivery_id].revision:
                edited[delivery_id].data_json = text
    return rows


def _save_pacing(candidates: list[IntegrationQueue], rows: list[ClaimedDelivery], now: datetime) -> None:
    """Save the tokens that rate-limited integrations used, and that a breaker's probe is in flight."""
    taken = Counter(row.integration_id for row in rows)
    for candidate in candidates:
        count = taken[candidate.integration_id]
        if count and candidate.is_failing:
            # Another engine may have recorded failures: a success that ends them must be written immediately.
            written_health.pop(candidate.integration_id, None)
        if not count or (candidate.rate_limit is None and candidate.breaker == "closed"):
            continue
        health = IntegrationHealth.objects.filter(integration_id=candidate.integration_id)
        if candidate.rate_limit is not None:
            left = max(0.0, tokens(candidate, now) - count)
            IntegrationHealth.objects.get_or_create(integration_id=candidate.integration_id)
            health.update(rate_tokens=left, rate_refilled_at=now)
        if candidate.breaker != "closed":
            written_health.pop(candidate.integration_id, None)  # so that the probe's outcome is written
            health.update(breaker="half_open", probe_at=now + PROBE_TIMEOUT)
