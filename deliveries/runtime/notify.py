"""Wake idle engines when there is work.

Where engines need a notification (`storage.Backend.notify`), one background thread per process sends it after a push's
commit. Under low load, the push notifies in its own transaction instead; under high load it must not, because
PostgreSQL's NOTIFY takes a global lock at commit. The engine's half is `storage.Backend.make_waiter`. A lost wake-up
costs at most the engine's idle interval.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

from django.db import connections, transaction

from deliveries.storage import backend

#: Wake-ups of one process within this many seconds are combined.
COALESCE_SECONDS = 0.005
#: After this many seconds without a push, the next one notifies inline, which is faster than using the thread.
INLINE_AFTER = 0.05


class _Notifier:
    """The background thread of one process. A forked process starts its own."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._pid = 0
        self._woken_at = 0.0

    def wake(self) -> None:
        if backend().commits_wake:
            return
        self._woken_at = time.monotonic()
        if self._pid != os.getpid():
            self._start()
        self._event.set()

    def may_notify_inline(self) -> bool:
        before, self._woken_at = self._woken_at, time.monotonic()
        return self._woken_at - before > INLINE_AFTER and not backend().commits_wake

    def _start(self) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._event = threading.Event()
                threading.Thread(target=self._run, name="wake-up", daemon=True).start()
                self._pid = os.getpid()

    def _run(self) -> None:
        while True:
            self._event.wait()
            self._event.clear()
            with suppress(Exception):  # a lost wake-up is harmless; the next one uses a new connection
                self._notify()
                time.sleep(COALESCE_SECONDS)
                continue
            connections["default"].close()
            time.sleep(0.2)

    def _notify(self) -> None:
        backend().notify()


_notifier = _Notifier()


def wake() -> None:
    """Wake the engines: something is due. Call after the commit. Returns immediately."""
    _notifier.wake()


def may_notify_inline() -> bool:
    """Whether the caller should notify in its own transaction: there was no notification for a while."""
    return _notifier.may_notify_inline()


def wake_on_commit() -> None:
    transaction.on_commit(wake)
