"""The retry schedules (docs/contract.md#retry-policies)."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.retry import (
    DAY,
    HOUR,
    MAX_DELAY,
    MINUTE,
    POLICIES,
    RETRY_AFTER_LIMIT,
    next_delay,
    parse_policy,
    retry_moments,
    total_duration,
)

policies = st.lists(st.floats(0.001, MAX_DELAY), max_size=100)


def delay(policy, retries_made, **options):
    return next_delay(policy, retries_made, rng=random.Random(7), **options)


def test_the_standard_policy_is_the_documented_one():
    assert parse_policy("standard") == (5, 300, 1800, 7200, 18000, 36000, 36000)


def test_the_hub_policy_goes_on_daily_and_its_last_retry_falls_on_the_seventh_day():
    hub = parse_policy("hub")
    assert hub[:7] == (5, 60, 180, 300, 600, 1800, 3600)
    assert hub[7:13] == (DAY,) * 6
    assert len(hub) == 14
    assert hub[13] < DAY
    assert total_duration(hub) == 7 * DAY


def test_the_patient_policy_makes_25_retries_in_24_93_days():
    patient = parse_policy("patient")
    assert len(patient) == 25
    assert patient[:3] == (6, 21, 86)
    assert patient[-1] == 25**4 + 5
    assert round(total_duration(patient) / DAY, 2) == 24.93


def test_once_retries_after_a_minute_and_none_never():
    assert parse_policy("once") == (60,)
    assert parse_policy("none") == ()
    assert parse_policy([]) == ()


def test_a_name_is_read_without_regard_to_case_and_blanks():
    assert parse_policy(" Standard ") == POLICIES["standard"]


@pytest.mark.parametrize("text", ["5 90 7200", "5, 90, 7200", "[5,90,7200]", "5s 1.5m 2h", " 5s,90s , 2H "])
def test_a_list_may_be_typed_with_units_or_without(text):
    assert parse_policy(text) == (5, 90, 2 * HOUR)


@given(policies)
def test_any_list_within_the_bounds_is_taken_as_it_is(delays):
    assert parse_policy(delays) == tuple(delays)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("stadnard", "no retry policy 'stadnard'"),
        ("", "no retry policy ''"),
        ("-5", "no retry policy"),
        ([5, 0], "Entry 2"),
        ([-1], "Entry 1"),
        ([5, 60, MAX_DELAY + 1], "Entry 3"),
        ([math.nan], "Entry 1"),
        ([math.inf], "Entry 1"),
        ([True], "Entry 1"),
        (["5"], "Entry 1"),
        ([None], "Entry 1"),
        ([10**400], "Entry 1"),
        ([1] * 101, "101 entries"),
        ({"delays": [1]}, "neither a name nor a list"),
        (None, "neither a name nor a list"),
        (5, "neither a name nor a list"),
    ],
)
def test_a_wrong_policy_is_refused_in_plain_words(value, words):
    with pytest.raises(ValueError, match=words):
        parse_policy(value)


def test_each_retry_takes_its_own_entry_and_then_the_policy_is_used_up():
    policy = (5.0, 60.0)
    assert [delay(policy, made, jitter=0) for made in range(4)] == [5, 60, None, None]


@given(policies.filter(bool), st.integers(0, 99), st.integers())
def test_jitter_stays_within_ten_per_cent(policy, made, seed):
    seconds = next_delay(policy, made, rng=random.Random(seed))
    if made >= len(policy):
        assert seconds is None
    else:
        assert policy[made] * 0.9 <= seconds <= policy[made] * 1.1


def test_jitter_spreads_deliveries_that_failed_together():
    rng = random.Random(1)
    assert len({next_delay((60.0,), 0, rng=rng) for _ in range(50)}) == 50


@given(st.floats(allow_nan=False), st.integers())
def test_retry_after_is_honoured_between_a_second_and_a_day_and_never_sooner_than_asked(asked, seed):
    seconds = next_delay((5.0,), 0, rng=random.Random(seed), retry_after=asked)
    assert 1 <= seconds <= RETRY_AFTER_LIMIT
    assert seconds >= min(asked, RETRY_AFTER_LIMIT)


@pytest.mark.parametrize(("asked", "seconds"), [(120, 120), (0, 1), (-1, 1), (1e9, DAY), (math.inf, DAY), (7200, 7200)])
def test_retry_after_replaces_the_delay_of_the_policy(asked, seconds):
    assert delay((5.0, MINUTE), 1, jitter=0, retry_after=asked) == seconds


def test_a_retry_after_that_is_no_number_is_ignored():
    assert delay((5.0,), 0, jitter=0, retry_after=math.nan) == 5


def test_retry_after_gives_no_further_retry_when_the_policy_is_used_up():
    assert delay((5.0,), 1, retry_after=3) is None


def test_the_moments_of_the_retries_add_up():
    assert retry_moments((5.0, 60.0, 180.0)) == (5, 65, 245)
    assert retry_moments(()) == ()
