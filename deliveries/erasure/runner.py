"""Counting and erasing, step by step.

A step looks at some thousand rows of one place, outside of a transaction, and erases what it found in one that also
moves the cursor: a crash leaves a step done or not done, and of a step that is run twice at the same time the second
does nothing. What is in use (being sent, held by a push) is postponed: the places are gone through again until nothing
is left.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy

from deliveries.erasure.matching import Sought
from deliveries.erasure.place import Chunk, Done, Found, Place, look
from deliveries.erasure.places import place_named, places
from deliveries.models import Attempt, Delivery, Erasure
from integrations.foundation.audit import Actor, record_change
from integrations.foundation.languages import english

logger = logging.getLogger("hookdesk.erasure")

#: Rows that one transaction erases. Those of events are many: all of their deliveries, and of these all attempts.
BATCH = 50
#: A runner works this long and then queues the next one, so that it never blocks a worker.
RUN_SECONDS = 60.0
#: Pause between two steps, so that others can write on SQLite.
PAUSE = 0.005
#: What is being sent is over when its lease is, which is a few minutes at most.
AGAIN_AFTER = timedelta(seconds=15)
MOST_ROUNDS = 40
#: An erasure without a step for this long has lost its runner.
FORGOTTEN = timedelta(seconds=30)
#: What goes with events, in what was counted: not places, because they are not looked for.
WITH_EVENTS = {
    "deliveries_of_events": gettext_lazy("their deliveries"),
    "attempts_of_events": gettext_lazy("their attempts"),
}

Status = Erasure.Status


@dataclass(frozen=True, slots=True)
class Step:
    """`wait_seconds` until the next step may do something; `is_over`: nothing is left to do now."""

    is_over: bool
    wait_seconds: float = 0.0


_OVER = Step(True)


def step(erasure_id: uuid.UUID, now: datetime) -> Step:
    """Safe to run at any time, concurrently and repeatedly."""
    erasure = Erasure.objects.filter(pk=erasure_id).first()
    if erasure is None or not erasure.is_at_work:
        return _OVER
    if erasure.resume_after is not None and erasure.resume_after > now:
        return Step(False, (erasure.resume_after - now).total_seconds())
    place = place_named(erasure.place) if erasure.place else places()[0]
    is_counting = erasure.status == Status.COUNTING
    if place.is_reported and not is_counting:
        chunk, sought = Chunk([], None, 0), _sought(erasure)
    else:
        sought = _sought(erasure)
        cursor = place.cursor_of(erasure.cursor) if erasure.cursor else None
        chunk = look(place, erasure.store_id, sought, cursor, most=None if is_counting else BATCH)
    counts = _counted(place, chunk) if is_counting else Counter()
    with transaction.atomic():
        mine = Erasure.objects.select_for_update(of=("self",)).get(pk=erasure.pk)
        if _state(mine) != _state(erasure):
            return Step(not mine.is_at_work)
        if is_counting:
            mine.found = _added(mine.found, counts)
        elif chunk.rows:
            _erase(mine, Found(place, mine.store_id, sought, chunk.rows, now))
        mine.looked_at += chunk.looked_at
        mine.stepped_at = now
        _move_on(mine, place, chunk, now)
        mine.save()
    return Step(not mine.is_at_work)


def _sought(erasure: Erasure) -> Sought:
    return Sought(erasure.value, erasure.match == Erasure.Match.EXACT)


def _state(erasure: Erasure) -> tuple[str, str, str, int]:
    return erasure.status, erasure.place, erasure.cursor, erasure.round


def _counted(place: Place, chunk: Chunk) -> Counter[str]:
    found = Counter({place.name: len(chunk.rows)})
    if place.name == "event" and chunk.rows:
        keys = [row.pk for row in chunk.rows]
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            found["deliveries_of_events"] += Delivery.objects.filter(event__in=some).count()
            found["attempts_of_events"] += Attempt.objects.filter(delivery__event__in=some).count()
    return found


def _erase(erasure: Erasure, found: Found) -> None:
    assert found.place.erase is not None
    done: Done = found.place.erase(found)
    erasure.erased = _added(erasure.erased, done.erased)
    erasure.postponed += done.postponed


def _added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in (Counter(counts) + Counter(more)).items() if number}


def _move_on(erasure: Erasure, place: Place, chunk: Chunk, now: datetime) -> None:
    """To the next rows, place or round; or it is over."""
    if chunk.cursor is not None:
        erasure.place, erasure.cursor = place.name, str(chunk.cursor)
        return
    names = [each.name for each in places()]
    erasure.cursor = ""
    if (position := names.index(place.name) + 1) < len(names):
        erasure.place = names[position]
    elif erasure.status == Status.COUNTING:
        erasure.status, erasure.place = Status.READY, ""
    elif erasure.postponed and erasure.round < MOST_ROUNDS:
        erasure.place = ""
        erasure.round += 1
        erasure.postponed = erasure.looked_at = 0
        erasure.resume_after = now + AGAIN_AFTER
    else:
        _finish(erasure, now)


def _finish(erasure: Erasure, now: datetime) -> None:
    actor = Actor(erasure.author, erasure.author_name, erasure.token_id)
    with english():
        after = {"erased": erasure.erased, "looked_for": str(erasure.get_match_display())}
    if erasure.postponed:
        after["in_use"] = erasure.postponed
    end(erasure, Status.DONE, now)
    record_change(
        actor=actor, action="erased", target=erasure, store=erasure.store_id, after=after, reason=erasure.reason
    )


def end(erasure: Erasure, status: str, now: datetime) -> None:
    """Forget the value."""
    erasure.status, erasure.value = status, ""
    erasure.place = erasure.cursor = ""
    erasure.finished_at = now
    erasure.save()


def run(erasure_id: str | uuid.UUID, seconds: float = RUN_SECONDS) -> bool:
    """Step until it is over or `seconds` have passed, then queue the next runner. True when it is over."""
    pk = uuid.UUID(str(erasure_id))
    if run_for(pk, seconds):
        return True
    enqueue(pk)
    return False


def run_for(erasure_id: uuid.UUID, seconds: float) -> bool:
    """Step until it is over, or `seconds` have passed. True when it is over."""
    deadline = time.monotonic() + seconds
    while True:
        done = step(erasure_id, timezone.now())
        if done.is_over:
            return True
        if time.monotonic() + done.wait_seconds >= deadline:
            return False
        time.sleep(max(PAUSE, done.wait_seconds))


def run_waiting(now: datetime | None = None) -> int:
    """Queue a runner for each erasure that has lost its own; returns how many. For the sweep."""
    now = now or timezone.now()
    at_work = Erasure.objects.filter(status__in=[Status.COUNTING, Status.RUNNING])
    ids = list(at_work.exclude(stepped_at__gt=now - FORGOTTEN).values_list("id", flat=True))
    for pk in ids:
        enqueue(pk)
    return len(ids)


def enqueue(erasure_id: uuid.UUID) -> None:
    """Queue a runner. A broker that is down delays the erasure until the sweep, nothing else."""
    from django_q.tasks import async_task

    try:
        async_task("deliveries.erasure.runner.run", str(erasure_id))
    except Exception:
        logger.warning("task queue unavailable: erasure %s waits for the next sweep", erasure_id, exc_info=True)
