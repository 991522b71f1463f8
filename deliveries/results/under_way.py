"""The attempt that is being made right now. It has no row yet: its delivery's row says what there is to say."""

from __future__ import annotations

from deliveries.models import Attempt, Delivery
from deliveries.results.attempts import began_at


def attempt_under_way(delivery: Delivery) -> Attempt | None:
    """Unsaved, for display; without a request, which only the engine knows. None if nothing is being sent.

    `delivery` should have its integration. An attempt of the same number that has a row is the better one: it ended
    after the delivery was read.
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
