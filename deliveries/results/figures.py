"""The figures counted for attempts: outcome, response time of the receiver, and delivery time since the push."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from deliveries.dispatch.types import Transition
from deliveries.models.stats import NOTHING_SENT, SLOT_SECONDS, AttemptCount
from deliveries.stats.durations import bin_of
from deliveries.storage.rows.figures import AttemptFigure

Kind = AttemptCount.Kind


def figures_of(transitions: Iterable[Transition], now: datetime) -> list[AttemptFigure]:
    """Return one figure per attempt, except tests, and another one per successful delivery. Pure."""
    slot, moment = int(now.timestamp()) // SLOT_SECONDS, int(now.timestamp() * 1000)
    found = []
    for transition in transitions:
        claimed = transition.claimed
        if claimed.is_test:
            continue
        took = round(transition.duration * 1000)
        duration_bin = bin_of(took) if transition.request is not None else NOTHING_SENT
        found.append(AttemptFigure(claimed.id, slot, claimed.integration_id, _kind_of(transition), duration_bin, took))
        if transition.status == "succeeded":
            passed = max(0, moment - (claimed.id.int >> 80))  # the id (UUID version 7) begins with its creation time
            found.append(
                AttemptFigure(claimed.id, slot, claimed.integration_id, Kind.DELIVERED, bin_of(passed), passed)
            )
    return found


def _kind_of(transition: Transition) -> int:
    if transition.outcome.is_success:
        return Kind.SUCCEEDED
    return Kind.RETRYING if transition.status == "retrying" else Kind.FAILED
