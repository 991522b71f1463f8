"""The tasks that django-q2 runs. They only trigger work stored in the database: losing or repeating one is harmless."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django_q.models import Schedule

from deliveries.runtime import registry

logger = logging.getLogger("hookdesk.tasks")


def run_engine() -> str:
    """Run an engine for its run time. The host's worker guard starts the next one as soon as the slot is free."""
    from deliveries.runtime.process import run_engine_here

    if registry.stopping.is_set():
        return "stopping"
    return "handed over" if run_engine_here(settings.ENGINE_RUN_SECONDS) else "enough engines"


def sweep() -> None:
    """Each minute: continue replays, simulations, recipes and erasures, roll up figures, watch objectives, delete
    bodies that are not kept.

    Runs every step even if others fail, then raises the first error, for the task's record.
    """
    errors: list[Exception] = []
    for step in _steps_of_a_sweep():
        try:
            step(timezone.now())
        except Exception as error:
            logger.exception("a step of the sweep failed")
            errors.append(error)
    if errors:
        raise errors[0]


def _steps_of_a_sweep() -> list[Callable[[datetime], object]]:
    from deliveries.erasure import runner as erasures
    from deliveries.erasure.service import forget_counted
    from deliveries.maintenance.bodies import drop_bodies
    from deliveries.maintenance.objectives import watch_objectives
    from deliveries.recipes.applying import apply_recipes
    from deliveries.replay import run_waiting
    from deliveries.simulation import runner as simulations
    from deliveries.stats.compaction import compact, drop_marks
    from deliveries.stats.pushes import fold_pushes
    from deliveries.stats.rollups import fill

    return [
        lambda now: run_waiting(),
        lambda now: simulations.run_waiting(),
        apply_recipes,
        fill,
        compact,
        lambda now: drop_marks(),
        lambda now: fold_pushes(),
        watch_objectives,
        lambda now: erasures.run_waiting(),
        forget_counted,
        drop_bodies,
    ]


def look_after_cases() -> str:
    """Each minute: end snoozes, move deliveries of merged and split cases, count failures by the hour.

    Not in the engines: moving many deliveries takes seconds, during which they would send nothing.
    """
    from deliveries.failures.case_rules import settle_rules
    from deliveries.failures.cases import wake_due
    from deliveries.failures.trend import count_hours

    now = timezone.now()
    return f"{wake_due(now)} woken, {settle_rules(now)} deliveries moved, {count_hours(now)} counted"


def index_search() -> int:
    """Fill the search index. The engines queue this; it also runs each minute."""
    from deliveries.search.indexing import run

    return run(timezone.now())


def prune() -> int:
    """Daily: delete what is older than RETENTION_DAYS."""
    from deliveries.maintenance.retention import prune_finished

    return prune_finished(before=timezone.now() - timedelta(days=settings.RETENTION_DAYS))


SCHEDULES = {
    "deliveries.tasks.sweep": {"schedule_type": Schedule.MINUTES, "minutes": 1},
    "deliveries.tasks.look_after_cases": {"schedule_type": Schedule.MINUTES, "minutes": 1},
    "deliveries.tasks.index_search": {"schedule_type": Schedule.MINUTES, "minutes": 1},
    "deliveries.tasks.prune": {"schedule_type": Schedule.DAILY},
    "notifications.tasks.send_waiting": {"schedule_type": Schedule.MINUTES, "minutes": 1},
    "notifications.tasks.prune": {"schedule_type": Schedule.DAILY},
}


def ensure_schedules() -> None:
    """Create missing schedules. Idempotent: every host calls this at start-up."""
    for func, options in SCHEDULES.items():
        with suppress(Schedule.MultipleObjectsReturned):
            Schedule.objects.get_or_create(name=func, defaults={"func": func, **options})
