"""Objects that exist once per process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def per_process(make: Callable[[], T]) -> Callable[[], T]:
    """Return a function that calls `make` once per process and returns its result.

    For objects with threads: threads do not survive a fork, so a forked child makes its own.
    """
    made: tuple[int, T] | None = None

    def shared() -> T:
        nonlocal made
        pid = os.getpid()
        if made is None or made[0] != pid:
            made = (pid, make())
        return made[1]

    return shared
