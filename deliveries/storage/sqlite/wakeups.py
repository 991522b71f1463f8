"""Wake-ups on SQLite: engines detect each commit of other processes.

inotify reports writes to the write-ahead log. The engine then reads `PRAGMA data_version`, a counter in shared memory
that changes with every commit of another connection. Without inotify it polls the counter.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import connection

#: Minimum seconds between two wake-ups.
INTERVAL = 0.006
#: After a write, the counter is first read after `FIRST_READ_DELAY` seconds, then less and less often until
#: `MAX_COMMIT_SECONDS` have passed.
FIRST_READ_DELAY = 0.001
MAX_COMMIT_SECONDS = 1.0
#: Without inotify, the polling interval after `IDLE_AFTER` seconds without a commit; before that, `INTERVAL`.
IDLE_INTERVAL = 0.02
IDLE_AFTER = 2.0
INOTIFY_IGNORED = 0x8000
#: Polling interval of standby engines: one fast engine per host is enough.
STANDBY_INTERVAL = 0.25


class Wakeups:
    commits_wake = True

    def notify(self) -> None:
        """Do nothing: engines detect each commit."""

    def make_waiter(self, *, is_standby: bool = False) -> SqliteWaiter:
        return SqliteWaiter(is_standby=is_standby)


class SqliteWaiter:
    """Reads the commit counter when inotify reports a write; runs no queries in between."""

    def __init__(self, *, is_standby: bool = False) -> None:
        self._is_standby = is_standby
        self._changed_at = time.monotonic()
        self._written_at: float | None = None  # time of a recent write, after which a commit may follow
        self._version = self._read()
        self._watch = None if is_standby else watch_writes(f"{connection.settings_dict['NAME']}-wal")

    def _read(self) -> int:
        connection.ensure_connection()
        return int(connection.connection.execute("PRAGMA data_version").fetchone()[0])

    def wait(self, timeout: float) -> bool:
        now = time.monotonic()
        deadline = now + timeout
        time.sleep(max(0.0, min(self._changed_at + INTERVAL - now, timeout)))
        while True:
            version, now = self._read(), time.monotonic()
            if version != self._version:
                self._version, self._changed_at = version, now
                return True
            if now >= deadline:
                return False
            self._sleep(now, deadline - now)

    def _sleep(self, now: float, longest: float) -> None:
        if self._is_standby:
            time.sleep(min(STANDBY_INTERVAL, longest))
        elif self._watch is None:
            is_idle = now - self._changed_at >= IDLE_AFTER
            time.sleep(min(IDLE_INTERVAL if is_idle else INTERVAL, longest))
        else:
            self._await_writes(self._watch, now, longest)

    def _await_writes(self, watch: Any, now: float, longest: float) -> None:
        """Wait for writes. After a write, wait less: its commit follows, which inotify does not report.

        This continues after a commit was seen, because one notification may stand for two writers, the second of which
        commits later.
        """
        if self._written_at is not None:
            longest = min(longest, FIRST_READ_DELAY + (now - self._written_at) / 4)
        events = watch.read(timeout=int(longest * 1000) + 1)
        if events:
            time.sleep(FIRST_READ_DELAY)
            self._written_at = time.monotonic()
        elif self._written_at is not None and now - self._written_at > MAX_COMMIT_SECONDS:
            self._written_at = None
        if any(event.mask & INOTIFY_IGNORED for event in events):
            self.close()  # the file was replaced

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def watch_writes(path: str) -> Any:
    """Return an inotify watch for writes to a file; None if the file or inotify does not exist."""
    try:
        from inotify_simple import INotify, flags  # type: ignore[import-untyped]
    except ImportError:
        return None
    watch = None
    try:
        watch = INotify()
        watch.add_watch(path, flags.MODIFY)
    except OSError:  # no such file, or the system's limit is reached
        if watch is not None:
            watch.close()
        return None
    return watch
