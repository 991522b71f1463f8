"""Budgets for evaluating tenants' code: counted steps, with CPU time as a safety net.

Filters, transforms, conditions and JSON Schemas are written by anyone who holds a store's token, so all of them run
under a `Budget`. One step is about a microsecond of Python. Native code, which cannot be interrupted, is charged before
it runs, by the size of its input.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Steps of one evaluation: one filter, transform, condition or schema on one document.
STEPS: Final = 1_000_000
#: CPU seconds of this thread for one evaluation: four times what the steps take, so that a slow machine refuses nothing
#: that the steps allow. Wall-clock time would fail valid evaluations on a busy machine.
SECONDS: Final = 4.0
#: Steps between two checks of the clock.
_LOOK_EVERY: Final = 20_000


class BudgetExceeded(Exception):
    """The evaluation was stopped because it exceeded its budget on this data."""


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
        """Use `steps` of the budget. Raises BudgetExceeded if the steps or the CPU time are used up."""
        self.left -= steps
        if self.left < self._look_below or self.left < 0:
            self._look()

    def _look(self) -> None:
        if self.left < 0 or time.thread_time() > self._deadline:
            self.left = -1
            raise BudgetExceeded
        self._look_below = self.left - _LOOK_EVERY


class Allowance:
    """The budget of all evaluations for one request together, in proportion to the size of the request.

    Without it, each of ten thousand objects could cost a whole evaluation's budget.
    """

    #: Steps for any request, and for each object in it.
    BASE: Final = 3 * STEPS
    PER_OBJECT: Final = 300

    def __init__(self, base: int = BASE) -> None:
        """`base`: steps that the request has, however little it holds."""
        self.left = base

    def grant(self, characters: int) -> None:
        """Add the steps for another object with this many characters of JSON."""
        self.left += self.PER_OBJECT + characters

    @contextmanager
    def evaluation(self) -> Iterator[Budget]:
        """Yield a budget for one evaluation, charged to the allowance. Raises BudgetExceeded if nothing is left."""
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
