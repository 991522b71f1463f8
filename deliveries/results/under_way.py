"""The attempt that is in flight. It has no row yet; its delivery's row describes it."""

from __future__ import annotations

from deliveries.models import Attempt, Delivery
from deliveries.results.attempts import began_at


def attempt_under_way(delivery: Delivery) -> Attempt | None:
    """Return the running attempt, unsaved and for display; None if nothing is being sent.

    It has no request: only the engine knows that. Load `delivery` with its integration. Prefer a stored attempt with
    the same number: it ended after the delivery was read.
    """
    if delivery.status != Delivery.Status.SENDING or delivery.due_at is None:
        return None
    return Attempt(
        delivery=delivery,
        number=delivery.attempt_count,
        trigger=delivery.trigger,
        revision=delivery.revision,
        outcome=Attempt.Outcome.RUNNING,
        started_at=began_at(delivery.due_at, delivery.integration.timeout, delivery.first_sent_at),
    )
