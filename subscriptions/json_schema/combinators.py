"""Keywords that apply subschemas to the value itself: allOf, anyOf, oneOf, not, if, dependentSchemas, $ref."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from subscriptions.json_schema.nodes import Keyword, Node, Path, Run
from subscriptions.json_schema.values import shown


class AllOf(Keyword):
    """`allOf`; also `$ref`, which is an allOf with one schema."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def is_valid(self, value: Any, run: Run) -> bool:
        for node in self.nodes:
            if not node.is_valid(value, run):
                return False
        return True

    def report(self, value: Any, run: Run, path: Path) -> None:
        for node in self.nodes:
            node.report(value, run, path)

    def marks(self, value: Any, run: Run) -> Iterable[str | int]:
        return _marks_of([node for node in self.nodes if node.is_valid(value, run)], value, run)

    def children(self) -> Iterable[Node]:
        return self.nodes


class AnyOf(AllOf):
    def is_valid(self, value: Any, run: Run) -> bool:
        for node in self.nodes:
            if node.is_valid(value, run):
                return True
        return False

    def message(self, value: Any) -> str:
        return _("%(value)s is not valid under any of the given schemas") % {"value": shown(value)}

    report = Keyword.report


class OneOf(AllOf):
    def is_valid(self, value: Any, run: Run) -> bool:
        return self._count(value, run) == 1

    def _count(self, value: Any, run: Run) -> int:
        count = 0
        for node in self.nodes:
            count += node.is_valid(value, run)
            if count > 1:
                break
        return count

    def report(self, value: Any, run: Run, path: Path) -> None:
        count = self._count(value, run)
        if count == 0:
            run.add(path, _("%(value)s is not valid under any of the given schemas") % {"value": shown(value)})
        elif count > 1:
            run.add(
                path,
                _("%(value)s is valid under more than one of the given schemas, and must be under one")
                % {"value": shown(value)},
            )


class Not(AllOf):
    def is_valid(self, value: Any, run: Run) -> bool:
        return not self.nodes[0].is_valid(value, run)

    def message(self, value: Any) -> str:
        return _("%(value)s should not be valid under the schema of 'not'") % {"value": shown(value)}

    report = Keyword.report

    def marks(self, value: Any, run: Run) -> Iterable[str | int]:
        return ()


class If(Keyword):
    def __init__(self, condition: Node, then: Node | None, otherwise: Node | None) -> None:
        self.condition = condition
        self.then = then
        self.otherwise = otherwise

    def _chosen(self, value: Any, run: Run) -> Node | None:
        return self.then if self.condition.is_valid(value, run) else self.otherwise

    def is_valid(self, value: Any, run: Run) -> bool:
        chosen = self._chosen(value, run)
        return chosen is None or chosen.is_valid(value, run)

    def report(self, value: Any, run: Run, path: Path) -> None:
        chosen = self._chosen(value, run)
        if chosen is not None:
            chosen.report(value, run, path)

    def marks(self, value: Any, run: Run) -> Iterable[str | int]:
        nodes = [self.condition] if self.condition.is_valid(value, run) else []
        chosen = self._chosen(value, run)
        return _marks_of([*nodes, *([] if chosen is None else [chosen])], value, run)

    def children(self) -> Iterable[Node]:
        return [node for node in (self.condition, self.then, self.otherwise) if node is not None]


class DependentSchemas(Keyword):
    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self.cost = 1 + (len(nodes) >> 3)

    def _asked(self, value: Any) -> list[Node]:
        if not isinstance(value, dict):
            return []
        return [node for name, node in self.nodes.items() if name in value]

    def is_valid(self, value: Any, run: Run) -> bool:
        for node in self._asked(value):
            if not node.is_valid(value, run):
                return False
        return True

    def report(self, value: Any, run: Run, path: Path) -> None:
        for node in self._asked(value):
            node.report(value, run, path)

    def marks(self, value: Any, run: Run) -> Iterable[str | int]:
        return _marks_of(self._asked(value), value, run)

    def children(self) -> Iterable[Node]:
        return self.nodes.values()


def _marks_of(nodes: Iterable[Node], value: Any, run: Run) -> set[str | int]:
    found: set[str | int] = set()
    for node in nodes:
        found |= node.marks(value, run)
        run.charge(1 + (len(found) >> 3))
    return found
