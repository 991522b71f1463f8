"""Outcomes of the deliveries that a replay processed, read from the deliveries' current state."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, QuerySet

from deliveries.models import Delivery, Replay, ReplayItem

Status = Delivery.Status
#: Deliveries looked up per second while polling: the outcome of a large replay is cached longer.
ROWS_PER_SECOND: Final = 20_000
MOST_KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """Current statuses of the processed deliveries; `gone` have been pruned since."""

    succeeded: int = 0
    failed: int = 0
    retrying: int = 0
    under_way: int = 0
    discarded: int = 0
    superseded: int = 0
    left_alone: int = 0
    gone: int = 0

    @property
    def failed_again(self) -> int:
        return self.failed + self.retrying

    @property
    def is_settled(self) -> bool:
        """Whether the outcome is final unless staff act."""
        return not (self.under_way or self.retrying)


_kept: dict[uuid.UUID, tuple[float, int, ReplayOutcome]] = {}


def outcome_of(replay: Replay) -> ReplayOutcome:
    """Exact for up to 20,000 deliveries; beyond, up to a second out of date per 20,000."""
    found = _kept.get(replay.pk)
    if found is not None and found[1] == replay.done and time.monotonic() < found[0] and replay.done > ROWS_PER_SECOND:
        return found[2]
    outcome = _count(replay)
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[replay.pk] = (time.monotonic() + replay.done / ROWS_PER_SECOND, replay.done, outcome)
    return outcome


def _count(replay: Replay) -> ReplayOutcome:
    numbers = dict(
        ReplayItem.objects.filter(replay=replay).order_by().values_list("is_left_alone").annotate(number=Count("id"))
    )
    taken = Delivery.objects.filter(id__in=items_of(replay.pk, is_left_alone=False))
    by_status: dict[str, int] = dict(taken.order_by().values_list("status").annotate(number=Count("id")))
    return ReplayOutcome(
        succeeded=by_status.get(Status.SUCCEEDED, 0),
        failed=by_status.get(Status.FAILED, 0),
        retrying=by_status.get(Status.RETRYING, 0),
        under_way=by_status.get(Status.PENDING, 0) + by_status.get(Status.SENDING, 0),
        discarded=by_status.get(Status.DISCARDED, 0),
        superseded=by_status.get(Status.SUPERSEDED, 0),
        left_alone=numbers.get(True, 0),
        gone=max(0, numbers.get(False, 0) - sum(by_status.values())),
    )


def items_of(replay_id: uuid.UUID, *, is_left_alone: bool) -> QuerySet[ReplayItem, uuid.UUID]:
    """The ids of the deliveries that a replay processed, or skipped."""
    rows = ReplayItem.objects.filter(replay_id=replay_id, is_left_alone=is_left_alone)
    return rows.values_list("delivery_id", flat=True)
