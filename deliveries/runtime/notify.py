"""Telling sleeping engines that there is work, and engines' waiting for it.

PostgreSQL: NOTIFY from one background thread per process after a push's commit, or in its transaction where little is
going on (otherwise not: NOTIFY takes a global lock at commit); LISTEN in the engine. SQLite: the kernel tells the
engine when the log of the database is written to, and the engine looks at `PRAGMA data_version`, a counter in shared
memory that changes with every commit of another connection; where the kernel cannot tell, it looks again and again. A
wake-up that is lost costs at most the engine's idle interval.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
from contextlib import suppress
from typing import Any, Protocol

from django.db import connection, connections, transaction

from deliveries.storage.sql import execute_plain

CHANNEL = "hookdesk_due"
#: Wake-ups of one process within this many seconds become one.
PAUSE = 0.005
#: After so long without a push, the one that comes carries the call itself: handing over to the thread takes longer.
QUIET = 0.05
#: Two wake-ups by SQLite are so many seconds apart at least.
SQLITE_INTERVAL = 0.006
#: After something was written, SQLite's counter is looked at first after so long, then less and less, for so long.
SQLITE_FIRST_LOOK = 0.001
SQLITE_LONGEST_COMMIT = 1.0
#: Without notices of the kernel, the counter is looked at so often after a while of nothing, else every interval.
SQLITE_IDLE_INTERVAL = 0.02
SQLITE_IDLE_AFTER = 2.0
INOTIFY_IGNORED = 0x8000
#: One engine of a host is enough to be quick on its feet; the others look this often.
SQLITE_STANDBY_INTERVAL = 0.25


class _Notifier:
    """The background thread of one process. A process that was forked starts its own."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._pid = 0
        self._woken_at = 0.0

    def wake(self) -> None:
        if connection.vendor != "postgresql":
            return  # there the engines see the commit itself
        self._woken_at = time.monotonic()
        if self._pid != os.getpid():
            self._start()
        self._event.set()

    def may_notify_inline(self) -> bool:
        before, self._woken_at = self._woken_at, time.monotonic()
        return self._woken_at - before > QUIET and connection.vendor == "postgresql"

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
            with suppress(Exception):  # a lost wake-up does no harm; the next one uses a new connection
                self._notify()
                time.sleep(PAUSE)
                continue
            connections["default"].close()
            time.sleep(0.2)

    def _notify(self) -> None:
        execute_plain(f"NOTIFY {CHANNEL}")


_notifier = _Notifier()


def wake() -> None:
    """There is due work: call after the commit. Returns at once."""
    _notifier.wake()


def may_notify_inline() -> bool:
    """True: nothing was called out for a while, and the caller does so now, in its own transaction."""
    return _notifier.may_notify_inline()


def wake_on_commit() -> None:
    transaction.on_commit(wake)


class Waiter(Protocol):
    """An engine's listener. `wait` returns True when woken, False after `timeout` seconds."""

    def wait(self, timeout: float) -> bool: ...

    def close(self) -> None: ...


def make_waiter(*, is_standby: bool = False) -> Waiter:
    """`is_standby`: another engine of this host listens too, and is quicker where listening costs something."""
    return PostgresqlWaiter() if connection.vendor == "postgresql" else SqliteWaiter(is_standby=is_standby)


class PostgresqlWaiter:
    """LISTEN on a connection of its own, so that the engine's statements never mix with notices."""

    def __init__(self) -> None:
        import psycopg

        parameters = connection.get_connection_params()
        parameters = {key: value for key, value in parameters.items() if key not in ("cursor_factory", "context")}
        self._connection: Any = psycopg.connect(**parameters, autocommit=True)
        self._connection.execute(f"LISTEN {CHANNEL}")
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._connection.fileno(), selectors.EVENT_READ)

    def wait(self, timeout: float) -> bool:
        return bool(self._selector.select(timeout)) and self._drain()

    def _drain(self) -> bool:
        # libpq itself: the engine waits for this thread to let go of the interpreter, and psycopg takes its time.
        libpq, woken = self._connection.pgconn, False
        libpq.consume_input()
        while libpq.notifies() is not None:
            woken = True
        return woken

    def close(self) -> None:
        self._selector.close()
        self._connection.close()


class SqliteWaiter:
    """Looks at the commit counter, when the kernel says that something was written; no query is run meanwhile."""

    def __init__(self, *, is_standby: bool = False) -> None:
        self._is_reserve = is_standby
        self._changed_at = time.monotonic()
        self._written_at: float | None = None  # lately, so that a commit may follow
        self._version = self._read()
        self._watch = None if is_standby else watch_writes(f"{connection.settings_dict['NAME']}-wal")

    def _read(self) -> int:
        connection.ensure_connection()
        return int(connection.connection.execute("PRAGMA data_version").fetchone()[0])

    def wait(self, timeout: float) -> bool:
        now = time.monotonic()
        deadline = now + timeout
        time.sleep(max(0.0, min(self._changed_at + SQLITE_INTERVAL - now, timeout)))
        while True:
            version, now = self._read(), time.monotonic()
            if version != self._version:
                self._version, self._changed_at = version, now
                return True
            if now >= deadline:
                return False
            self._nap(now, deadline - now)

    def _nap(self, now: float, longest: float) -> None:
        if self._is_reserve:
            time.sleep(min(SQLITE_STANDBY_INTERVAL, longest))
        elif self._watch is None:
            is_idle = now - self._changed_at >= SQLITE_IDLE_AFTER
            time.sleep(min(SQLITE_IDLE_INTERVAL if is_idle else SQLITE_INTERVAL, longest))
        else:
            self._await_writes(self._watch, now, longest)

    def _await_writes(self, watch: Any, now: float, longest: float) -> None:
        """What was written is committed in a moment, of which the kernel says nothing: it is looked for, ever less.

        Also after a commit was seen: one notice may stand for what two have written, of which the other comes later.
        """
        if self._written_at is not None:
            longest = min(longest, SQLITE_FIRST_LOOK + (now - self._written_at) / 4)
        events = watch.read(timeout=int(longest * 1000) + 1)
        if events:
            time.sleep(SQLITE_FIRST_LOOK)
            self._written_at = time.monotonic()
        elif self._written_at is not None and now - self._written_at > SQLITE_LONGEST_COMMIT:
            self._written_at = None
        if any(event.mask & INOTIFY_IGNORED for event in events):
            self.close()  # the file is another one now

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def watch_writes(path: str) -> Any:
    """The kernel's notices of writes to a file (inotify), or None where there is no such file or no such kernel."""
    try:
        from inotify_simple import INotify, flags  # type: ignore[import-untyped]
    except ImportError:
        return None
    watch = None
    try:
        watch = INotify()
        watch.add_watch(path, flags.MODIFY)
    except OSError:  # there may be none left of what the system allows
        if watch is not None:
            watch.close()
        return None
    return watch
