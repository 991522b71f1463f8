"""An engine's ear: a thread that listens for wake-ups and ends the engine's nap."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import connection

from deliveries.engine.control import stopping
from deliveries.wakeup import make_waiter

logger = logging.getLogger("hookdesk.engine")


class Ear(threading.Thread):
    """`pause`: for how many seconds to keep to itself what it has heard. `is_reserve`: see `make_waiter`."""

    def __init__(self, wake: Callable[[], None], *, pause: Callable[[], float], is_reserve: bool = False) -> None:
        super().__init__(name="engine ear", daemon=True)
        self._is_reserve = is_reserve
        self._pause = pause
        self._wake = wake
        self._heard = threading.Event()
        self._stop_asked = threading.Event()

    def take(self) -> bool:
        # Cleared only where it was seen: a call that comes between the two lines must not be lost.
        if not self._heard.is_set():
            return False
        self._heard.clear()
        return True

    def stop(self) -> None:
        self._stop_asked.set()

    def run(self) -> None:
        waiter = None
        while not self._stop_asked.is_set():
            try:
                if waiter is None:
                    waiter = make_waiter(is_reserve=self._is_reserve)
                    self._ring()  # what was called out while nobody listened
                if waiter.wait(1.0):
                    if pause := self._pause():
                        time.sleep(pause)
                    self._ring()
            except Exception as error:
                logger.warning("the engine's ear lost the database, listening again: %s", error)
                waiter = None
                connection.close()
                self._stop_asked.wait(1.0)
            if stopping.is_set():
                self._wake()
        if waiter is not None:
            waiter.close()
        connection.close()

    def _ring(self) -> None:
        self._heard.set()
        self._wake()
