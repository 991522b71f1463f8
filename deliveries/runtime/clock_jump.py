"""Adapt leases and due times after a clock jump: they were computed with the old clock.

If the clock is set forward, requests in flight would look abandoned and be resent; if it is set back, deliveries pushed
just before would be delayed by the difference. Retries keep their times and run early or late by the jump.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from deliveries.dispatch.pacing import PROBE_TIMEOUT
from deliveries.models import Delivery
from deliveries.models.delivery import DeliveryQuerySet
from deliveries.storage.rows.claims import LEASE_GRACE
from integrations.models import IntegrationHealth
from subscriptions.models import Subscription

logger = logging.getLogger("hookdesk.engine")

#: Seconds. NTP slews the clock rather than setting it; smaller jumps are harmless.
TOLERANCE = 10.0
#: Rows per statement.
BATCH = 500


class ClockJumpDetector:
    """Compares the wall clock with the monotonic clock, which is never set."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def seconds_jumped(self, now: datetime, monotonic: float) -> float:
        """Return the seconds by which the clock jumped since the last check; 0 if it did not."""
        offset = now.timestamp() - monotonic
        before, self._offset = self._offset, offset
        if before is None or abs(offset - before) < TOLERANCE:
            return 0.0
        return offset - before


def rebase_leases(now: datetime, seconds: float) -> None:
    """Restart leases and adapt all other times that depend on the clock.

    Call in a transaction of its own, under the claim lock. Each engine does this when it detects a jump; repeating it
    is harmless.
    """
    logger.warning("clock jumped by %.0f s: restarting leases", seconds)
    polled = Subscription.objects.filter(next_poll_at__gt=now)
    list(polled.order_by("id").select_for_update(no_key=True).values_list("id"))
    polled.update(next_poll_at=now)
    sending = Delivery.objects.filter(status=Delivery.Status.SENDING).order_by()
    for integration_id, timeout in sending.values_list("integration_id", "integration__timeout").distinct():
        until = now + timedelta(seconds=timeout + LEASE_GRACE)
        _set_due_at(sending.filter(integration_id=integration_id), until)
    soon = now + timedelta(seconds=TOLERANCE)
    _set_due_at(Delivery.objects.filter(status=Delivery.Status.PENDING, due_at__gt=soon), now)
    IntegrationHealth.objects.filter(throttled_until__gt=now).update(throttled_until=None)
    IntegrationHealth.objects.filter(rate_refilled_at__gt=now).update(rate_refilled_at=now)
    IntegrationHealth.objects.filter(probe_at__gt=now + PROBE_TIMEOUT).update(probe_at=now)


def _set_due_at(deliveries: DeliveryQuerySet, until: datetime) -> None:
    """Set the due time of unlocked deliveries; another engine, waiting for our claim lock, is finishing the rest."""
    free = list(deliveries.lock_free().values_list("id", flat=True))
    for start in range(0, len(free), BATCH):
        Delivery.objects.filter(id__in=free[start : start + BATCH]).update(due_at=until)
