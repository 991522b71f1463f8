"""Find simple statements that separate the payloads of two sides, for `contrast`. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from deliveries.failures.traits import (
    DISCREET,
    STRUCTURAL,
    Trait,
    form_of,
    is_counting,
    is_number,
    is_secret,
    parent_of,
    size_of,
    traits_of,
    walk,
    words_of,
)

#: Most leaves of all payloads together: about 150 ms.
LEAVES_LIMIT: Final = 16_000
#: First examine this many payloads of each side; only statements that separate them are counted in all payloads.
FIRST_LOOK: Final = 16
#: How much larger a statement's share among failures must be than among successes.
LEAST_SEPARATION: Final = 0.3
MOST_AMONG_SUCCESSES: Final = 0.2
#: Characters that texts are checked for.
SIGNS: Final = "@+-./:_#"


@dataclass(slots=True)
class Side:
    """The payloads of one side: for each path, the values of each payload, latest payload first."""

    size: int
    #: Number of values in all payloads.
    values: int
    columns: dict[str, dict[int, list[Any]]]
    #: For each path with objects: the number of objects in each payload, and in all together.
    objects: dict[str, tuple[dict[int, int], int]]

    @classmethod
    def of(cls, payloads: Sequence[Any], room: int) -> Side:
        """`payloads` are oldest first; of the latest, as many as have about `room` values. A larger one is left out."""
        columns: dict[str, dict[int, list[Any]]] = {}
        taken, most, left = 0, room, room
        for index, payload in enumerate(reversed(payloads)):
            nodes = list(islice(walk(payload), most + 1))
            if len(nodes) > most:
                continue
            left -= len(nodes)
            for path, value in nodes:
                column = columns.setdefault(path, {})
                values = column.get(index)
                if values is None:
                    column[index] = [value]
                else:
                    values.append(value)
            taken += 1
            if left <= 0:
                break
        return cls(
            taken,
            room - left,
            columns,
            {path: found for path, column in columns.items() if (found := _objects(column))[1]},
        )

    def missing(self, path: str) -> int:
        """Return in how many payloads the value is missing although its parent object exists."""
        per_payload, everywhere = self.objects.get(parent_of(path), ({}, 0))
        own = self.columns.get(path, {})
        if path.endswith("[]") or everywhere == sum(map(len, own.values())):
            return 0
        return sum(number > len(own.get(index, ())) for index, number in per_payload.items())


def _objects(column: dict[int, list[Any]]) -> tuple[dict[int, int], int]:
    if not any(isinstance(values[0], dict) for values in column.values()):
        return {}, 0
    found = {index: sum(isinstance(value, dict) for value in values) for index, values in column.items()}
    return found, sum(found.values())


@dataclass(frozen=True, slots=True)
class Candidate:
    path: str
    trait: Trait
    failing: int
    failures: int
    succeeding: int
    successes: int
    examples: tuple[Any, ...] = ()
    words: str = ""

    @property
    def separation(self) -> float:
        return self.failing / self.failures - self.succeeding / self.successes


def candidates(path: str, bad: Side, good: Side) -> tuple[list[Candidate], int]:
    """Return statements about one path that separate both sides, and how many were tried."""
    if not path:
        return [], 0
    found: list[Candidate] = []
    values, others = bad.columns.get(path, {}), good.columns.get(path, {})
    structural = {("missing", None): (bad.missing(path), good.missing(path))}
    structural["present", None] = len(values), len(others)
    for trait, (failing, succeeding) in structural.items():
        if trait[0] == "missing" or not others:
            found.append(Candidate(path, trait, failing, bad.size, succeeding, good.size, (), words_of(trait)))
    tried = 2
    if values and others:
        more, number = _of_values(path, values, others, bad.size, good.size)
        found.extend(more)
        tried += number
    return [each for each in found if _separates(each)], tried


def _separates(each: Candidate) -> bool:
    return each.separation >= LEAST_SEPARATION and each.succeeding <= MOST_AMONG_SUCCESSES * each.successes


def _of_values(
    path: str, values: dict[int, list[Any]], others: dict[int, list[Any]], failures: int, successes: int
) -> tuple[list[Candidate], int]:
    # Oldest first.
    flat = [value for each in reversed(others.values()) for value in each]
    if _is_constant(flat) and all(_is_constant([flat[0], *each]) for each in values.values()):
        return [], 1
    is_discreet = is_secret(path)
    is_serial = is_counting(flat)
    seen = _Seen.of(flat, is_serial=is_serial)
    cache: dict[Any, list[Trait]] = {}

    def traits(value: Any) -> list[Trait]:
        key = key_of(value)
        known = cache.get(key)
        if known is None:
            known = [*traits_of(value), *seen.traits(value)]
            if is_serial:
                known = [trait for trait in known if trait[0] in STRUCTURAL]
            elif is_discreet:
                known = [trait for trait in known if trait[0] in DISCREET]
            cache[key] = known
        return known

    first = Counter(_held(_spread(values), traits))
    wanted = {trait for trait, number in first.items() if number >= LEAST_SEPARATION * min(failures, FIRST_LOOK)}
    passed = Counter(trait for trait in _held(_spread(others), traits) if trait in wanted)
    most = 2 * MOST_AMONG_SUCCESSES * min(successes, FIRST_LOOK)
    wanted = {trait for trait in wanted if passed[trait] <= most}
    found = []
    if wanted:
        failing = Counter(trait for trait in _held(values.values(), traits) if trait in wanted)
        succeeding = Counter(trait for trait in _held(others.values(), traits) if trait in wanted)
        alone = seen.alone
        for trait in wanted:
            examples = _examples(trait, values, traits)
            words = words_of(trait, seen.examples if trait[0] == "form" else examples)
            number = alone.get(trait[0], succeeding[trait])
            found.append(Candidate(path, trait, failing[trait], failures, number, successes, examples, words))
    return found, len(first)


def _is_constant(values: Sequence[Any]) -> bool:
    first = key_of(values[0])
    return all(key_of(value) == first for value in values)


def _held(payloads: Iterable[list[Any]], traits: Callable[[Any], list[Trait]]) -> Iterator[Trait]:
    """Return the traits of each payload's values, each once per payload."""
    for values in payloads:
        if len(values) == 1:
            yield from traits(values[0])
        else:
            yield from {trait for value in values for trait in traits(value)}


