"""Report the outcomes of attempts to logs and metrics, after they are recorded and outside the transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from deliveries import hooks
from deliveries.dispatch.config_cache import DestinationConfig
from deliveries.dispatch.types import Transition

logger = logging.getLogger("hookdesk.engine")

#: Any other status is reported as `retrying`.
_OUTCOMES = {"succeeded": "succeeded", "failed": "failed"}


def report(
    transitions: Sequence[Transition], destination_of: Callable[[int], DestinationConfig], now: datetime
) -> None:
    """Report recorded attempts. Never raises: they must not be recorded again. Costs nothing without listeners."""
    if not hooks.attempted or not transitions:
        return
    try:
        hooks.attempted([_report(one, destination_of(one.claimed.integration_id).slug, now) for one in transitions])
    except Exception:
        logger.exception("could not report %s attempts", len(transitions))


def _report(transition: Transition, slug: str, now: datetime) -> hooks.AttemptReport:
    claimed, response, error = transition.claimed, transition.response, transition.error
    return hooks.AttemptReport(
        store_id=claimed.store_id,
        integration=slug,
        subscription_id=claimed.subscription_id,
        delivery_id=claimed.id,
        topic=claimed.event_topic or claimed.event_intent or "",
        attempt=claimed.attempt_number,
        status=None if response is None else response.status,
        outcome=_OUTCOMES.get(transition.status, "retrying"),
        error="" if error is None else error.kind,
        seconds=transition.duration,
        # The id holds the delivery's creation time in milliseconds (RFC 9562, version 7).
        age=max(0.0, now.timestamp() - (claimed.id.int >> 80) / 1000),
        is_test=claimed.is_test,
        is_late=transition.is_late,
    )
