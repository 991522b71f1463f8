"""A pause that ends early: by a signal, by another thread, or by a process forked afterwards. Takes no lock."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Waker:
    """A pipe; `wake` may be called in a signal handler."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def wake(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def wait(self, seconds: float) -> bool:
        """Returns whether it was woken, since the last time or meanwhile."""
        if not select.select([self._reader], [], [], seconds)[0]:
            return False
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
        return True
