"""Goes back through past events, a bounded number at a time, and compares those that concern a change."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from deliveries.models import Event
from deliveries.simulation.choosing import EventChoice
from deliveries.simulation.comparers import CHARACTERS_PER_STEP, Comparer, Found
from deliveries.simulation.comparing import SILENT
from integrations.foundation.languages import gettext_noop
from integrations.foundation.strict_json import dump_document
from integrations.models import Store
from subscriptions.budget import Allowance, BudgetExceeded

#: Events whose names are read at once, and whose data.
NAMES: Final = 1_000
DATA: Final = 25
#: Events that are passed over at most, because they concern neither side.
PASSED_OVER: Final = 200_000  # TOO_FAR says it
#: Effects that are kept at most: one event may have one on each of several subscriptions.
EFFECTS: Final = 20_000  # TOO_MANY says it
#: Steps of one simulation, about a microsecond each.
STEPS: Final = 120_000_000

#: Steps of reading an event whose data is not what was asked for.
UNFIT: Final = 50

# Kept with a simulation in English, and translated by its page.
TOO_DEAR = gettext_noop("The expressions and schemas have used up the time that a simulation may take.")
TOO_FAR = gettext_noop(
    "200,000 events that do not concern the change were passed over. Choose a period with some that do."
)
TOO_MANY = gettext_noop("There are more than 20,000 effects. Choose fewer events.")


@dataclass(slots=True)
class Progress:
    """How far a walk has come. `is_over`: all of it, or `stopped_because` says why it stopped early."""

    cursor: uuid.UUID | None = None
    looked_at: int = 0
    passed_over: int = 0
    oldest_at: datetime | None = None
    counts: Counter[str] = field(default_factory=Counter)
    effects: int = 0
    steps_left: int = STEPS
    is_over: bool = False
    stopped_because: str = ""

    def stop(self, why: str = "") -> None:
        self.is_over, self.stopped_because = True, why


def walk(store: Store, choice: EventChoice, comparer: Comparer, progress: Progress, seconds: float) -> list[Found]:
    """Go on from where `progress` is, which is changed, for so many seconds of the processor; returns the effects."""
    effects: list[Found] = []
    until = time.thread_time() + seconds
    while not progress.is_over and time.thread_time() < until:
        names = _next_names(choice.rows(store), progress.cursor)
        # Those that are named one by one are compared even if the change cannot concern them.
        taken = [
            pk
            for pk, topic, intent in names
            if choice.ids or (choice.takes(topic, intent) and comparer.is_about(topic, intent))
        ]
        for event in _with_data(taken):
            effects += _look_at(event, choice, comparer, progress)
            if progress.is_over or time.thread_time() > until:
                break
        else:
            progress.passed_over += len(names) - len(taken)
            progress.cursor = names[-1][0] if names else progress.cursor
            if len(names) < NAMES:
                progress.stop()
            elif progress.passed_over > PASSED_OVER:
                progress.stop(TOO_FAR)
    return effects


def _look_at(event: Event, choice: EventChoice, comparer: Comparer, progress: Progress) -> list[Found]:
    """Compare one event, unless its data is not what was asked for; returns the effects."""
    data_json = dump_document(event.data)
    allowance = Allowance(progress.steps_left - UNFIT - len(data_json) // CHARACTERS_PER_STEP)
    found: list[Found] = []
    is_fit = choice.holds(event, data_json)
    try:
        if is_fit:
            found = comparer.compare(event, data_json, allowance)
    except BudgetExceeded:
        allowance.left = 0
    if allowance.left <= 0:
        progress.stop(TOO_DEAR)
        return []
    progress.steps_left, progress.cursor = allowance.left, event.pk
    if not is_fit:
        progress.passed_over += 1
        return []
    progress.looked_at += 1
    progress.oldest_at = event.created_at
    progress.counts.update(str(one.finding.verdict) for one in found)
    effects = [one for one in found if one.finding.verdict not in SILENT]
    progress.effects += len(effects)
    if progress.looked_at >= choice.limit:
        progress.stop()
    elif progress.effects >= EFFECTS:
        progress.stop(TOO_MANY)
    return effects


def _next_names(rows: QuerySet[Event], cursor: uuid.UUID | None) -> list[tuple[uuid.UUID, str | None, str | None]]:
    rows = rows if cursor is None else rows.filter(id__lt=cursor)
    return list(rows.values_list("id", "topic", "intent")[:NAMES])


def _with_data(keys: Sequence[uuid.UUID]) -> Iterator[Event]:
    """Newest first, a few at a time: data may be large."""
    for start in range(0, len(keys), DATA):
        yield from Event.objects.filter(id__in=keys[start : start + DATA]).order_by("-id")
