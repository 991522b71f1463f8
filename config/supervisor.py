"""Web and worker as two children: started together, restarted if one dies or freezes, drained and stopped together.

Each child leads its own session, so that a signal to the supervisor's process group (Ctrl-C in a terminal)
reaches the supervisor alone. django-q2 needs that: its main process drains on SIGTERM, while its workers, had they
received the signal too, would die while sending.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from deliveries.runtime.parent_death import SUPERVISOR_VARIABLE

logger = logging.getLogger("hookdesk.supervisor")

#: Seconds from the signal until remaining children are killed. Engines drain within 12.
GRACE_SECONDS = 15.0
#: A worker without any engine heartbeat for this long is frozen …
FROZEN_SECONDS = 20.0
#: … but one that has just started gets longer.
STARTING_SECONDS = 60.0
WATCH_SECONDS = 2.0
LONGEST_BACKOFF = 30.0
#: A child that has run this long is restarted without a pause when it dies.
SETTLED_SECONDS = 60.0


@dataclass
class Child:
    """A process that should be running. Times are monotonic."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Monotonic time of the last heartbeat; None: unknown.
    last_sign: Callable[[], float | None] = lambda: None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_after: float = 0.0
    failures: int = 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, now: float) -> None:
        environment = {**os.environ, **self.environment, SUPERVISOR_VARIABLE: str(os.getpid())}
        self.process = subprocess.Popen(self.command, env=environment, start_new_session=True)  # noqa: S603 - our own
        self.started_at = now

    def is_frozen(self, now: float) -> bool:
        sign = self.last_sign()
        if sign is None or now - self.started_at < STARTING_SECONDS:
            return False
        return now - max(sign, self.started_at) > FROZEN_SECONDS

    def terminate(self) -> None:
        """SIGTERM to its main process alone."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def kill_group(self) -> None:
        """SIGKILL to its process group, including what a dead main process has left behind."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def note_death(self, now: float) -> float:
        """Seconds until it is restarted: 0.5, 1, 2, … 30."""
        self.failures = 0 if now - self.started_at > SETTLED_SECONDS else self.failures + 1
        pause = 0.0 if self.failures == 0 else min(LONGEST_BACKOFF, 0.25 * 2**self.failures)
        self.start_after = now + pause
        self.process = None
        return pause


class Supervisor:
    """`run` in the main thread; `stop` from anywhere."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = children
        self._stop_asked = threading.Event()
        self._parent = _MakeParent()

    def stop(self) -> None:
        self._stop_asked.set()

    @property
    def is_stopping(self) -> bool:
        return self._stop_asked.is_set()

    def run(self) -> None:
        """Until SIGTERM, SIGINT or `stop`."""
        previous = {signum: signal.signal(signum, self._on_signal) for signum in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not self._stop_asked.wait(0.2):
                for child in self.children:
                    self._look_after(child, time.monotonic())
                if self._parent.was_interrupted():
                    self.stop()
        finally:
            self._stop_children()
            for signum, handler in previous.items():
                signal.signal(signum, handler)

    def _on_signal(self, signum: int, frame: object) -> None:
        # A second signal changes nothing: `make` forwards a SIGTERM that the whole group has already received.
        self._stop_asked.set()

    def _look_after(self, child: Child, now: float) -> None:
        if child.process is None:
            if now >= child.start_after:
                child.start(now)
        elif not child.is_running:
            status = child.process.returncode
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
        for child in self.children:
            child.terminate()
        until = time.monotonic() + GRACE_SECONDS
        while any(child.is_running for child in self.children) and time.monotonic() < until:
            time.sleep(0.05)
        for child in self.children:
            if child.is_running:
                logger.warning("%s did not stop within %.0f s; killing it", child.name, GRACE_SECONDS)
            child.kill_group()


def _described(status: int) -> str:
    if status < 0:
        with suppress(ValueError):
            return f"by {signal.Signals(-status).name}"
    return f"exit status {status}"


class EngineWatch(threading.Thread):
    """Reads the engines' heartbeats in a thread, so that a hanging database never blocks the supervisor."""

    def __init__(self) -> None:
        super().__init__(name="engine watch", daemon=True)
        self._sign: float | None = None

    def last_sign(self) -> float | None:
        """When an engine of this host was last seen alive (monotonic); None while the database does not answer."""
        return self._sign

    def run(self) -> None:
        from django.conf import settings
        from django.db import connection

        while settings.ENGINE_PROCESSES > 0:
            started = time.monotonic()
            try:
                if self._is_alive():
                    self._sign = time.monotonic()
                elif self._sign is None:
                    self._sign = started
            except Exception as error:
                # Engines cannot write heartbeats either: a missing one says nothing about them.
                logger.warning("cannot read engine heartbeats: %s", error)
                self._sign = None
                connection.close()
            time.sleep(WATCH_SECONDS)

    def _is_alive(self) -> bool:
        from django.utils import timezone

        from deliveries.models import Engine
        from deliveries.runtime.registry import host_name

        return Engine.objects.alive(timezone.now()).filter(host=host_name()).exists()


class _MakeParent:
    """Under `make run`, a SIGINT to `make` alone: it waits for its recipe then, for ever.

    GNU make passes on SIGTERM and never SIGINT, and no recipe can see that its make was interrupted. But make puts
    SIGINT back to its default before it waits, which Linux shows in /proc; elsewhere only Ctrl-C in a terminal works.
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


def web_server(*, host: str, port: int) -> Child:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [sys.executable, "-m", "gunicorn", "--config", "python:config.server.gunicorn_settings", "config.wsgi"]
    return Child("the web server", command, {"WEB_BIND": address})


def worker() -> Child:
    """django-q2's cluster with the engines, and a watcher for their heartbeats."""
    watch = EngineWatch()
    watch.start()
    manage = str(Path(__file__).resolve().parent.parent / "manage.py")
    return Child("the worker", [sys.executable, manage, "qcluster"], last_sign=watch.last_sign)
