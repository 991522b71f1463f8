"""What django-q2 runs. A task wakes something; the work is in the database, so a lost or doubled task does no harm."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task

from deliveries.engine import control

#: A task that finds its host full is handed on, in case another host lacks engines.
MOST_HOPS = 3
#: One process asks for missing engines this often at most.
ASK_EVERY = 10.0

_asked_at = -ASK_EVERY


def run_engine(hops: int = 0) -> str:
    """Run an engine until its time is over, then hand over to a fresh task."""
    from deliveries.engine.engine import run_engine_here

    if control.stopping.is_set():
        return "stopping"
    if not run_engine_here(settings.ENGINE_RUN_SECONDS):
        if hops < MOST_HOPS and control.missing_engines(timezone.now()):
            async_task("deliveries.tasks.run_engine", hops + 1)
        return "enough engines"
    if not control.stopping.is_set():
        async_task("deliveries.tasks.run_engine")
    return "handed over"


def start_missing_engines() -> int:
    """Ask for the engines that this host lacks. Returns how many tasks were queued."""
    global _asked_at
    if time.monotonic() - _asked_at < ASK_EVERY or control.stopping.is_set():
        return 0
    _asked_at = time.monotonic()
    missing = control.missing_engines(timezone.now())
    for _ in range(missing):
        async_task("deliveries.tasks.run_engine")
    return missing


def sweep() -> int:
    """The safety net, run by the schedule: start engines where none live, go on with replays."""
    from deliveries.replay import run_waiting

    run_waiting()
    return start_missing_engines()


def prune() -> int:
    """Once a day: what is older than RETENTION_DAYS."""
    from deliveries.retention import prune_finished

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
