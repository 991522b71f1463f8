"""A queue for the write lock among those who write constantly: the engines and the web processes of a SQLite database.

SQLite lets one process write at a time; the others sleep, longer with each try, and would sleep most of the time. They
queue for a file lock instead, which the kernel passes on immediately, even if its holder dies. Correctness does not
depend on it: without it, writers wait in SQLite as usual.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

try:
    import fcntl
except ImportError:  # Windows: SQLite's own waiting is enough
    fcntl = None  # type: ignore[assignment]


class WriteLock:
    """The lock of the database file `path`; does nothing for an in-memory database."""

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
