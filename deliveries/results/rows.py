"""Convert transitions into the rows that the storage writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from deliveries.dispatch.types import Transition
from deliveries.results.attempts import ended_attempt
from deliveries.results.figures import figures_of
from deliveries.storage.rows.figures import AttemptFigure
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery


def rows_of(
    transitions: Sequence[Transition], now: datetime
) -> tuple[list[RecordedDelivery], list[EndedAttempt], list[AttemptFigure]]:
    """Return the deliveries' new states, their attempts and the figures to count."""
    return (
        [_row(one, now) for one in transitions],
        [ended_attempt(one) for one in transitions],
        figures_of(transitions, now),
    )


def _row(transition: Transition, now: datetime) -> RecordedDelivery:
    claimed = transition.claimed
    response = transition.response
    is_finished = transition.status in ("succeeded", "failed")
    return RecordedDelivery(
        transition.status,
        transition.due_at,
        transition.retry_count,
        response.status if response is not None else None,
        transition.last_error,
        transition.group_id if transition.status != "pending" else claimed.failure_group_id,
        now if is_finished else None,
        claimed.id,
        claimed.lease,
    )
