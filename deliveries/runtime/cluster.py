"""django-q2's cluster as Hookdesk runs it: engines drain before it stops, and it exits when it can no longer work.

Two properties of django-q2 1.11 make this necessary. First, it does not tell a worker in the middle of a task about a
shutdown, and an engine is a task of many minutes; `registry.stopping` signals it. Second, a worker that is killed while
it waits for work may leave the task queue's lock held: then no worker ever gets a task again, although the cluster
looks alive. The same applies to the monitor, which waits for results. The guard below ends such a cluster, so that the
supervisor starts a new one.

Engines are not started through the broker: another host might take the task, and a broker outage would stop all
sending. Each guard starts its own host's engines.

Of the workers that run other tasks, all but one exist only while they are needed: a waiting process takes 15 MB.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from queue import Full
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone
from django_q.cluster import Sentinel

from deliveries.runtime import registry
from deliveries.runtime.broker_outage import GuardBroker
from deliveries.runtime.parent_death import die_with_parent
from deliveries.runtime.process_name import name_process
from deliveries.runtime.queue_process import QueuePart, run_queue
from deliveries.runtime.waker import Waker

logger = logging.getLogger("hookdesk.cluster")

#: Exit status (sysexits' EX_TEMPFAIL) of a frozen cluster: start it again.
FROZEN = 75
#: How long engines may drain before a frozen cluster exits; they need up to 12 s.
DRAIN_SECONDS = 14.0
#: A cluster that has not stopped by itself after this long exits too.
STOP_SECONDS = 17.0
#: How often the worker guard counts its engines. A child's death or a free slot makes it count immediately.
COUNT_SECONDS = 5.0
#: Workers besides the engines' while tasks wait: a message to staff need not wait for a replay that takes minutes.
MAX_TASK_WORKERS = 2
#: How long two workers must be idle until one of them ends.
SURPLUS_SECONDS = 60.0
_IDLE = -1


class GuardPause:
    """The stop flag of django-q2's guard, which pauses by waiting for it. This is the only hook into the guard's loop.

    `before_each` is called at the start of each pause, before the guard checks whether to stop. Its argument says
    whether the previous pause ended early, by `wake`: a child died or a slot became free.
    """

    def __init__(self, before_each: Callable[[bool], None]) -> None:
        self._before_each = before_each
        self._waker = Waker()
        self._was_woken = False
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._waker.wake()

    def wake(self) -> None:
        self._waker.wake()

    def wait(self, seconds: float) -> bool:
        self._before_each(self._was_woken)
        if not self._is_set:
            self._was_woken = self._waker.wait(seconds)
        return self._is_set


class WorkerGuard(Sentinel):  # type: ignore[misc]
    """django-q2's worker guard, in the cluster's main process.

    Runs until SIGTERM or SIGINT. It also starts this host's engines, and ends the cluster after deaths that may have
    left a queue locked.
    """

    def __init__(self) -> None:
        self._count_at = 0.0
        self._surplus_since: float | None = None
        self._told_to_end = 0
        super().__init__(GuardPause(self._before_pause), registry.StopFlag(), uuid.uuid4(), start=False)
        self.parent_pid = self.pid
        self.broker: Any = GuardBroker(self.broker)
        # Replaces a multiprocessing.Event: if a pusher is killed while waiting for one, setting it blocks forever.
        self.event_out = registry.StopFlag()
        registry.on_free_slot = self.stop_event.wake

    def _handle_signals(self) -> None:
        """Handle signals in a thread: a Python handler would only run once the guard's current query has returned, but
        the engines must start draining at once.
        """
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(signum, lambda *_: None)

        def read_signals() -> None:
            # A worker that is killed while the cluster stops may leave the queue locked, too.
            stop_timer = threading.Timer(STOP_SECONDS, self._exit_frozen)
            stop_timer.daemon = True
            while True:
                for signum in os.read(reader, 64):
                    if signum in (signal.SIGTERM, signal.SIGINT) and not self.stop_event.is_set():
                        registry.stopping.set()
                        self.stop_event.set()
                        stop_timer.start()
                    self.stop_event.wake()

        threading.Thread(target=read_signals, name="signals", daemon=True).start()

    def run(self, *, once: bool = False) -> int:
        """Start the cluster, guard it and stop it. Returns the exit status: 0 if it was told to stop, else 1."""
        os.register_at_fork(after_in_child=_init_child)
        self._handle_signals()
        if once:
            self.stop_event.set()
        try:
            self.start()
        except Exception:
            logger.exception("the worker guard failed")
            self._kill_children()
            return 1
        return 0

    def start(self) -> None:
        # Skips django-q2's ping of the broker: engines do not need it, so an outage must not stop them.
        self.spawn_cluster()
        self.guard()

    def spawn_process(self, target: Any, *args: Any) -> Any:
        self.broker.disconnect()
        return super().spawn_process(target, *args)

    def spawn_monitor(self) -> QueuePart:
        """Start one process for both monitor and pusher."""
        self._has_pushed = registry.StopFlag()
        arguments = (self.task_queue, self.result_queue, self.event_out, self.broker, self._has_pushed)
        return QueuePart(self.spawn_process(run_queue, *arguments), registry.StopFlag())

    def spawn_pusher(self) -> QueuePart:
        return QueuePart(self.monitor.process, self._has_pushed)

    def _before_pause(self, was_woken: bool) -> None:
        if not registry.stopping.is_set():
            lacks_engines = self._start_missing_engines(was_woken)
            self.adjust_pool(time.monotonic(), lacks_engines=lacks_engines)

    def adjust_pool(self, now: float, *, lacks_engines: bool = False) -> None:
        """Add workers while tasks wait, up to `MAX_TASK_WORKERS` besides the engines'; end them when they are idle.

        `lacks_engines`: tasks took the workers of engines whose run time was over, and new engines wait behind others.
        Then each task that waits gets a worker.
        """
        idle = sum(worker.timer.value == _IDLE for worker in self.pool)
        if idle == 0:
            waiting = self.task_queue.qsize()
            room = settings.ENGINE_PROCESSES + MAX_TASK_WORKERS - len(self.pool)
            for _ in range(waiting if lacks_engines else min(waiting, room)):
                connections.close_all()
                self.spawn_worker()
        if idle < 2 or len(self.pool) - self._told_to_end <= self.pool_size:
            self._surplus_since = None
        elif self._surplus_since is None:
            self._surplus_since = now
        elif now >= self._surplus_since + SURPLUS_SECONDS:
            with suppress(Full):
                self.task_queue.put_nowait("STOP")  # whichever idle worker takes it ends
                self._told_to_end += 1

    def _start_missing_engines(self, is_urgent: bool) -> bool:
        """Start the engines that this host lacks, by giving tasks to workers directly, bypassing the broker.

        Returns whether any was missing; False, too, if it is not time to count them.
        """
        if time.monotonic() < self._count_at and not is_urgent:
            return False
        self._count_at = time.monotonic() + COUNT_SECONDS
        try:
            missing = registry.missing_here(timezone.now())
        except DatabaseError as error:
            logger.warning("cannot count engines: %s", error)
            connections.close_all()
            return False
        with suppress(Full):
            for _ in range(missing):
                self.task_queue.put_nowait(_engine_task())
        return missing > 0

    def reincarnate(self, process: Any) -> None:
        timer = getattr(process, "timer", None)
        was_killed = process.exitcode is not None and process.exitcode < 0
        if process is self.monitor:
            self._end_cluster("The task queue's process died", process.pid)
        elif timer is not None and was_killed and timer.value == _IDLE:
            self._end_cluster("A worker was killed while it waited for work", process.pid)
        elif self._told_to_end and timer is not None and process.exitcode == 0 and timer.value == _IDLE:
            self._told_to_end -= 1
            self.pool.remove(process)
            return
        super().reincarnate(process)

    def _end_cluster(self, cause: str, pid: int) -> None:
        logger.error(
            "%s (pid %s) and may have left a queue locked. The cluster exits, so that a new one can start.",
            cause,
            pid,
        )
        registry.stopping.set()
        until = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < until and any(worker.is_alive() and worker.timer.value > 0 for worker in self.pool):
            time.sleep(0.1)
        self._exit_frozen()

    def _exit_frozen(self) -> None:
        self._kill_children()
        os._exit(FROZEN)

    def _kill_children(self) -> None:
        for process in [*self.pool, self.monitor]:
            with suppress(OSError, ValueError, AttributeError):
                process.kill()


def _init_child() -> None:
    """Prepare each process that the guard forks."""
    # Children must not outlive the guard: an orphaned pusher would continue to take tasks.
    die_with_parent()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for signum in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(signum, signal.SIG_DFL)
    name_process("worker")


def _engine_task() -> dict[str, Any]:
    """Return a task as django-q2's pusher gives it to a worker, but without a broker."""
    key = uuid.uuid4().hex
    task = {"id": key, "name": f"engine-{key[:8]}", "func": "deliveries.tasks.run_engine", "args": (), "kwargs": {}}
    return {**task, "started": timezone.now(), "cluster": None, "ack_id": None}


def delete_stale_engines() -> None:
    """Delete the engine rows of an earlier cluster on this host.

    A host has one cluster (HOOKDESK_HOST distinguishes several on one machine), so an engine of an earlier cluster is
    dead, or is draining and notices that its slot is gone. Process ids cannot tell: after a container restart they
    belong to other processes.
    """
    from deliveries.models import Engine

    Engine.objects.filter(host=registry.host_name()).delete()


def ignore_interrupts() -> None:
    """Exit quietly on a signal until the cluster sets its own handlers, instead of with a traceback."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: os._exit(0))
