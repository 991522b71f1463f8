"""What django-q2 runs. A task wakes something; the work is in the database, so a lost or doubled task does no harm."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django_q.models import Schedule

from deliveries.runtime import registry


def run_engine() -> str:
    """Run an engine until its time is over. Its host's watchman starts the next one as soon as the slot is free."""
    from deliveries.runtime.process import run_engine_here

    if registry.stopping.is_set():
        return "stopping"
    return "handed over" if run_engine_here(settings.ENGINE_RUN_SECONDS) else "enough engines"


def sweep() -> None:
    """The safety net, run by the schedule: go on with replays, count what finished for the dashboard."""
    from deliveries.replay import run_waiting
    from deliveries.stats.rollups import fill

    fill(timezone.now())
    run_waiting()


def prune() -> int:
    """Once a day: what is older than RETENTION_DAYS."""
    from deliveries.maintenance.retention import prune_finished

    return prune_finished(before=timezone.now() - timedelta(days=settings.RETENTION_DAYS))


SCHEDULES = {
    "deliveries.tasks.sweep": {"schedule_type": Schedule.MINUTES, "minutes": 1},
    "deliveries.tasks.prune": {"schedule_type": Schedule.DAILY},
    "notifications.tasks.send_waiting": {"schedule_type": Schedule.MINUTES, "minutes": 1},
    "notifications.tasks.prune": {"schedule_type": Schedule.DAILY},
}


def ensure_schedules() -> None:
    """The schedules exist once, however often hosts start."""
    for func, options in SCHEDULES.items():
        with suppress(Schedule.MultipleObjectsReturned):
            Schedule.objects.get_or_create(name=func, defaults={"func": func, **options})
