"""django-q2's cluster as Hookdesk runs it: engines drain before it stops, and it ends when it can no longer work.

Two facts of django-q2 1.11 make this necessary. A worker in the middle of a task is not told about a shutdown, and
an engine is a task of many minutes: `registry.stopping` signals it. And a worker that is killed while it waits for
work can take the lock of the task queue with it, after which no other worker ever gets a task, while the
cluster looks alive: the guard below ends such a cluster, so that the supervisor starts a fresh one.

Engines are not started through the broker: with several hosts, another one would take the task, and a broker that
is down would stop all sending. Each guard starts its own host's engines.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from queue import Full
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone
from django_q.cluster import Cluster, Sentinel, get_mp_context

from deliveries.runtime import registry
from deliveries.runtime.broker_outage import GuardBroker, push_tasks
from deliveries.runtime.parent_death import die_with_parent

logger = logging.getLogger("hookdesk.cluster")

#: Exit status (sysexits' EX_TEMPFAIL) of a cluster that froze: start it again.
FROZEN = 75
#: How long engines may drain before a frozen cluster is ended; they need up to 12 s.
DRAIN_SECONDS = 14.0
#: How often the worker guard counts its engines.
LOOK_SECONDS = 2.0


class _GuardsPause:
    """What django-q2's guard of the workers sees of the stop flag. The guard has no hook but its pause, on this.

    `each_second` is called in each pause of the guard, before it checks whether to stop.
    """

    def __init__(self, flag: registry.StopFlag, each_second: Callable[[], None]) -> None:
        self._flag = flag
        self._each_second = each_second

    def is_set(self) -> bool:
        return self._flag.is_set()

    def wait(self, seconds: float) -> bool:
        self._each_second()
        return self._flag.wait(seconds)


class WorkerGuard(Sentinel):  # type: ignore[misc]
    """django-q2's worker guard, which also watches how workers die and starts this host's engines."""

    def __init__(self, stop_event: registry.StopFlag, *args: Any, **options: Any) -> None:
        # Children must not outlive this process: an orphaned pusher would continue taking tasks.
        os.register_at_fork(after_in_child=die_with_parent)
        die_with_parent()
        self._look_at = 0.0
        super().__init__(_GuardsPause(stop_event, self._provide_engines), *args, **options)

    def start(self) -> None:
        # Without django-q2's ping: engines need no broker, so an outage must not stop them.
        self.broker: Any = GuardBroker(self.broker)
        self.spawn_cluster()
        self.guard()

    def spawn_pusher(self) -> Any:
        return self.spawn_process(push_tasks, self.task_queue, self.event_out, self.broker)

    def _provide_engines(self) -> None:
        """Hand each engine that this host lacks to a worker, bypassing the broker."""
        if registry.stopping.is_set() or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            missing = registry.missing_here(timezone.now())
        except DatabaseError as error:
            logger.warning("cannot count engines: %s", error)
            connections.close_all()
            return
        with suppress(Full):
            for _ in range(missing):
                self.task_queue.put_nowait(_engine_task())

    def reincarnate(self, process: Any) -> None:
        timer = getattr(process, "timer", None)
        was_killed = process.exitcode is not None and process.exitcode < 0
        if timer is not None and was_killed and timer.value == -1:
            logger.error(
                "A worker (pid %s) was killed while it waited for work, and may have taken the task "
                "queue's lock with it. The cluster ends, so that a fresh one can be started.",
                process.pid,
            )
            self._end()
        super().reincarnate(process)
        self._look_at = 0.0  # it may have been an engine

    def _end(self) -> None:
        registry.stopping.set()
        until = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < until and any(worker.is_alive() and worker.timer.value > 0 for worker in self.pool):
            time.sleep(0.1)
        for process in [*self.pool, self.monitor, self.pusher]:
            with suppress(OSError, ValueError, AttributeError):
                process.kill()
        os._exit(FROZEN)


class HookdeskCluster(Cluster):  # type: ignore[misc]
    """Runs until SIGTERM or SIGINT, or until its worker guard is gone."""

    def __init__(self) -> None:
        self.is_stop_asked = False
        super().__init__()

    def sig_handler(self, signum: int, frame: object) -> None:
        # Only set a flag: locks are taken in the loop below, never in a signal handler.
        self.is_stop_asked = True

    def start(self) -> int:
        # Not multiprocessing's events, whose lock can die with a process: see `StopFlag`.
        self.stop_event, self.start_event = registry.StopFlag(), registry.StopFlag()
        arguments = (self.stop_event, self.start_event, self.cluster_id, self.broker, self.timeout)
        self.sentinel = get_mp_context().Process(target=WorkerGuard, name="worker guard", args=arguments)
        self.sentinel.start()
        return int(self.pid)

    def run(self, *, once: bool = False) -> int:
        """Start, guard, stop. Returns the exit status: 0 if it was told to stop."""
        self.start()
        is_stopping = False
        while self.sentinel.is_alive():
            if (self.is_stop_asked or (once and self.start_event.is_set())) and not is_stopping:
                is_stopping = True
                registry.stopping.set()
                self.stop_event.set()
            self.sentinel.join(0.2)
        if is_stopping:
            return 0
        return FROZEN if self.sentinel.exitcode == FROZEN else 1


def _engine_task() -> dict[str, Any]:
    """The task tuple that django-q2's pusher hands to a worker, for a task without a broker."""
    key = uuid.uuid4().hex
    task = {"id": key, "name": f"engine-{key[:8]}", "func": "deliveries.tasks.run_engine", "args": (), "kwargs": {}}
    return {**task, "started": timezone.now(), "cluster": None, "ack_id": None}


def forget_engines() -> None:
    """Remove the engines of an earlier cluster on this host.

    A host has one cluster (HOOKDESK_HOST tells several on one machine apart), so what is left of an earlier one is
    dead, or is draining and notices that its slot is gone. Its process ids mean nothing: in a container that was
    restarted they belong to other processes.
    """
    from deliveries.models import Engine

    Engine.objects.filter(host=registry.host_name()).delete()


def ignore_interrupts() -> None:
    """Before the cluster's own handlers are set: a signal in the first second must not end in a traceback."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: os._exit(0))
