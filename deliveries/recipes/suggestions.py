"""Rules that make failing values look like those that arrived, found by trying. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from deliveries.recipes.rules import Step, ValueProblem, parse_rules, run
from deliveries.recipes.shape import Shape

#: Values that are tried, and for how many seconds.
SAMPLE: Final = 500
SECONDS: Final = 1.0
LONGEST_CODE: Final = 5
MOST_SIGNS: Final = 6

Fits = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Rules as they are kept; `fitting` of `tried` values then look like those that arrived."""

    rules: tuple[dict[str, str], ...]
    fitting: int
    tried: int

    @property
    def sentences(self) -> list[str]:
        return [step.sentence for step in parse_rules(self.rules)]


def suggest(values: Sequence[Any], shape: Shape | None) -> Suggestion | None:
    """The shortest rules that make most of the values fit; None if none help."""
    if shape is None:
        return None
    tried = list(values)[:SAMPLE]
    deadline = time.monotonic() + SECONDS
    best: Sequence[Step] = ()
    best_count = sum(not shape.why_unlike(value) for value in tried)
    for stages in product(*_candidates(shape)):
        tries = [step for stage in stages for step in stage]
        count = _fitting(tries, tried, shape)
        if count > best_count:
            best, best_count = tries, count
        if time.monotonic() > deadline or best_count == len(tried):
            break
    best, best_count = _with_odd_signs(best or parse_rules([{"rule": "trim"}]), best_count, tried, shape, deadline)
    steps = _without_idle(best, best_count, tried, shape)
    if not steps or best_count <= sum(not shape.why_unlike(value) for value in tried):
        return None
    return Suggestion(tuple(step.as_json() for step in steps), best_count, len(tried))


def _with_odd_signs(
    steps: Sequence[Step], count: int, values: Sequence[Any], shape: Shape, deadline: float
) -> tuple[Sequence[Step], int]:
    """Also replace signs that no accepted value has, by nothing or by one that they have: a comma by a point."""
    usual = {sign for name in shape.texts for sign in name if not sign.isalnum() and sign != " "}
    signs = {
        sign for value in values if isinstance(value, str) for sign in value if not sign.isalnum() and sign != "\0"
    }
    for odd in sorted(signs - usual)[:MOST_SIGNS]:
        for sign in ["", *sorted(usual)[:MOST_SIGNS]]:
            if count == len(values) or time.monotonic() > deadline:
                return steps, count
            more = [*parse_rules([{"rule": "replace", "find": odd, "with": sign}]), *steps]
            if (better := _fitting(more, values, shape)) > count:
                steps, count = more, better
    return steps, count


def _fitting(steps: Sequence[Step], values: Sequence[Any], shape: Shape) -> int:
    count = 0
    for value in values:
        try:
            count += not shape.why_unlike(run(steps, value, {}))
        except ValueProblem:
            continue
    return count


def _without_idle(steps: Sequence[Step], count: int, values: Sequence[Any], shape: Shape) -> Sequence[Step]:
    """The same without rules that change nothing for these values."""
    for step in list(steps):
        fewer = [other for other in steps if other is not step]
        if _fitting(fewer, values, shape) >= count:
            steps = fewer
    return steps


def _candidates(shape: Shape) -> list[list[tuple[Step, ...]]]:
    """What is tried at each stage, likeliest first; every combination of one from each."""
    if shape.kinds <= {"a number"}:
        return [_each({"rule": "convert", "to": "number"}, {"rule": "convert", "to": "number", "style": "comma"})]
    if shape.kinds <= {"true or false"}:
        return [_each({"rule": "convert", "to": "boolean"})]
    commonest = max(shape.texts, key=lambda name: shape.texts[name].count, default="")
    tidy = _each({"rule": "trim"})
    if commonest == "9-9-9":
        return [tidy, _each({"rule": "convert", "to": "date", "style": "comma"}, {"rule": "convert", "to": "date"})]
    has_digits, has_letters = "9" in commonest, "a" in commonest
    if has_digits and not has_letters:
        letters = [*_each({"rule": "digits"}), ()]
        bare = _each({"rule": "strip", "which": "not_phone"}) if "+" in commonest else []
        strip = [*bare, *_each({"rule": "strip", "which": "not_digits"}, {"rule": "strip"}), ()]
        return [tidy, letters, strip, [*_prefixes(shape), ()], _lengths(shape, commonest)]
    case = [
        *_each({"rule": "case", "to": "upper"}, {"rule": "case", "to": "lower"}, {"rule": "case", "to": "title"}),
        (),
    ]
    strip = [(), *_each({"rule": "strip", "which": "blanks"}, {"rule": "strip", "which": "not_alphanumeric"})]
    return [tidy, strip, case, [*_prefixes(shape), ()]]


def _each(*rules: dict[str, Any]) -> list[tuple[Step, ...]]:
    return [parse_rules([rule]) for rule in rules]


def _lengths(shape: Shape, commonest: str) -> list[tuple[Step, ...]]:
    """Leading zeros that a spreadsheet has eaten, where all that arrived are as long."""
    kind = shape.texts[commonest]
    if commonest != "9" or kind.shortest != kind.longest:
        return [()]
    return [(), *_each({"rule": "pad", "length": str(kind.longest), "with": "0"})]


def _prefixes(shape: Shape) -> list[tuple[Step, ...]]:
    """Beginnings that all values which arrived share: a country code stands for 00 and the code, the code, or a 0."""
    found = []
    begins = shape.begins
    for length in range(min(LONGEST_CODE, len(begins)), 0, -1):
        code = begins[:length]
        bare = code.lstrip("+")
        instead = ",".join(dict.fromkeys(part for part in (f"00{bare}" if bare else "00", bare, "0") if part != code))
        for add in (True, False):
            found += _each({"rule": "prefix", "to": code, "from": instead, "add": add})
    return found
