"""What attempts say about the health of their integrations: failures, breaker, throttling."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from deliveries.engine.pacing import BREAKER_THRESHOLD, noted_health, probe_delay, unnoted_successes
from deliveries.engine.rows import Settlement
from integrations.models import IntegrationHealth
from integrations.recent_outcomes import SUCCESS, added

logger = logging.getLogger("hookdesk.engine")

#: A receiver's 429 pauses the whole integration, but never for longer than this.
LONGEST_THROTTLE = timedelta(hours=1)
#: A success is noted this often at most: the row would otherwise be written with every batch.
NOTE_SUCCESS_EVERY = timedelta(seconds=10)


def is_down(settlement: Settlement) -> bool:
    """Whether the attempt speaks for an integration that is down, and not for a payload that it refuses."""
    landing = settlement.landing
    if landing.outcome.is_success or landing.outcome.is_permanent:
        return False
    if landing.response is None:
        return landing.error is not None
    response = landing.response
    if response.status in (502, 503, 504):
        return True
    # A 500 that says something in its own words is an application that dislikes this payload. An empty one, or
    # an error page, is a server in trouble.
    is_wordless = not response.body.strip() or "html" in (response.header("Content-Type") or "").lower()
    return response.status >= 500 and is_wordless


def are_worth_noting(settlements: Sequence[Settlement], now: datetime) -> bool:
    """Whether `note_health` will write the health of an integration."""
    return any(_is_worth_noting(key, batch, now) for key, batch in _by_integration(settlements).items())


def _by_integration(settlements: Sequence[Settlement]) -> dict[int, list[Settlement]]:
    """Those for which something was sent, or for which the integration's own settings stood in the way."""
    found: dict[int, list[Settlement]] = {}
    for settlement in settlements:
        landing = settlement.landing
        if landing.flight.request is not None or landing.outcome.kind == "configuration":
            found.setdefault(landing.flight.claimed.integration_id, []).append(settlement)
    return found


def note_health(settlements: Sequence[Settlement], now: datetime) -> None:
    by_integration = _by_integration(settlements)
    touched = [key for key, batch in sorted(by_integration.items()) if _is_worth_noting(key, batch, now)]
    for key in by_integration.keys() - set(touched):
        unnoted_successes[key] += len(by_integration[key])
    if not touched:
        return
    IntegrationHealth.objects.bulk_create(
        [IntegrationHealth(integration_id=key) for key in touched], ignore_conflicts=True
    )
    rows = IntegrationHealth.objects.select_for_update().filter(integration_id__in=touched).order_by("integration_id")
    for health in rows:
        was = health.breaker
        health.recent = added(health.recent, SUCCESS, unnoted_successes.pop(health.integration_id, 0))
        for settlement in by_integration[health.integration_id]:
            _note_one(health, settlement, now)
        health.save()
        is_clean = health.breaker == "closed" and health.first_failure_at is None and health.throttled_until is None
        noted_health[health.integration_id] = (now, is_clean)
        if was == "closed" and health.breaker == "open":
            logger.warning("integration %s does not answer: its breaker is open", health.integration_id)


def _is_worth_noting(integration_id: int, batch: Sequence[Settlement], now: datetime) -> bool:
    at, is_clean = noted_health.get(integration_id, (None, False))
    if at is None or not is_clean or now - at > NOTE_SUCCESS_EVERY:
        return True
    return any(not settlement.landing.outcome.is_success for settlement in batch)


def _note_one(health: IntegrationHealth, settlement: Settlement, now: datetime) -> None:
    landing = settlement.landing
    if landing.outcome.is_success:
        health.last_success_at = now
        health.first_failure_at = None
    else:
        health.last_failure_at = now
        health.first_failure_at = health.first_failure_at or now
    health.recent = added(health.recent, _what(settlement))
    if is_down(settlement):
        health.consecutive_failures += 1
        if health.consecutive_failures >= BREAKER_THRESHOLD or health.breaker != "closed":
            health.opened_at = health.opened_at or now
            health.breaker = "open"
            health.probe_at = now + probe_delay(health.opened_at, now)
    else:
        health.consecutive_failures = 0
        health.breaker = "closed"
        health.opened_at = health.probe_at = None
    if landing.response is not None and landing.response.status == 429:
        pause = timedelta(seconds=landing.outcome.retry_after or 1)
        health.throttled_until = now + min(pause, LONGEST_THROTTLE)
    elif health.throttled_until is not None and health.throttled_until <= now:
        health.throttled_until = None


def _what(settlement: Settlement) -> str:
    """`ok`, the status of the answer, or why there was none: `timeout`, `dns`."""
    landing = settlement.landing
    if landing.outcome.is_success:
        return SUCCESS
    if landing.response is not None and landing.response.status >= 300:
        return str(landing.response.status)
    return landing.outcome.kind[:30] or "error"
