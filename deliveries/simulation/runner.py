"""Running a simulation in the background, step by step.

A step compares events outside a transaction, as expressions take time and SQLite has one writer, and then writes what
it found together with the cursor. What it found counts only if the cursor has not moved meanwhile, so that a step that
is run twice at the same time counts once.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from deliveries.models import Simulation, SimulationItem
from deliveries.simulation.choosing import EventChoice
from deliveries.simulation.comparers import Found
from deliveries.simulation.targets import target_of
from deliveries.simulation.walking import Progress, walk
from integrations.foundation.languages import gettext_noop

logger = logging.getLogger("hookdesk.simulation")

#: Seconds of the processor that one step takes.
STEP_SECONDS: Final = 0.5
#: A runner works this long and then queues the next one, so that it never blocks a worker.
RUN_SECONDS: Final = 60.0
#: A simulation without a step for this long has lost its runner.
FORGOTTEN: Final = timedelta(seconds=30)
Status = Simulation.Status


def step(simulation_id: uuid.UUID, now: datetime, seconds: float = STEP_SECONDS) -> bool:
    """Compare some more events; True when it is over. Safe to run at any time, concurrently and repeatedly."""
    simulation = Simulation.objects.select_related("store").filter(pk=simulation_id).first()
    if simulation is None or simulation.is_over:
        return True
    before = progress_of(simulation)
    progress = replace(before, counts=Counter(before.counts))
    found: list[Found] = []
    target = target_of(simulation)
    try:
        if target is None:
            progress.stop(gettext_noop("It was deleted meanwhile."))
        elif target.base != simulation.base:
            progress.stop(gettext_noop("It was changed meanwhile. Run it again."))
        else:
            comparer = target.comparer(simulation.proposed, simulation.created_at)
            found = walk(simulation.store, EventChoice.of(simulation.events), comparer, progress, seconds)
    except ValidationError as error:
        progress.stop(f"The change cannot be made any more: {' '.join(error.messages)}")
    return _keep(simulation, before, progress, found, now)


def progress_of(simulation: Simulation) -> Progress:
    return Progress(
        cursor=simulation.cursor,
        looked_at=simulation.looked_at,
        passed_over=simulation.passed_over,
        oldest_at=simulation.oldest_at,
        counts=Counter(simulation.counts),
        effects=sum(count for name, count in simulation.counts.items() if name not in ("same", "unwanted")),
        steps_left=simulation.steps_left,
    )


def _keep(simulation: Simulation, before: Progress, progress: Progress, found: list[Found], now: datetime) -> bool:
    with transaction.atomic():
        row = Simulation.objects.select_for_update(of=("self",)).defer("proposed").filter(pk=simulation.pk).first()
        if row is None or row.is_over:
            return True
        if (row.cursor, row.looked_at) != (before.cursor, before.looked_at):
            return False
        SimulationItem.objects.bulk_create(
            [
                SimulationItem(
                    simulation=row,
                    number=number,
                    event_id=one.event_id,
                    subscription_id=one.subscription_id,
                    verdict=str(one.finding.verdict),
                    kind=one.finding.kind,
                )
                for number, one in enumerate(found, start=before.effects + 1)
            ],
            batch_size=500,
        )
        row.cursor, row.looked_at, row.passed_over = progress.cursor, progress.looked_at, progress.passed_over
        row.counts, row.oldest_at, row.steps_left = dict(progress.counts), progress.oldest_at, progress.steps_left
        row.stepped_at = now
        if progress.is_over:
            row.status, row.finished_at, row.stopped_because = Status.DONE, now, progress.stopped_because
        row.save(
            update_fields=[
                "cursor", "looked_at", "passed_over", "counts", "oldest_at", "steps_left", "stepped_at", "status",
                "finished_at", "stopped_because",
            ]
        )  # fmt: skip
    return progress.is_over


def run(simulation_id: str | uuid.UUID, seconds: float = RUN_SECONDS) -> bool:
    """Step until it is over or `seconds` have passed, then queue the next runner. True when it is over."""
    pk = uuid.UUID(str(simulation_id))
    deadline = time.monotonic() + seconds
    while not step(pk, timezone.now()):
        if time.monotonic() >= deadline:
            enqueue(pk)
            return False
    return True


def run_waiting(now: datetime | None = None) -> int:
    """Queue a runner for each simulation that has lost its own; returns how many. For the sweep."""
    now = now or timezone.now()
    forgotten = Simulation.objects.filter(status=Status.RUNNING).exclude(stepped_at__gt=now - FORGOTTEN)
    ids = list(forgotten.values_list("id", flat=True)[:100])
    for pk in ids:
        enqueue(pk)
    return len(ids)


def enqueue(simulation_id: uuid.UUID) -> None:
    """Queue a runner. A broker that is down delays the simulation until the sweep, nothing else."""
    from django_q.tasks import async_task

    try:
        async_task("deliveries.simulation.runner.run", str(simulation_id))
    except Exception:
        logger.warning("task queue unavailable: simulation %s waits for the next sweep", simulation_id, exc_info=True)


def prune_simulations(before: datetime, batch: int) -> int:
    """Delete simulations that were made before that time; returns how many."""
    old = Simulation.objects.filter(created_at__lt=before).order_by("created_at")
    ids = list(old.values_list("pk", flat=True)[: max(1, batch // 100)])
    return Simulation.objects.filter(pk__in=ids).delete()[1].get("deliveries.Simulation", 0) if ids else 0