def _spread(column: dict[int, list[Any]]) -> list[list[Any]]:
    rows = list(column.values())
    return rows if len(rows) <= FIRST_LOOK else rows[:: -(-len(rows) // FIRST_LOOK)]


def _examples(trait: Trait, values: dict[int, list[Any]], traits: Callable[[Any], list[Trait]]) -> tuple[Any, ...]:
    """Return values of failures that have the trait, most frequent first."""
    having = Counter(key_of(value) for each in values.values() for value in each if trait in traits(value))
    return tuple(key for key, _ in having.most_common())


def key_of(value: Any) -> Any:
    """Return a hashable key: the value itself, or for a list or object its kind and whether it is empty."""
    if isinstance(value, dict | list):
        return type(value).__name__, size_of(value) if isinstance(value, list) else bool(value)
    # True and 1 are equal as keys, but are not the same value.
    return (value,) if isinstance(value, bool) else value


@dataclass(slots=True)
class _Seen:
    """What the successes have at a path, for statements that only make sense in comparison with them.

    Each success is judged without itself (`alone`): a value that only one success has counts as unseen, like one that
    only failures have. Otherwise, statements of that kind would by construction hold for no success.
    """

    values: frozenset[Any]
    forms: frozenset[str]
    signs: tuple[str, ...]
    sizes: tuple[int, int] | None
    numbers: tuple[float, float] | None
    alone: dict[str, int]
    examples: list[str]

    @classmethod
    def of(cls, flat: Sequence[Any], *, is_serial: bool) -> _Seen:
        if is_serial:
            return cls(frozenset(), frozenset(), (), None, None, {}, [])
        counts = Counter(key_of(value) for value in flat)
        texts = [value for value in flat if isinstance(value, str) and value.strip()]
        forms = Counter(form_of(text) for text in texts)
        alone = {"unseen": _single(counts), "form": _single(forms)}
        sizes = [size for value in flat if (size := size_of(value)) is not None]
        numbers = [value for value in flat if is_number(value)]
        is_choice = len(counts) * 5 <= len(flat)
        return cls(
            frozenset(counts) if is_choice else frozenset(),
            frozenset(forms) if len(forms) * 5 <= len(texts) else frozenset(),
            tuple(sign for sign in SIGNS if texts and all(sign in text for text in texts)),
            (min(sizes), max(sizes)) if sizes else None,
            (min(numbers), max(numbers)) if numbers else None,
            alone,
            [form for form, _ in forms.most_common(3)],
        )

    def traits(self, value: Any) -> Iterator[Trait]:
        if self.values and isinstance(value, str) and value.strip() and value not in self.values:
            yield "unseen", None
        if isinstance(value, str) and value.strip():
            if self.forms and form_of(value) not in self.forms:
                yield "form", None
            for sign in self.signs:
                if sign not in value:
                    yield "lacks", sign
        size = size_of(value)
        if self.sizes is not None and size:
            if size > self.sizes[1]:
                yield "longer", self.sizes[1]
            elif size < self.sizes[0]:
                yield "shorter", self.sizes[0]
        if self.numbers is not None and is_number(value):
            if value > self.numbers[1]:
                yield "above", self.numbers[1]
            elif value < self.numbers[0]:
                yield "below", self.numbers[0]


def _single(counts: Counter[Any]) -> int:
    return sum(number == 1 for number in counts.values())
