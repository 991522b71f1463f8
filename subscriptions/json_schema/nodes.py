"""A compiled schema: nodes of keywords, evaluated under a budget.

Results are cached by node and value if a node is reachable on several paths. Otherwise definitions that refer to the
next one twice would cost two to the power of their number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from subscriptions.budget import Budget
from subscriptions.json_schema.errors import Violation

Path = tuple[str | int, ...]


class Enough(Exception):
    """The requested number of violations has been found."""


class Run:
    """One evaluation. Values are identified by `id()`, as the document outlives the run."""

    __slots__ = ("charge", "found", "limit", "marked", "reported", "verdicts")

    def __init__(self, budget: Budget, limit: int) -> None:
        self.charge = budget.charge
        self.limit = limit
        self.found: list[Violation] = []
        self.verdicts: dict[tuple[int, int], bool] = {}
        self.marked: dict[tuple[int, int], set[str | int]] = {}
        self.reported: set[tuple[int, Path]] = set()

    def add(self, path: Path, message: str) -> None:
        self.found.append(Violation(path, message))
        if len(self.found) >= self.limit:
            raise Enough


class Keyword:
    """One keyword of a schema. `cost` is charged for each evaluation of its node, whatever the value."""

    cost = 1

    def is_valid(self, value: Any, run: Run) -> bool:
        raise NotImplementedError

    def message(self, value: Any) -> str:
        raise NotImplementedError

    def report(self, value: Any, run: Run, path: Path) -> None:
        """Add the violations of the value to the run."""
        if not self.is_valid(value, run):
            run.add(path, self.message(value))

    def marks(self, value: Any, run: Run) -> Iterable[str | int]:
        """Return the properties or indices of a valid value that this keyword evaluates, for `unevaluated…`."""
        return ()

    def children(self) -> Iterable[Node]:
        """Return the nodes that are applied to the value itself, not to a part of it."""
        return ()


class Node:
    """One schema or subschema."""

    __slots__ = ("cost", "is_never", "is_shared", "keywords")

    def __init__(self) -> None:
        self.keywords: list[Keyword] = []
        self.cost = 1
        self.is_shared = False
        self.is_never = False  # the schema `false`

    def is_valid(self, value: Any, run: Run) -> bool:
        if not self.is_shared:
            return self._is_valid(value, run)
        key = (id(self), id(value))
        verdict = run.verdicts.get(key)
        if verdict is None:
            verdict = run.verdicts[key] = self._is_valid(value, run)
        return verdict

    def _is_valid(self, value: Any, run: Run) -> bool:
        run.charge(self.cost)
        for keyword in self.keywords:
            if not keyword.is_valid(value, run):
                return False
        return not self.is_never

    def report(self, value: Any, run: Run, path: Path) -> None:
        if self.is_shared:
            key = (id(self), path)
            if key in run.reported:
                return
            run.reported.add(key)
        run.charge(self.cost)
        if self.is_never:
            run.add(path, _("nothing is allowed here"))
        for keyword in self.keywords:
            keyword.report(value, run, path)

    def marks(self, value: Any, run: Run) -> set[str | int]:
        """Return the properties or indices of a valid value that the keywords evaluate."""
        key = (id(self), id(value))
        found = run.marked.get(key) if self.is_shared else None
        if found is None:
            run.charge(self.cost)
            found = set()
            for keyword in self.keywords:
                found.update(keyword.marks(value, run))
            run.charge(len(found) >> 2)
            run.marked[key] = found
        return found
