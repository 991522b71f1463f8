"""Find what distinguishes the payloads of failing deliveries from those that succeeded. Pure.

Simple statements describe each leaf of the payloads ("is missing", "starts with 00", "contains a letter"). A statement
that holds for many failures and hardly any success is a finding, unless chance alone explains it: with a hundred
statements about three failures, some always hold (`chance`).

The work is bounded by the limits below, whatever the payloads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, lgamma
from typing import Any, Final

from deliveries.failures.separation import LEAVES_LIMIT, Candidate, Side, candidates, key_of
from deliveries.failures.traits import KINDS, STRUCTURAL, Trait

#: Most findings that are reported.
FINDINGS_LIMIT: Final = 5
#: With fewer successes than this, there are no findings.
FEWEST_SUCCESSES: Final = 10
#: The highest acceptable probability that chance alone explains a finding, given how many statements were tried.
MOST_CHANCE: Final = 0.01
#: With at least this many successes, a structural difference that none of them has is reported even for one failure.
ENOUGH_FOR_A_HINT: Final = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement that distinguishes failures. `path`: such as `items[].price`. `words`: such as `starts with 00`.

    It holds for `failing` of `failures` and `succeeding` of `successes`. `is_certain`: chance does not explain it.
    """

    path: str
    words: str
    failing: int
    failures: int
    succeeding: int
    successes: int
    is_certain: bool
    trait: Trait
    #: Values of failures for which it holds, in the form of `key_of`.
    examples: tuple[Any, ...] = ()

    @property
    def separation(self) -> float:
        """The difference between the shares of failures and successes."""
        return self.failing / self.failures - self.succeeding / self.successes

    def __str__(self) -> str:
        return (
            f"{self.path} {self.words} in {self.failing:,} of {self.failures:,} failures and in "
            f"{self.succeeding:,} of {self.successes:,} successes"
        )


def contrast(failures: Sequence[Any], successes: Sequence[Any]) -> list[Finding]:
    """Return the findings, best first, at most `FINDINGS_LIMIT`, one per path.

    Both sides are payloads, oldest first; they should be close to each other in time. Values that only increase (times,
    serial numbers) are not compared, since all failures may simply be later.
    """
    if not failures or len(successes) < FEWEST_SUCCESSES:
        return []
    bad = Side.of(failures, LEAVES_LIMIT // 2)
    good = Side.of(successes, LEAVES_LIMIT - bad.values)
    if not bad.size or good.size < FEWEST_SUCCESSES:
        return []
    found, tried = [], 0
    for path in bad.columns.keys() | good.columns.keys():
        separating, number = candidates(path, bad, good)
        tried += number
        found.extend(separating)
    judged = [finding for each in found if (finding := _judged(each, tried)) is not None]
    return _best_of_each(judged)[:FINDINGS_LIMIT]


def place_in(finding: Finding, payload: Any) -> str:
    """Return the finding's place in this payload, such as `items[1].price`; for a missing value, where it would be."""
    parts = finding.path.split("[]")
    path = ""
    for index, part in enumerate(parts):
        path += part
        if index < len(parts) - 1:
            path += f"[{_item_of(finding, payload, parts, index)}]"
    return path


def _item_of(finding: Finding, payload: Any, parts: Sequence[str], index: int) -> int:
    """Return the index of the first item for which the finding holds; 0 if there is none, or in lists of lists."""
    if index or len(parts) > 2:
        return 0
    items = _inside(payload, parts[0])
    for number, item in enumerate(items if isinstance(items, list) else []):
        value = _inside(item, parts[1].removeprefix("."))
        if (value is _NOTHING) == (finding.trait[0] == "missing") and (
            value is _NOTHING or key_of(value) in finding.examples
        ):
            return number
    return 0


_NOTHING: Final = object()


def _inside(value: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        if not isinstance(value, dict) or part not in value:
            return _NOTHING
        value = value[part]
    return value


def _judged(each: Candidate, tried: int) -> Finding | None:
    """Return the candidate as a finding; None if chance may explain it, unless it is worth a hint."""
    is_certain = chance(each.failing, each.failures, each.succeeding, each.successes) * tried <= MOST_CHANCE
    is_hint = (
        each.trait[0] in STRUCTURAL
        and each.failing == each.failures
        and not each.succeeding
        and each.successes >= ENOUGH_FOR_A_HINT
    )
    if not (is_certain or is_hint):
        return None
    return Finding(
        each.path,
        each.words,
        each.failing,
        each.failures,
        each.succeeding,
        each.successes,
        is_certain,
        each.trait,
        each.examples,
    )


def chance(failing: int, failures: int, succeeding: int, successes: int) -> float:
    """Return the probability that at least so many failures have it by chance (Fisher's exact test)."""
    having, everyone = failing + succeeding, failures + successes
    whole = _choose(everyone, failures)
    return sum(
        exp(_choose(having, number) + _choose(everyone - having, failures - number) - whole)
        for number in range(failing, min(having, failures) + 1)
        if failures - number <= everyone - having
    )


def _choose(whole: int, part: int) -> float:
    """Return the logarithm of the binomial coefficient."""
    return lgamma(whole + 1) - lgamma(part + 1) - lgamma(whole - part + 1)


def _best_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding per path, best first. Among similar separations, prefer the more specific statement."""
    best: dict[str, Finding] = {}
    for finding in sorted(findings, key=_worth):
        best.setdefault(finding.path, finding)
    return sorted(best.values(), key=_worth)


def _worth(finding: Finding) -> tuple[Any, ...]:
    kind, detail = finding.trait
    return (
        not finding.is_certain,
        -round(finding.separation * 20),
        KINDS.index(kind),
        -finding.separation,
        finding.path.count(".") + finding.path.count("["),
        len(str(detail)),
        finding.path,
        str(detail),
    )
