"""Keywords that check one value: type, enum, limits, pattern, required, uniqueItems."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from fractions import Fraction
from typing import Any, Final

from django.utils.translation import gettext as _

from integrations.foundation.languages import gettext_noop
from subscriptions.json_schema.nodes import Keyword, Path, Run
from subscriptions.json_schema.patterns import Pattern
from subscriptions.json_schema.values import TYPES, is_number, key_of, shown


class Type(Keyword):
    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.tests = [TYPES[name] for name in names]

    def is_valid(self, value: Any, run: Run) -> bool:
        for test in self.tests:
            if test(value):
                return True
        return False

    def message(self, value: Any) -> str:
        return _("%(value)s is not of type %(types)s") % {
            "value": shown(value),
            "types": ", ".join(map(repr, self.names)),
        }


class Enum(Keyword):
    """`enum`; also `const`, which is an enum with one value."""

    def __init__(self, values: Sequence[Any], *, is_const: bool = False) -> None:
        self.values = values
        self.is_const = is_const
        self.keys = {key_of(value, _for_free) for value in values}
        self.has_containers = any(isinstance(value, list | dict) for value in values)

    def is_valid(self, value: Any, run: Run) -> bool:
        if isinstance(value, list | dict) and not self.has_containers:
            return False
        return key_of(value, run.charge) in self.keys

    def message(self, value: Any) -> str:
        if self.is_const:
            return _("%(value)s was expected") % {"value": shown(self.values[0])}
        return _("%(value)s is not one of %(values)s") % {"value": shown(value), "values": shown(list(self.values))}


def _for_free(_steps: int) -> None:
    """Charge nothing: the size of the schema limits its own values."""


class NumberBound(Keyword):
    """`words` is a marked sentence with the places `value` and `bound`; so it is for `SizeBound`."""

    def __init__(self, holds: Callable[[Any, Any], bool], bound: float, words: str) -> None:
        self.holds = holds
        self.bound = bound
        self.words = words

    def is_valid(self, value: Any, run: Run) -> bool:
        return not is_number(value) or self.holds(value, self.bound)

    def message(self, value: Any) -> str:
        return _(self.words) % {"value": shown(value), "bound": shown(self.bound)}


class MultipleOf(Keyword):
    """`multipleOf`, in decimal arithmetic: 19.99 is a multiple of 0.01, which is false for binary floats."""

    def __init__(self, divisor: float) -> None:
        self.divisor = divisor
        self.fraction = Fraction(repr(divisor))

    def is_valid(self, value: Any, run: Run) -> bool:
        if not is_number(value):
            return True
        run.charge(5)
        return (Fraction(repr(value)) if isinstance(value, float) else value) % self.fraction == 0

    def message(self, value: Any) -> str:
        return _("%(value)s is not a multiple of %(divisor)s") % {
            "value": shown(value),
            "divisor": shown(self.divisor),
        }


class SizeBound(Keyword):
    """`minLength`, `maxItems`, `minProperties` and the like."""

    def __init__(self, kind: type[Sized], holds: Callable[[int, int], bool], bound: int, words: str) -> None:
        self.kind = kind
        self.holds = holds
        self.bound = bound
        self.words = words

    def is_valid(self, value: Any, run: Run) -> bool:
        return not isinstance(value, self.kind) or self.holds(len(value), self.bound)

    def message(self, value: Any) -> str:
        return _(self.words) % {"value": shown(value), "bound": self.bound}


class MatchesPattern(Keyword):
    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern

    def is_valid(self, value: Any, run: Run) -> bool:
        return not isinstance(value, str) or self.pattern.is_in(value, run.charge)

    def message(self, value: Any) -> str:
        return _("%(value)s does not match %(pattern)s") % {
            "value": shown(value),
            "pattern": shown(self.pattern.text),
        }


class UniqueItems(Keyword):
    def is_valid(self, value: Any, run: Run) -> bool:
        if not isinstance(value, list):
            return True
        return len({key_of(item, run.charge) for item in value}) == len(value)

    def message(self, value: Any) -> str:
        return _("%(value)s has non-unique elements") % {"value": shown(value)}


class Required(Keyword):
    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.cost = 1 + (len(names) >> 3)

    def is_valid(self, value: Any, run: Run) -> bool:
        if isinstance(value, dict):
            for name in self.names:
                if name not in value:
                    return False
        return True

    def report(self, value: Any, run: Run, path: Path) -> None:
        if isinstance(value, dict):
            for name in self.names:
                if name not in value:
                    run.add(path, _("%(name)s is a required property") % {"name": shown(name)})


class DependentRequired(Keyword):
    def __init__(self, needs: Mapping[str, Sequence[str]]) -> None:
        self.needs = needs
        self.cost = 1 + (sum(1 + len(names) for names in needs.values()) >> 3)

    def _missing(self, value: Any) -> tuple[str, str] | None:
        if isinstance(value, dict):
            for name, needed in self.needs.items():
                if name in value:
                    for other in needed:
                        if other not in value:
                            return name, other
        return None

    def is_valid(self, value: Any, run: Run) -> bool:
        return self._missing(value) is None

    def message(self, value: Any) -> str:
        name, other = self._missing(value) or ("", "")
        return _("%(other)s is a dependency of %(name)s") % {"other": shown(other), "name": shown(name)}


_NUMBERS: Final[Iterable[tuple[str, Callable[[Any, Any], bool], str]]] = (
    ("minimum", operator.ge, gettext_noop("%(value)s is less than the minimum of %(bound)s")),
    ("maximum", operator.le, gettext_noop("%(value)s is greater than the maximum of %(bound)s")),
    ("exclusiveMinimum", operator.gt, gettext_noop("%(value)s is less than or equal to the minimum of %(bound)s")),
    ("exclusiveMaximum", operator.lt, gettext_noop("%(value)s is greater than or equal to the maximum of %(bound)s")),
)
_SIZES: Final[Iterable[tuple[str, type[Sized], Callable[[int, int], bool], str]]] = (
    ("minLength", str, operator.ge, gettext_noop("%(value)s is too short (%(bound)s)")),
    ("maxLength", str, operator.le, gettext_noop("%(value)s is too long (%(bound)s)")),
    ("minItems", list, operator.ge, gettext_noop("%(value)s has too few items (%(bound)s)")),
    ("maxItems", list, operator.le, gettext_noop("%(value)s has too many items (%(bound)s)")),
    ("minProperties", dict, operator.ge, gettext_noop("%(value)s does not have enough properties (%(bound)s)")),
    ("maxProperties", dict, operator.le, gettext_noop("%(value)s has too many properties (%(bound)s)")),
)


def bounds(schema: Mapping[str, Any]) -> Iterator[Keyword]:
    """The keywords of a schema that limit numbers and sizes."""
    for keyword, holds, words in _NUMBERS:
        if keyword in schema:
            yield NumberBound(holds, schema[keyword], words)
    for keyword, kind, fits, words in _SIZES:
        if keyword in schema:
            yield SizeBound(kind, fits, int(schema[keyword]), words)
