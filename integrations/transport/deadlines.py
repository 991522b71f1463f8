"""One deadline over a whole attempt, kept by one watchdog thread a process.

Socket timeouts count from the last byte, so a peer that sends a byte a second is never late. The watchdog
therefore shuts the socket of an attempt down when its time is over, which ends whatever the attempt is
waiting for: the handshake, a header, the body.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

TICK_SECONDS = 0.1
#: How long after its deadline an attempt that does not react is given up.
GRACE_SECONDS = 1.0


class Attempt:
    """The time limit of one request and the socket that it uses at the moment. Seconds are monotonic."""

    __slots__ = ("_lock", "_socket", "deadline", "is_expired", "on_abandoned", "started")

    def __init__(self, timeout: float, on_abandoned: Callable[[], None] | None = None) -> None:
        self.started = time.monotonic()
        self.deadline = self.started + timeout
        self.is_expired = False
        self.on_abandoned = on_abandoned
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def remaining(self) -> float:
        """Seconds until the deadline, never less than a millisecond (0 would mean: do not wait at all)."""
        return max(self.deadline - time.monotonic(), 0.001)

    def attach(self, connected: socket.socket) -> None:
        """From now on the deadline shuts this socket down; at once if it has passed."""
        with self._lock:
            self._socket = connected
            if self.is_expired:
                _shut_down(connected)

    def detach(self) -> bool:
        """Lets go of the socket; False if the deadline has shut it down, so that it cannot be used again."""
        with self._lock:
            self._socket = None
            return not self.is_expired

    def expire(self) -> None:
        """The deadline has passed: ends what the attempt is waiting for."""
        with self._lock:
            self.is_expired = True
            if self._socket is not None:
                _shut_down(self._socket)


class Watchdog:
    """Looks after all attempts of a process ten times a second, and sleeps while there are none."""

    def __init__(self) -> None:
        self._attempts: dict[int, Attempt] = {}
        self._has_work = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def watch(self, attempt: Attempt) -> None:
        """Keeps the deadline of `attempt` until `leave`."""
        self._attempts[id(attempt)] = attempt
        self._rouse()

    def leave(self, attempt: Attempt) -> None:
        """The attempt has ended."""
        self._attempts.pop(id(attempt), None)

    def _rouse(self) -> None:
        if not self._has_work.is_set():
            self._has_work.set()
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            self._has_work.wait()
            if not self._attempts:
                self._has_work.clear()
                if not self._attempts:
                    continue
                self._has_work.set()
            self._look()
            time.sleep(TICK_SECONDS)

    def _look(self) -> None:
        now = time.monotonic()
        try:
            attempts = list(self._attempts.values())
        except RuntimeError:  # another thread changed it meanwhile: look again at the next tick
            return
        for attempt in attempts:
            if now < attempt.deadline:
                continue
            if not attempt.is_expired:
                attempt.expire()
            if now >= attempt.deadline + GRACE_SECONDS and attempt.on_abandoned is not None:
                self.leave(attempt)
                attempt.on_abandoned()


def _shut_down(connected: socket.socket) -> None:
    # The plain method also for TLS: that of ssl.SSLSocket would take the encryption off first, and a
    # thread that is sending at that moment would send in the clear.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


_shared: Watchdog | None = None
_shared_pid = 0


def shared_watchdog() -> Watchdog:
    """The watchdog of this process; a forked child gets its own, as threads do not survive a fork."""
    global _shared, _shared_pid
    if _shared is None or _shared_pid != os.getpid():
        _shared, _shared_pid = Watchdog(), os.getpid()
    return _shared
