"""Wake-ups in SQLite: engines see each commit of others.

The kernel tells the engine when the log of the database is written to, and the engine looks at `PRAGMA data_version`,
a counter in shared memory that changes with every commit of another connection; where the kernel cannot tell, it looks
again and again.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import connection

#: Two wake-ups are so many seconds apart at least.
INTERVAL = 0.006
#: After something was written, the counter is looked at first after so long, then less and less, for so long.
FIRST_LOOK = 0.001
LONGEST_COMMIT = 1.0
#: Without notices of the kernel, the counter is looked at so often after a while of nothing, else every interval.
IDLE_INTERVAL = 0.02
IDLE_AFTER = 2.0
INOTIFY_IGNORED = 0x8000
#: One engine of a host is enough to be quick on its feet; the others look this often.
STANDBY_INTERVAL = 0.25


class Wakeups:
    commits_wake = True

    def notify(self) -> None:
        """Each commit does."""

    def make_waiter(self, *, is_standby: bool = False) -> SqliteWaiter:
        return SqliteWaiter(is_standby=is_standby)


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
        time.sleep(max(0.0, min(self._changed_at + INTERVAL - now, timeout)))
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
            time.sleep(min(STANDBY_INTERVAL, longest))
        elif self._watch is None:
            is_idle = now - self._changed_at >= IDLE_AFTER
            time.sleep(min(IDLE_INTERVAL if is_idle else INTERVAL, longest))
        else:
            self._await_writes(self._watch, now, longest)

    def _await_writes(self, watch: Any, now: float, longest: float) -> None:
        """What was written is committed in a moment, of which the kernel says nothing: it is looked for, ever less.

        Also after a commit was seen: one notice may stand for what two have written, of which the other comes later.
        """
        if self._written_at is not None:
            longest = min(longest, FIRST_LOOK + (now - self._written_at) / 4)
        events = watch.read(timeout=int(longest * 1000) + 1)
        if events:
            time.sleep(FIRST_LOOK)
            self._written_at = time.monotonic()
        elif self._written_at is not None and now - self._written_at > LONGEST_COMMIT:
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
