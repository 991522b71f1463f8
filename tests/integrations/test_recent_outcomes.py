"""The last outcomes of an integration: bounded, and told in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.recent_outcomes import OUTCOMES_KEPT, RUNS_KEPT, SUCCESS, Runs, added, recent_of


def after(*outcomes: tuple[str, int]) -> Runs:
    runs: Runs = []
    for what, count in outcomes:
        runs = added(runs, what, count)
    return runs


def test_an_integration_that_refuses_everything_says_how_often_and_with_what() -> None:
    recent = recent_of(after((SUCCESS, 20), ("401", 150)))
    assert recent.words == "150 of the last 150 refused with 401"
    assert recent.refuses_everything
    assert recent_of(after(("503", 2), ("timeout", 7))).words == "9 of the last 9 failed, most of them timed out"


def test_one_success_ends_it() -> None:
    recent = recent_of(after(("401", 150), (SUCCESS, 1)))
    assert (recent.in_a_row, recent.refuses_everything, recent.is_poor) == (0, False, True)
    assert (recent.failed, recent.total) == (150, 151)


@pytest.mark.parametrize(
    ("outcomes", "refuses"), [([("500", 1)], True), ([(SUCCESS, 9), ("500", 2)], False), ([], False)]
)
def test_a_single_failure_among_successes_is_not_everything(outcomes: list[tuple[str, int]], refuses: bool) -> None:
    assert recent_of(after(*outcomes)).refuses_everything is refuses


@given(st.lists(st.tuples(st.sampled_from([SUCCESS, "401", "500", "timeout"]), st.integers(0, 500)), max_size=80))
def test_what_is_kept_is_bounded_and_ends_with_the_latest(outcomes: list[tuple[str, int]]) -> None:
    runs = after(*outcomes)
    flat = [what for what, count in outcomes for _ in range(count)]
    kept = [what for what, count in runs for _ in range(count)]
    assert len(runs) <= RUNS_KEPT
    assert len(kept) <= OUTCOMES_KEPT
    assert kept == flat[len(flat) - len(kept) :]
    assert recent_of(runs).total == len(kept)
