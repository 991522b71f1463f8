"""Telling sleeping engines that there is work, and engines' waiting for it.

PostgreSQL: NOTIFY from one background thread per process after a push's commit, or in its transaction where little is
going on (otherwise not: NOTIFY takes a global lock at commit); LISTEN in the engine. SQLite: the engine
watches `PRAGMA data_version`, a counter in shared memory that changes with every commit of another connection. A
wake-up that is lost costs at most the engine's idle interval.
"""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress
from typing import Any, Protocol

from django.db import connection, connections, transaction

from deliveries.sql import execute_plain

CHANNEL = "hookdesk_due"
#: Wake-ups of one process within this many seconds become one.
PAUSE = 0.005
#: After so long without a push, the one that comes carries the call itself: handing over to the thread takes longer.
QUIET = 0.05
#: How often SQLite's counter is looked at, in seconds: while there is something to do, and after a while of nothing.
SQLITE_INTERVAL = 0.006
SQLITE_IDLE_INTERVAL = 0.02
SQLITE_IDLE_AFTER = 2.0
#: One engine of a host is enough to be quick on its feet; the others look this often.
SQLITE_RESERVE_INTERVAL = 0.25


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

    def is_quiet(self) -> bool:
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


def is_quiet() -> bool:
    """True: nothing was called out for a while, and whoever asks does so now, in its own transaction."""
    return _notifier.is_quiet()


def wake_on_commit() -> None:
    transaction.on_commit(wake)


class Waiter(Protocol):
    """An engine's ear. `wait` returns True when woken, False after `timeout` seconds."""

    def wait(self, timeout: float) -> bool: ...

    def close(self) -> None: ...


def make_waiter(*, is_reserve: bool = False) -> Waiter:
    """`is_reserve`: another engine of this host listens too, and is quicker where listening costs something."""
    return PostgresqlWaiter() if connection.vendor == "postgresql" else SqliteWaiter(is_reserve=is_reserve)


class PostgresqlWaiter:
    """LISTEN on a connection of its own, so that the engine's statements never mix with notices."""

    def __init__(self) -> None:
        import psycopg

        parameters = connection.get_connection_params()
        parameters = {key: value for key, value in parameters.items() if key not in ("cursor_factory", "context")}
        self._connection: Any = psycopg.connect(**parameters, autocommit=True)
        self._connection.execute(f"LISTEN {CHANNEL}")

    def wait(self, timeout: float) -> bool:
        woken = self._drain()
        if not woken and timeout > 0:
            select.select([self._connection.fileno()], [], [], timeout)
            woken = self._drain()
        return woken

    def _drain(self) -> bool:
        return bool(list(self._connection.notifies(timeout=0)))

    def close(self) -> None:
        self._connection.close()


class SqliteWaiter:
    """Looks at the commit counter; no query is run while nothing happens."""

    def __init__(self, *, is_reserve: bool = False) -> None:
        self._is_reserve = is_reserve
        self._changed_at = time.monotonic()
        self._version = self._read()

    def _read(self) -> int:
        connection.ensure_connection()
        return int(connection.connection.execute("PRAGMA data_version").fetchone()[0])

    def wait(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while True:
            version, now = self._read(), time.monotonic()
            if version != self._version:
                self._version, self._changed_at = version, now
                return True
            if now >= deadline:
                return False
            time.sleep(min(self._interval(now), deadline - now))

    def _interval(self, now: float) -> float:
        if self._is_reserve:
            return SQLITE_RESERVE_INTERVAL
        return SQLITE_INTERVAL if now - self._changed_at < SQLITE_IDLE_AFTER else SQLITE_IDLE_INTERVAL

    def close(self) -> None:
        pass
