"""A thread that waits for descriptors on behalf of one that waits for a queue."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable
from contextlib import suppress


class Watcher:
    """`wake()` is called when something can be read, and not again before `go_on()`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._selector = selectors.DefaultSelector()
        self._may_go_on = threading.Event()
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
        """The owner has read what there was, and waits."""
        self._may_go_on.set()

    def close(self) -> None:
        self._is_closed = True
        self._may_go_on.set()

    def _run(self) -> None:
        while True:
            self._may_go_on.wait()
            if self._is_closed:
                break
            if self._selector.select(1.0):
                self._may_go_on.clear()
                self._wake()
        self._selector.close()
