"""What django-q2 runs. Tasks only trigger work that is in the database, so a lost or repeated task is harmless."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django_q.models import Schedule

from deliveries.runtime import registry


def run_engine() -> str:
    """Run an engine until its time is up. Its host's worker guard starts the next one as soon as the slot is free."""
    from deliveries.runtime.process import run_engine_here

    if registry.stopping.is_set():
        return "stopping"
    return "handed over" if run_engine_here(settings.ENGINE_RUN_SECONDS) else "enough engines"


def sweep() -> None:
    """Scheduled safety net: continue replays, recipes and erasures, roll up statistics for the dashboard, drop bodies
    that are not kept."""
    from deliveries.erasure import runner as erasures
    from deliveries.erasure.service import forget_counted
    from deliveries.maintenance.bodies import drop_bodies
    from deliveries.recipes.applying import apply_recipes
    from deliveries.replay import run_waiting
    from deliveries.stats.rollups import fill

    fill(timezone.now())
    run_waiting()
    apply_recipes(timezone.now())
    erasures.run_waiting()
    forget_counted(timezone.now())
    drop_bodies(timezone.now())


def look_after_cases() -> str:
    """Each minute: end snoozes, move deliveries of merged and split cases, count failures by the hour.

    Not in the engines: moving many deliveries takes seconds, in which they would send nothing.
    """
    from deliveries.failures.case_rules import settle_rules
    from deliveries.failures.cases import wake_due
    from deliveries.failures.trend import count_hours

    now = timezone.now()
    return f"{wake_due(now)} woken, {settle_rules(now)} deliveries moved, {count_hours(now)} counted"


def prune() -> int:
    """Daily: delete what is older than RETENTION_DAYS."""
    from deliveries.maintenance.retention import prune_finished

    return prune_finished(before=timezone.now() - timedelta(days=settings.RETENTION_DAYS))


SCHEDULES = {
    "deliveries.tasks.sweep": {"schedule_type": Schedule.MINUTES, "minutes": 1},
    "deliveries.tasks.look_after_cases": {"schedule_type": Schedule.MINUTES, "minutes": 1},
    "deliveries.tasks.prune": {"schedule_type": Schedule.DAILY},
    "notifications.tasks.send_waiting": {"schedule_type": Schedule.MINUTES, "minutes": 1},
    "notifications.tasks.prune": {"schedule_type": Schedule.DAILY},
}


def ensure_schedules() -> None:
    """Create the schedules once, however often hosts start."""
    for func, options in SCHEDULES.items():
        with suppress(Schedule.MultipleObjectsReturned):
            Schedule.objects.get_or_create(name=func, defaults={"func": func, **options})
