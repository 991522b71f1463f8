"""Whose turn it is to write, among the engines of one SQLite database.

SQLite lets one process write and makes the others sleep, a little longer each time they find it busy. Engines that
write all the time would sleep through half of it. They queue for a file's lock instead, which the kernel hands on at
once, also when its holder dies. Nothing depends on it: who comes past it waits as SQLite has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

try:
    import fcntl
except ImportError:  # Windows: SQLite's own waiting does
    fcntl = None  # type: ignore[assignment]


class EngineWriteLock:
    """At the database file `path`; without one, or for one in memory, there is nobody to wait for."""

    def __init__(self, path: str | None) -> None:
        self._descriptor: int | None = None
        if path is not None and fcntl is not None and os.path.exists(path):
            with suppress(OSError):
                self._descriptor = os.open(f"{path}-engines", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def acquire(self) -> Iterator[None]:
        if self._descriptor is None:
            yield
            return
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
