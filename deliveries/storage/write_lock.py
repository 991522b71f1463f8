"""A file lock for processes that write to a SQLite database constantly: engines and web processes.

SQLite lets one process write at a time; waiting processes poll with growing pauses and would sleep most of the time.
With this lock they wait in the kernel, which passes the lock on immediately, even if its holder dies. Correctness does
not depend on it: without it, writers wait in SQLite as usual.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

try:
    import fcntl
except ImportError:  # Windows: rely on SQLite's own busy handler
    fcntl = None  # type: ignore[assignment]


class WriteLock:
    """The lock of the database file `path`; a no-op for an in-memory database."""

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
