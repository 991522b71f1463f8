"""The health of integrations, derived from attempts: failures, breaker, throttling."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from deliveries.dispatch.pacing import BREAKER_THRESHOLD, probe_delay, unwritten_successes, written_health
from deliveries.dispatch.types import Transition
from integrations.models import IntegrationHealth
from integrations.recent_outcomes import SUCCESS, added

logger = logging.getLogger("hookdesk.engine")

#: A receiver's 429 pauses the whole integration, but no longer than this.
MAX_THROTTLE = timedelta(hours=1)
#: Successes are written at most this often; otherwise every batch would write the row.
WRITE_SUCCESS_EVERY = timedelta(seconds=10)


def is_down(transition: Transition) -> bool:
    """Whether the attempt indicates that the integration is down, as opposed to a refused payload."""
    if transition.outcome.is_success or transition.outcome.is_permanent:
        return False
    if transition.response is None:
        return transition.error is not None
    response = transition.response
    if response.status in (502, 503, 504):
        return True
    # A 500 with a message of its own is an application that rejects this payload. An empty body or an HTML error page
    # is a server in trouble.
    has_no_message = not response.body.strip() or "html" in (response.header("Content-Type") or "").lower()
    return response.status >= 500 and has_no_message


def must_write_health(transitions: Sequence[Transition], now: datetime) -> bool:
    """Whether `write_health` would write any integration's health for this batch."""
    return any(_must_write(key, batch, now) for key, batch in _by_integration(transitions).items())


def _by_integration(transitions: Sequence[Transition]) -> dict[int, list[Transition]]:
    """Group the results that count: a request was sent, or the integration's own settings prevented it."""
    found: dict[int, list[Transition]] = {}
    for transition in transitions:
        if transition.request is not None or transition.outcome.kind == "configuration":
            found.setdefault(transition.claimed.integration_id, []).append(transition)
    return found


def count_successes(transitions: Sequence[Transition]) -> None:
    """Count a batch of successes in memory; they are added with the next write."""
    for key, batch in _by_integration(transitions).items():
        unwritten_successes[key] += len(batch)


def write_health(transitions: Sequence[Transition], now: datetime) -> None:
    by_integration = _by_integration(transitions)
    touched = [key for key, batch in sorted(by_integration.items()) if _must_write(key, batch, now)]
    for key in by_integration.keys() - set(touched):
        unwritten_successes[key] += len(by_integration[key])
    if not touched:
        return
    IntegrationHealth.objects.bulk_create(
        [IntegrationHealth(integration_id=key) for key in touched], ignore_conflicts=True
    )
    rows = IntegrationHealth.objects.select_for_update().filter(integration_id__in=touched).order_by("integration_id")
    for health in rows:
        was = health.breaker
        health.recent = added(health.recent, SUCCESS, unwritten_successes.pop(health.integration_id, 0))
        for transition in by_integration[health.integration_id]:
            _apply(health, transition, now)
        health.save()
        is_clean = health.breaker == "closed" and health.first_failure_at is None and health.throttled_until is None
        written_health[health.integration_id] = (now, is_clean)
        if was == "closed" and health.breaker == "open":
            logger.warning("integration %s does not respond; breaker opened", health.integration_id)


def _must_write(integration_id: int, batch: Sequence[Transition], now: datetime) -> bool:
    at, is_clean = written_health.get(integration_id, (None, False))
    if at is None or not is_clean or now - at > WRITE_SUCCESS_EVERY:
        return True
    return any(not transition.outcome.is_success for transition in batch)


def _apply(health: IntegrationHealth, transition: Transition, now: datetime) -> None:
    if transition.outcome.is_success:
        health.last_success_at = now
        health.first_failure_at = None
    else:
        health.last_failure_at = now
        health.first_failure_at = health.first_failure_at or now
    health.recent = added(health.recent, _outcome_code(transition))
    if is_down(transition):
        health.consecutive_failures += 1
        if health.consecutive_failures >= BREAKER_THRESHOLD or health.breaker != "closed":
            health.opened_at = health.opened_at or now
            health.breaker = "open"
            health.probe_at = now + probe_delay(health.opened_at, now)
    else:
        health.consecutive_failures = 0
        health.breaker = "closed"
        health.opened_at = health.probe_at = None
    if transition.response is not None and transition.response.status == 429:
        pause = timedelta(seconds=transition.outcome.retry_after or 1)
        health.throttled_until = now + min(pause, MAX_THROTTLE)
    elif health.throttled_until is not None and health.throttled_until <= now:
        health.throttled_until = None


def _outcome_code(transition: Transition) -> str:
    """Return `ok`, the status of the response, or why there was none: `timeout`, `dns`."""
    if transition.outcome.is_success:
        return SUCCESS
    if transition.response is not None and transition.response.status >= 300:
        return str(transition.response.status)
    return transition.outcome.kind[:30] or "error"
