"""django-q2's cluster as Hookdesk runs it: engines drain before it stops, and it ends when it can no longer work.

Two facts of django-q2 1.11 make this necessary. A worker in the middle of a task hears nothing of a shutdown, and
an engine is a task of many minutes: `control.stopping` tells it. And a worker that is killed while it waits for
work can take the lock of the task queue with it, after which no other worker ever gets a task again, while the
cluster looks alive: the watchman below ends such a cluster, so that whoever supervises it starts a fresh one.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import suppress
from multiprocessing import Event
from typing import Any

from django.db import DatabaseError
from django_q.cluster import Cluster, Sentinel, get_mp_context
from django_q.tasks import async_task

from deliveries.engine import control
from deliveries.process_ties import die_with_parent

logger = logging.getLogger("hookdesk.cluster")

#: Exit status (sysexits' EX_TEMPFAIL) of a cluster that froze: start it again.
FROZEN = 75
#: Engines get so long to drain before a frozen cluster is ended; theirs is 12 s.
DRAIN_SECONDS = 14.0


class Watchman(Sentinel):  # type: ignore[misc]
    """django-q2's guard of the workers, with an eye on how they die."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # Whatever this process forks must not outlive it: an orphaned pusher would go on taking tasks.
        os.register_at_fork(after_in_child=die_with_parent)
        die_with_parent()
        super().__init__(*args, **options)

    def reincarnate(self, process: Any) -> None:
        timer = getattr(process, "timer", None)
        was_killed = process.exitcode is not None and process.exitcode < 0
        if timer is not None and was_killed and timer.value == -1:
            logger.error(
                "A worker (pid %s) was killed while it waited for work, and the task queue's lock may be gone with "
                "it. The cluster ends, so that a fresh one can be started.",
                process.pid,
            )
            self._end()
        super().reincarnate(process)
        if timer is not None and was_killed:
            # It may have been an engine; where none is missing, the task leaves at once.
            with suppress(DatabaseError, OSError):
                async_task("deliveries.tasks.run_engine")

    def _end(self) -> None:
        control.stopping.set()
        until = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < until and any(worker.is_alive() and worker.timer.value > 0 for worker in self.pool):
            time.sleep(0.1)
        for process in [*self.pool, self.monitor, self.pusher]:
            with suppress(OSError, ValueError, AttributeError):
                process.kill()
        os._exit(FROZEN)


class HookdeskCluster(Cluster):  # type: ignore[misc]
    """Runs until it is told to stop by SIGTERM or SIGINT, or until its watchman is gone."""

    def __init__(self) -> None:
        self.is_stop_asked = False
        super().__init__()

    def sig_handler(self, signum: int, frame: object) -> None:
        # Only noted: locks are taken in the loop below, never in a signal handler.
        self.is_stop_asked = True

    def start(self) -> int:
        self.stop_event, self.start_event = Event(), Event()
        arguments = (self.stop_event, self.start_event, self.cluster_id, self.broker, self.timeout)
        self.sentinel = get_mp_context().Process(target=Watchman, name="watchman", args=arguments)
        self.sentinel.start()
        return int(self.pid)

    def run(self, *, once: bool = False) -> int:
        """Start, guard, stop. Returns the exit status: 0 where it was told to stop."""
        self.start()
        is_stopping = False
        while self.sentinel.is_alive():
            if (self.is_stop_asked or (once and self.start_event.is_set())) and not is_stopping:
                is_stopping = True
                control.stopping.set()
                self.stop_event.set()
            self.sentinel.join(0.2)
        if is_stopping:
            return 0
        return FROZEN if self.sentinel.exitcode == FROZEN else 1


def prepare_engines(count: int) -> None:
    """Ask for this host's engines, and forget those of a cluster that ran here before.

    A host has one cluster (HOOKDESK_HOST tells several on one machine apart), so what is left of an earlier one is
    dead, or is draining and notices that its slot is gone. Its process ids say nothing: in a container that was
    started anew they belong to other processes.
    """
    from deliveries.models import Engine

    Engine.objects.filter(host=control.host_name()).delete()
    for _ in range(count):
        async_task("deliveries.tasks.run_engine")


def ignore_interrupts() -> None:
    """Before the cluster's own handlers are set: a signal in the first second must not end in a traceback."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: os._exit(0))
