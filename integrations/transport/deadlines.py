"""A deadline for a whole attempt, enforced by one watchdog thread per process.

A socket timeout restarts with every byte received, so a peer that sends one byte per second never times out. The
watchdog therefore shuts down the attempt's socket at the deadline. This unblocks the attempt wherever it is waiting:
in the TLS handshake, in the headers or in the body.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from integrations.transport.per_process import per_process

TICK_SECONDS = 0.1
#: An attempt that has not ended this long after its deadline is abandoned.
GRACE_SECONDS = 1.0


class Attempt:
    """The deadline of one request (seconds of the monotonic clock) and the socket it currently uses."""

    __slots__ = ("_lock", "_socket", "deadline", "is_expired", "on_abandoned", "started")

    def __init__(self, timeout: float, on_abandoned: Callable[[], None] | None = None) -> None:
        self.started = time.monotonic()
        self.deadline = self.started + timeout
        self.is_expired = False
        self.on_abandoned = on_abandoned
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def remaining(self) -> float:
        """Return the seconds until the deadline, at least 0.001: a socket timeout of 0 would mean non-blocking."""
        return max(self.deadline - time.monotonic(), 0.001)

    def attach(self, connected: socket.socket) -> None:
        """Shut down this socket at the deadline, or immediately if the deadline has passed."""
        with self._lock:
            self._socket = connected
            if self.is_expired:
                _shut_down(connected)

    def detach(self) -> bool:
        """Release the socket. Return False if the deadline has shut it down, so that it cannot be reused."""
        with self._lock:
            self._socket = None
            return not self.is_expired

    def expire(self) -> None:
        """Mark the deadline as passed and shut down the socket."""
        with self._lock:
            self.is_expired = True
            if self._socket is not None:
                _shut_down(self._socket)


class Watchdog:
    """Checks the deadlines of all attempts of a process ten times a second; sleeps while there are none."""

    def __init__(self) -> None:
        self._attempts: dict[int, Attempt] = {}
        self._has_work = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def watch(self, attempt: Attempt) -> None:
        """Enforce the deadline of `attempt` until `leave` is called."""
        self._attempts[id(attempt)] = attempt
        self._wake()

    def leave(self, attempt: Attempt) -> None:
        """Stop watching: the attempt has ended."""
        self._attempts.pop(id(attempt), None)

    def _wake(self) -> None:
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
            self._check()
            time.sleep(TICK_SECONDS)

    def _check(self) -> None:
        now = time.monotonic()
        try:
            attempts = list(self._attempts.values())
        except RuntimeError:  # changed by another thread during iteration: retry at the next tick
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
    # socket.socket's method for TLS sockets too: ssl.SSLSocket.shutdown removes the TLS layer first, so a thread that
    # is sending at that moment would send plain text.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


shared_watchdog = per_process(Watchdog)
