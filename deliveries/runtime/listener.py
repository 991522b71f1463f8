"""An engine's wake-up listener: a thread that wakes the engine when it is notified."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import connection

from deliveries.runtime.registry import stopping
from deliveries.storage import backend

logger = logging.getLogger("hookdesk.engine")


class WakeupListener(threading.Thread):
    """`pause()` returns the seconds by which to delay a wake-up. `is_standby`: see `Backend.make_waiter`."""

    def __init__(self, wake: Callable[[], None], *, pause: Callable[[], float], is_standby: bool = False) -> None:
        super().__init__(name="engine listener", daemon=True)
        self._is_standby = is_standby
        self._pause = pause
        self._wake = wake
        self._signalled = threading.Event()
        self._stop_asked = threading.Event()

    def consume(self) -> bool:
        # Check before clearing: nothing else clears it, so a notification in between is not lost.
        if not self._signalled.is_set():
            return False
        self._signalled.clear()
        return True

    def stop(self) -> None:
        self._stop_asked.set()

    def run(self) -> None:
        waiter = None
        while not self._stop_asked.is_set():
            try:
                if waiter is None:
                    waiter = backend().make_waiter(is_standby=self._is_standby)
                    self._signal()  # for notifications that were missed while not listening
                if waiter.wait(1.0):
                    if pause := self._pause():
                        time.sleep(pause)
                    self._signal()
            except Exception as error:
                logger.warning("wake-up listener lost its database connection; reconnecting: %s", error)
                waiter = None
                connection.close()
                self._stop_asked.wait(1.0)
            if stopping.is_set():
                self._wake()
        if waiter is not None:
            waiter.close()
        connection.close()

    def _signal(self) -> None:
        self._signalled.set()
        self._wake()
