"""A thread that waits for descriptors on behalf of a thread that waits for a queue."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable
from contextlib import suppress


class Watcher:
    """Calls `wake()` when a descriptor is readable, and not again before `resume()`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._selector = selectors.DefaultSelector()
        self._may_watch = threading.Event()
        self._is_started = self._is_closed = False

    def add(self, descriptor: int) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ)
        if not self._is_started:
            self._is_started = True
            threading.Thread(target=self._run, name="watcher", daemon=True).start()

    def remove(self, descriptor: int) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def resume(self) -> None:
        """Watch again: the owner has read what there was and is waiting."""
        self._may_watch.set()

    def close(self) -> None:
        self._is_closed = True
        self._may_watch.set()

    def _run(self) -> None:
        while True:
            self._may_watch.wait()
            if self._is_closed:
                break
            if self._selector.select(1.0):
                self._may_watch.clear()
                self._wake()
        self._selector.close()
