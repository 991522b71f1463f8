"""What became of attempts, for logs and metrics: told once it is recorded, outside of the transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from deliveries import hooks
from deliveries.dispatch.config_cache import DestinationConfig
from deliveries.dispatch.types import Transition

logger = logging.getLogger("hookdesk.engine")

#: One that goes on at once, after something was looked up, is not over.
_OUTCOMES = {"succeeded": "succeeded", "failed": "failed"}


def report(
    transitions: Sequence[Transition], destination_of: Callable[[int], DestinationConfig], now: datetime
) -> None:
    """Never raises: they are recorded, and must not be recorded again. Costs nothing if nobody listens."""
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
        # The id tells when the delivery was made, to the millisecond (RFC 9562, version 7).
        age=max(0.0, now.timestamp() - (claimed.id.int >> 80) / 1000),
        is_test=claimed.is_test,
        is_late=transition.is_late,
    )
