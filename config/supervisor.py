"""Supervise web server and worker: start both, restart one that dies or freezes, drain and stop both together.

Children are forked from the supervisor, which has loaded everything that they need (`config/children.py`), so they
start instantly and share its memory. Therefore the supervisor must not open anything that processes cannot share: no
connections and no threads.

Each child leads its own session, so that a signal to the supervisor's process group (Ctrl-C in a terminal) reaches only
the supervisor. django-q2 needs that: its main process drains on SIGTERM, while its workers would die while sending if
they received the signal too.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path

from deliveries.runtime.parent_death import SUPERVISOR_VARIABLE
from deliveries.runtime.waker import Waker

logger = logging.getLogger("hookdesk.supervisor")

#: Seconds from the signal until remaining children are killed. Engines drain within 12.
GRACE_SECONDS = 15.0
#: A worker without any engine heartbeat for this long is frozen …
FROZEN_SECONDS = 20.0
#: … but one that has just started gets more time.
STARTING_SECONDS = 60.0
#: How often the supervisor checks its children when nothing wakes it, and while a child waits to be restarted.
CHECK_SECONDS, RESTART_CHECK_SECONDS = 1.0, 0.1
MAX_BACKOFF = 30.0
#: A child that has run this long is restarted without backoff when it dies.
SETTLED_SECONDS = 60.0

FORK = multiprocessing.get_context("fork")
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


@dataclass
class Child:
    """A process that should be running: a fork of the supervisor that runs `main`. Times are monotonic."""

    name: str
    main: Callable[[], object]
    #: Monotonic time of the last heartbeat; None: unknown.
    last_seen: Callable[[], float | None] = lambda: None
    grace_seconds: float = GRACE_SECONDS
    process: ForkProcess | None = None
    started_at: float = 0.0
    start_after: float = 0.0
    failures: int = 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def start(self, now: float) -> None:
        self.process = FORK.Process(target=_run_child, args=(self.main, os.getpid()), name=self.name)
        # The child must not receive a signal while it still has the supervisor's handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        self.started_at = now

    def is_frozen(self, now: float) -> bool:
        sign = self.last_seen()
        if sign is None or now - self.started_at < STARTING_SECONDS:
            return False
        return now - max(sign, self.started_at) > FROZEN_SECONDS

    def terminate(self) -> None:
        """Send SIGTERM to its main process only."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()

    def kill_group(self) -> None:
        """Send SIGKILL to its process group, including processes that a dead main process left behind."""
        if self.process is not None:
            assert self.process.pid is not None
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            # It may not lead a group of its own yet.
            self.process.kill()
            self.process.join()

    def note_death(self, now: float) -> float:
        """Note the death; return the backoff in seconds until the restart: 0, or 0.5, 1, 2, … 30."""
        self.failures = 0 if now - self.started_at > SETTLED_SECONDS else self.failures + 1
        pause = 0.0 if self.failures == 0 else min(MAX_BACKOFF, 0.25 * 2**self.failures)
        self.start_after = now + pause
        self.process = None
        return pause


def _run_child(main: Callable[[], object], supervisor: int) -> None:
    """Run in the child: reset signal handling, then call `main`."""
    os.setsid()
    for signum in _HANDLED:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
    os.environ[SUPERVISOR_VARIABLE] = str(supervisor)
    main()


class Supervisor:
    """Runs the children. Call `run` in the main thread; `stop` may be called from any thread."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = children
        self.is_stopping = False
        # Woken by signals, a child's death, and `stop` from another thread.
        self._waker = Waker()
        self._parent = _MakeParent()

    def stop(self) -> None:
        self.is_stopping = True
        self._waker.wake()

    def run(self) -> None:
        """Run until SIGTERM, SIGINT or `stop`."""
        previous = {signum: signal.signal(signum, self._on_signal) for signum in _HANDLED}
        try:
            while not self.is_stopping:
                for child in self.children:
                    self._check(child, time.monotonic())
                is_waiting = any(child.process is None for child in self.children)
                self._waker.wait(RESTART_CHECK_SECONDS if is_waiting else CHECK_SECONDS)
                if self._parent.was_interrupted():
                    self.stop()
        finally:
            self._stop_children()
            for signum, handler in previous.items():
                signal.signal(signum, handler)

    def _on_signal(self, signum: int, frame: object) -> None:
        # A second signal has no effect: `make` forwards a SIGTERM that the whole group has already received.
        if signum != signal.SIGCHLD:
            self.is_stopping = True
        self._waker.wake()

    def _check(self, child: Child, now: float) -> None:
        if child.process is None:
            if now >= child.start_after:
                child.start(now)
        elif not child.is_running:
            status = child.process.exitcode
            child.kill_group()
            pause = child.note_death(now)
            logger.warning("%s exited (%s); restarting in %.1f s", child.name, _described(status), pause)
        elif child.is_frozen(now):
            logger.error(
                "%s is frozen: no engine heartbeat for %.0f s; killing and restarting it",
                child.name,
                FROZEN_SECONDS,
            )
            child.kill_group()
            child.note_death(now)

    def _stop_children(self) -> None:
        started = time.monotonic()
        for child in self.children:
            child.terminate()
        while any(child.is_running and time.monotonic() < started + child.grace_seconds for child in self.children):
            time.sleep(0.05)
        for child in self.children:
            if child.is_running:
                logger.warning("%s did not stop within %.0f s; killing it", child.name, child.grace_seconds)
            child.kill_group()


def _described(status: int | None) -> str:
    if status is not None and status < 0:
        with suppress(ValueError):
            return f"by {signal.Signals(-status).name}"
    return f"exit status {status}"


class _MakeParent:
    """Detects a SIGINT sent to a parent `make` alone (`make run`), which would then wait for its recipe forever.

    GNU make forwards SIGTERM but never SIGINT, and does not tell the recipe that it was interrupted. But make resets
    SIGINT to its default before it waits, which Linux shows in /proc. On other systems only Ctrl-C in a terminal works.
    """

    def __init__(self) -> None:
        parent = Path(f"/proc/{os.getppid()}")
        with suppress(OSError):
            if (parent / "comm").read_text().strip() in ("make", "gmake"):
                self._status: Path | None = parent / "status"
                self._was_caught = self._catches_interrupts()
                return
        self._status = None
        self._was_caught = False

    def was_interrupted(self) -> bool:
        return self._was_caught and not self._catches_interrupts()

    def _catches_interrupts(self) -> bool:
        assert self._status is not None
        with suppress(OSError, StopIteration, ValueError):
            lines = self._status.read_text().splitlines()
            caught = next(line for line in lines if line.startswith("SigCgt:")).split()[1]
            return bool(int(caught, 16) & (1 << (signal.SIGINT - 1)))
        return True
