"""Budgets for evaluating tenants' code: counted steps, with processor time as a safety net.

Filters, transforms, conditions and JSON Schemas are written by whoever holds a store's token. All of them run under
a `Budget`. One step is about a microsecond of Python. What runs in native code, which nothing can interrupt, is
charged before it runs, by the size of what it is given.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Steps of one evaluation: one filter, transform, condition or schema on one document.
STEPS: Final = 1_000_000
#: Seconds of this thread's processor time for one evaluation. Time on the wall would fail innocents on a busy machine.
SECONDS: Final = 2.0
#: Steps between two looks at the clock.
_LOOK_EVERY: Final = 20_000


class BudgetExceeded(Exception):
    """The evaluation was stopped: it exceeds its budget on this data."""


class Budget:
    """The remaining steps and seconds of one evaluation."""

    __slots__ = ("_deadline", "_look_below", "left", "limit")

    def __init__(self, steps: int = STEPS, seconds: float = SECONDS) -> None:
        self.limit = self.left = steps
        self._deadline = time.thread_time() + seconds
        self._look_below = steps - _LOOK_EVERY

    @property
    def spent(self) -> int:
        return min(self.limit, self.limit - self.left)

    def charge(self, steps: int) -> None:
        """Raises BudgetExceeded past the last step, or past the deadline."""
        self.left -= steps
        if self.left < self._look_below or self.left < 0:
            self._look()

    def _look(self) -> None:
        if self.left < 0 or time.thread_time() > self._deadline:
            self.left = -1
            raise BudgetExceeded
        self._look_below = self.left - _LOOK_EVERY


class Allowance:
    """What all evaluations for one request may cost together: in proportion to what was sent.

    Without it, ten thousand objects could each cost just less than one evaluation may.
    """

    #: Steps that any request has, and for each object in it besides.
    BASE: Final = 3 * STEPS
    PER_OBJECT: Final = 300

    def __init__(self, base: int = BASE) -> None:
        """`base`: steps that the request has, however little it holds."""
        self.left = base

    def grant(self, characters: int) -> None:
        """Another object, of so many characters of JSON."""
        self.left += self.PER_OBJECT + characters

    @contextmanager
    def evaluation(self) -> Iterator[Budget]:
        """A budget for one evaluation, which is charged to the whole. Raises BudgetExceeded when nothing is left."""
        if self.left <= 0:
            raise BudgetExceeded
        budget = Budget(min(STEPS, self.left))
        try:
            yield budget
        finally:
            self.left -= budget.spent

    @property
    def is_used_up(self) -> bool:
        return self.left <= 0
