"""The shape of accepted values, and rules that are found by trying."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.recipes.rules import ValueProblem, parse_rules, run
from deliveries.recipes.shape import shape_of, skeleton
from deliveries.recipes.suggestions import suggest
from integrations.foundation.json_places import MISSING
from tests.deliveries.recipes.morning import good, spoiled

PHONES = [good(random.Random(number)) for number in range(60)]


@pytest.mark.parametrize(
    ("accepted", "value", "why"),
    [
        (PHONES, "+254712345678", ""),
        (PHONES, "+25471234567", "It has 12 characters; those that arrived have 13."),
        (PHONES, "0712345678", "look like +2547…"),
        (PHONES, "+255712345678", "begin with +2547"),
        (PHONES, 254712345678, "It is a number; in those that arrived it is text."),
        (PHONES, None, "It is null"),
        (PHONES, MISSING, "It is missing"),
        ([*PHONES, "+1555123456789"], "+255712345678", "begin with +2547"),  # one odd value among many hides nothing
        (["KE"] * 12 + ["UG"] * 12, "Kenya", "have KE or UG"),
        (["KE"] * 12 + ["UG"] * 12, "UG", ""),
        ([f"{chr(97 + n % 26)}{n}@a.example" for n in range(30)], "Bo7@a.example", "in small letters"),
        ([1.5] * 10, 2, ""),
        ([1.5] * 10, "2", "It is text"),
        ([f"{word} Road {n}" for n in range(20) for word in ("Moi", "Ngong-", "5th")], "anything at all", "look like|"),
    ],
)
def test_a_value_is_like_those_that_arrived_or_it_is_said_how_not(accepted: list[Any], value: Any, why: str) -> None:
    shape = shape_of(accepted)
    assert shape is not None
    found = shape.why_unlike(value)
    assert (found == "") if why == "" else any(part in found for part in why.split("|"))


def test_a_few_values_have_no_shape() -> None:
    assert shape_of(PHONES[:4]) is None


@given(st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=20), min_size=5, max_size=40))
def test_what_arrived_is_like_what_arrived(values: list[Any]) -> None:
    shape = shape_of(values)
    assert shape is not None
    unlike = [value for value in values if shape.why_unlike(value)]
    assert len(unlike) <= len(values) * 0.05  # of many alike, a few may begin otherwise


def test_texts_of_one_kind_have_one_skeleton() -> None:
    assert skeleton("+254 712") == "+9 9"
    assert skeleton("AB-12") == "a-9"


@pytest.mark.parametrize(
    ("accepted", "failing", "wanted"),
    [
        (PHONES, [spoiled(one, n) for n, one in enumerate(PHONES)], PHONES),
        (PHONES, [spoiled(one, n).replace("1", "l") for n, one in enumerate(PHONES)], PHONES),
        (["KE"] * 20 + ["UG"] * 20, [" ke", "Ug ", "ug"], ["KE", "UG", "UG"]),
        (
            [f"20{n % 30:02d}-{n % 12 + 1:02d}-1{n % 10}" for n in range(40)],
            ["31.12.2025", "1/2/2026"],
            ["2025-12-31", "2026-02-01"],
        ),
        ([n + 0.5 for n in range(30)], ["12,5", "1.234,5"], [12.5, 1234.5]),
        ([f"{n * 977 % 100_000:05d}" for n in range(40)], ["901", 1234, " 77"], ["00901", "01234", "00077"]),
        ([True, False] * 10, ["yes", "no"], [True, False]),
        ([f"SKU{n}X" for n in range(1000, 1030)], ["sku 1001x", "Sku1002x"], ["SKU1001X", "SKU1002X"]),
        (
            [f"{chr(97 + n % 26)}nn{n}@shop.example" for n in range(40)],
            ["bob7@shop,example ", "Ann8@shop.example"],
            ["bob7@shop.example", "ann8@shop.example"],
        ),
        ([f"{n:05d}" for n in range(10000, 10040)], ["10 001", "1OO02", "10.003"], ["10001", "10002", "10003"]),
    ],
)
def test_rules_are_found_that_make_the_right_values(accepted: list[Any], failing: list[Any], wanted: list[Any]) -> None:
    found = suggest(failing, shape_of(accepted))
    assert found is not None
    assert (found.fitting, found.tried) == (len(failing), len(failing))
    assert [run(parse_rules(found.rules), value, {}) for value in failing] == wanted


def test_where_no_rule_helps_or_nothing_arrived_none_is_suggested() -> None:
    assert suggest(["call me"], shape_of(PHONES)) is None
    assert suggest(["0712345678"], None) is None
    assert suggest(PHONES[:3], shape_of(PHONES)) is None


@given(st.lists(st.none() | st.integers() | st.text(max_size=15), max_size=10))
def test_what_is_suggested_fits_as_often_as_is_said(failing: list[Any]) -> None:
    shape = shape_of(PHONES)
    assert shape is not None
    found = suggest(failing, shape)
    if found is None:
        return
    count = 0
    for value in failing:
        try:
            count += not shape.why_unlike(run(parse_rules(found.rules), value, {}))
        except ValueProblem:
            continue
    assert count == found.fitting
