"""Bins of durations: a percentile is never further off than a third."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from deliveries.stats.durations import BINS, bin_of, bin_until, percentile


def test_bounds_are_at_most_a_third_apart_from_three_milliseconds_on() -> None:
    assert list(BINS) == sorted(set(BINS))
    assert max(high / low for low, high in pairwise(BINS) if low >= 3) <= 4 / 3


@pytest.mark.parametrize("seconds", [1, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400])
def test_what_objectives_are_said_in_is_a_bound(seconds: int) -> None:
    limit = bin_until(seconds * 1000)
    assert bin_of(seconds * 1000 - 1) < limit == bin_of(seconds * 1000)


def test_percentiles_are_within_a_third_of_the_exact_ones() -> None:
    rng = random.Random(7)
    took = sorted(rng.lognormvariate(5, 2) + 3 for _ in range(20_000))
    bins: dict[int, int] = {}
    for value in took:
        bins[bin_of(value)] = bins.get(bin_of(value), 0) + 1
    for share in (0.5, 0.95, 0.99):
        exact = took[int(share * len(took))]
        assert percentile(bins, share) == pytest.approx(exact, rel=1 / 3)


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 0.5) is None
