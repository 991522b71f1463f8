"""Figures of attempts, counted by the statement that records them."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterable
from typing import Annotated, Final, NamedTuple

from deliveries.storage.arrays import BIG_NUMBER, NUMBER

_WRITERS: Final = 2**31


class AttemptFigure(NamedTuple):
    """One thing to count of one delivery: see `deliveries.models.stats.AttemptCount`."""

    delivery_id: uuid.UUID
    slot: int
    integration_id: int
    kind: int
    bin: int
    milliseconds: int


class CountedAttempts(NamedTuple):
    """What is added to one row of `deliveries_attemptcount`."""

    slot: Annotated[int, BIG_NUMBER]
    writer: Annotated[int, BIG_NUMBER]
    integration_id: Annotated[int, BIG_NUMBER]
    kind: Annotated[int, NUMBER]
    bin: Annotated[int, NUMBER]
    number: Annotated[int, BIG_NUMBER]
    milliseconds: Annotated[int, BIG_NUMBER]


def summed(figures: Iterable[AttemptFigure]) -> list[CountedAttempts]:
    """Return the sums of the figures, in the order in which rows are locked."""
    found: dict[tuple[int, int, int, int, int], list[int]] = {}
    mine = writer()
    for _, slot, integration_id, kind, place, milliseconds in figures:
        sums = found.setdefault((slot, mine, integration_id, kind, place), [0, 0])
        sums[0] += 1
        sums[1] += milliseconds
    return [CountedAttempts(*key, *found[key]) for key in sorted(found)]


_writers: dict[int, int] = {}


def writer() -> int:
    """Return this process's number. Each process counts in rows of its own, so that none waits for another."""
    number = _writers.get(pid := os.getpid())
    if number is None:
        number = _writers[pid] = random.SystemRandom().randrange(_WRITERS)
    return number
