"""Keywords that apply subschemas to the members of an object or the items of an array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from subscriptions.json_schema.nodes import Keyword, Node, Path, Run
from subscriptions.json_schema.patterns import Pattern
from subscriptions.json_schema.values import shown


class _Parts(Keyword):
    """Base of the keywords for parts of the value: `_pairs` yields each part with its key and its schema."""

    def _pairs(self, value: Any, run: Run) -> Iterator[tuple[str | int, Any, Node]]:
        raise NotImplementedError

    def is_valid(self, value: Any, run: Run) -> bool:
        if isinstance(value, dict | list):
            for _key, part, node in self._pairs(value, run):
                if not node.is_valid(part, run):
                    return False
        return True

    def report(self, value: Any, run: Run, path: Path) -> None:
        if isinstance(value, dict | list):
            for key, part, node in self._pairs(value, run):
                node.report(part, run, (*path, key))

    def marks(self, value: Any, run: Run) -> Iterable[str | int]:
        return [key for key, _part, _node in self._pairs(value, run)] if isinstance(value, dict | list) else ()


class Properties(_Parts):
    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes

    def _pairs(self, value: Any, run: Run) -> Iterator[tuple[str | int, Any, Node]]:
        if not isinstance(value, dict):
            return
        nodes = self.nodes
        run.charge(min(len(nodes), len(value)) >> 2)
        if len(nodes) <= len(value):
            for name, node in nodes.items():
                if name in value:
                    yield name, value[name], node
        else:
            for name, part in value.items():
                if name in nodes:
                    yield name, part, nodes[name]


class PatternProperties(_Parts):
    def __init__(self, nodes: Sequence[tuple[Pattern, Node]]) -> None:
        self.nodes = nodes

    def _pairs(self, value: Any, run: Run) -> Iterator[tuple[str | int, Any, Node]]:
        if isinstance(value, dict):
            for name, part in value.items():
                for pattern, node in self.nodes:
                    if pattern.is_in(name, run.charge):
                        yield name, part, node


class AdditionalProperties(_Parts):
    """The properties not covered by `properties` and `patternProperties` of the same schema."""

    def __init__(self, node: Node, names: Iterable[str], patterns: Sequence[Pattern]) -> None:
        self.node = node
        self.names = frozenset(names)
        self.patterns = patterns

    def _pairs(self, value: Any, run: Run) -> Iterator[tuple[str | int, Any, Node]]:
        if not isinstance(value, dict):
            return
        run.charge(len(value) >> 2)
        for name, part in value.items():
            if name not in self.names and not any(pattern.is_in(name, run.charge) for pattern in self.patterns):
                yield name, part, self.node

    def report(self, value: Any, run: Run, path: Path) -> None:
        if not self.node.is_never:
            super().report(value, run, path)
        elif unexpected := [key for key, _part, _node in self._pairs(value, run)]:
            message = ngettext(
                "Additional properties are not allowed (%(names)s was unexpected)",
                "Additional properties are not allowed (%(names)s were unexpected)",
                len(unexpected),
            )
            run.add(path, message % {"names": _listed(unexpected)})


def _listed(names: Sequence[object]) -> str:
    text = ", ".join(map(shown, names[:5]))
    return _("%(names)s and others") % {"names": text} if len(names) > 5 else text


class PropertyNames(Keyword):
    def __init__(self, node: Node) -> None:
        self.node = node

    def is_valid(self, value: Any, run: Run) -> bool:
        if isinstance(value, dict):
            for name in value:
                if not self.node.is_valid(name, run):
                    return False
        return True

    def report(self, value: Any, run: Run, path: Path) -> None:
        if isinstance(value, dict):
            for name in value:
                if not self.node.is_valid(name, run):
                    run.add(path, _("%(name)s is not allowed as the name of a property") % {"name": shown(name)})


class Items(_Parts):
    """`items`: the items after those of `prefixItems`."""

    def __init__(self, node: Node, start: int) -> None:
        self.node = node
        self.start = start

    def _pairs(self, value: Any, run: Run) -> Iterator[tuple[str | int, Any, Node]]:
        if isinstance(value, list):
            run.charge(len(value) >> 3)
            for index in range(self.start, len(value)):
                yield index, value[index], self.node

    def report(self, value: Any, run: Run, path: Path) -> None:
        if not self.node.is_never:
            super().report(value, run, path)
        elif isinstance(value, list) and len(value) > self.start:
            message = _("Expected at most %(limit)s items but found %(number)s extra")
            run.add(path, message % {"limit": self.start, "number": len(value) - self.start})


class PrefixItems(_Parts):
    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes

    def _pairs(self, value: Any, run: Run) -> Iterator[tuple[str | int, Any, Node]]:
        if isinstance(value, list):
            for index, node in enumerate(self.nodes[: len(value)]):
                yield index, value[index], node


class Contains(Keyword):
    def __init__(self, node: Node, least: int, most: int | None) -> None:
        self.node = node
        self.least = least
        self.most = most

    def marks(self, value: Any, run: Run) -> list[int]:
        if not isinstance(value, list):
            return []
        return [index for index, item in enumerate(value) if self.node.is_valid(item, run)]

    def is_valid(self, value: Any, run: Run) -> bool:
        if not isinstance(value, list):
            return True
        count = len(self.marks(value, run))
        return count >= self.least and (self.most is None or count <= self.most)

    def message(self, value: Any) -> str:
        words = {"value": shown(value), "least": self.least, "most": self.most}
        if self.most is None:
            return (
                _("%(value)s must contain at least %(least)s items that are valid under the schema of 'contains'")
                % words
            )
        return (
            _(
                "%(value)s must contain at least %(least)s and at most %(most)s items that are valid under the "
                "schema of 'contains'"
            )
            % words
        )


class Unevaluated(Keyword):
    """`unevaluatedProperties` and `unevaluatedItems`: the parts that no other keyword of the node has evaluated."""

    def __init__(self, kind: type[dict[str, Any]] | type[list[Any]], node: Node, parent: Node) -> None:
        self.kind = kind
        self.node = node
        self.parent = parent

    def _rest(self, value: Any, run: Run) -> list[str | int]:
        if not isinstance(value, self.kind):
            return []
        marked: set[str | int] = set()
        for keyword in self.parent.keywords:
            if keyword is not self:
                marked.update(keyword.marks(value, run))
                run.charge(1 + (len(marked) >> 3))
        run.charge(len(value) >> 2)
        keys: Iterable[str | int] = value if isinstance(value, dict) else range(len(value))
        return [key for key in keys if key not in marked]

    def is_valid(self, value: Any, run: Run) -> bool:
        for key in self._rest(value, run):
            if not self.node.is_valid(value[key], run):
                return False
        return True

    def report(self, value: Any, run: Run, path: Path) -> None:
        wrong = [key for key in self._rest(value, run) if not self.node.is_valid(value[key], run)]
        if wrong:
            run.add(path, self._unexpected(len(wrong)) % {"names": _listed(wrong)})

    def _unexpected(self, number: int) -> str:
        if self.kind is dict:
            return ngettext(
                "Unevaluated properties are not allowed (%(names)s was unexpected)",
                "Unevaluated properties are not allowed (%(names)s were unexpected)",
                number,
            )
        return ngettext(
            "Unevaluated items are not allowed (%(names)s was unexpected)",
            "Unevaluated items are not allowed (%(names)s were unexpected)",
            number,
        )

    def marks(self, value: Any, run: Run) -> Iterable[str | int]:
        if isinstance(value, dict) and self.kind is dict:
            return value.keys()
        return range(len(value)) if isinstance(value, list) and self.kind is list else ()
