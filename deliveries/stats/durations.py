"""Durations in bins whose bounds are at most a third apart, so that a percentile is never further off. Pure.

The same bins count everywhere: in the database, in percentiles, in error budgets and in `/metrics`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

_STEPS = (1, 1.25, 1.6, 2, 2.5, 3, 4, 5, 6, 8)
_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000

# Ten per power of ten up to 10 seconds; beyond, those of clocks, because objectives are said in them.
_BOUNDS: Final = (
    *(1, 2, 3, 4, 5, 6, 8),
    *(round(step * power) for power in (10, 100, 1_000) for step in _STEPS),
    *(seconds * _SECOND for seconds in (10, 12, 15, 20, 25, 30, 40, 50)),
    *(minutes * _MINUTE for minutes in (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)),
    *(hours * _HOUR for hours in (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 18, 24, 32, 40, 48)),
)
#: Bounds in milliseconds, ascending: bin `n` holds what took at least `BINS[n - 1]` and less than `BINS[n]`.
BINS: Final = tuple(int(bound) for bound in _BOUNDS)


def bin_of(milliseconds: float) -> int:
    """The number of the bin that holds this duration."""
    return bisect_right(BINS, milliseconds)


def bin_until(milliseconds: float) -> int:
    """The first bin that holds nothing shorter than this bound: those before it were faster. Raises ValueError if it is
    not a bound."""
    return BINS.index(int(milliseconds)) + 1


def percentile(counts_by_bin: Mapping[int, int], share: float) -> float | None:
    """The percentile `share` (0 to 1) of the durations in milliseconds, interpolated in its bin; None of nothing."""
    total = sum(counts_by_bin.values())
    if total <= 0:
        return None
    wanted, passed = total * share, 0
    for index in sorted(counts_by_bin):
        inside = counts_by_bin[index]
        if inside and passed + inside >= wanted:
            low = BINS[index - 1] if index else 0.5
            high = BINS[index] if index < len(BINS) else BINS[-1] * 1.33
            return float(low * (high / low) ** ((wanted - passed) / inside))
        passed += inside
    return float(BINS[-1])
