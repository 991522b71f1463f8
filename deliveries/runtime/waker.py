"""A wait that a signal handler, another thread or a process forked afterwards can end early. Lock-free."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Waker:
    """Implemented with a pipe; `wake` may be called in a signal handler."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def wake(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; return whether it was woken, now or since the last call."""
        if not select.select([self._reader], [], [], seconds)[0]:
            return False
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
        return True
