"""Expressions that are made to be dear: each stops within its budget, whatever it does its work in."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest

from subscriptions.budget import STEPS, Budget
from subscriptions.expressions.evaluation import (
    ExpressionError,
    WorkExceeded,
    check_expression,
    explain,
    passes,
    transform,
)


def literal(value: Any) -> str:
    return f"`{json.dumps(value, separators=(',', ':'))}`"


ZEROS = literal([0] * 4_500)
SHORTER = literal([0] * 2_200)
TEXTS = literal(["ab"] * 1_900)
NUMBERS = {"n": list(range(240_000))}
#: Texts of the same beginning: whoever compares them has to read them.
LONG = {"n": ["a" * 20_000 + str(number) for number in range(10, 99)] * 4}

DEAR: dict[str, tuple[str, Any]] = {
    "contains of a literal": (f"n[?contains({ZEROS}, `1`)]", NUMBERS),
    "contains of objects": (f"n[?contains({literal([{}] * 3_000)}, {literal({'a': 1})})]", NUMBERS),
    "== of literals": (f"n[?{SHORTER} == {SHORTER} && `false`]", NUMBERS),
    "!= of literals": (f"n[?{SHORTER} != {SHORTER}]", NUMBERS),
    "== of the whole": ("[@.n, @.n, @.n] | [?@ == @]", {"n": list(range(90_000))}),
    **{f"{name} of a literal": (f"n[?{name}({ZEROS}) > `1`]", NUMBERS) for name in ("sum", "avg", "min", "max")},
    **{f"{name} of a literal's": (f"n[*].{name}({ZEROS})[]", NUMBERS) for name in ("sort", "reverse", "to_string")},
    "max of texts": (f"n[?max({TEXTS}) == 'b']", NUMBERS),
    "join": (f"n[?join('', {TEXTS}) == 'b']", NUMBERS),
    "split": (f"n[?split('{'a,' * 4_000}', ',') == `1`]", NUMBERS),
    "replace": (f"n[?replace('{'ab' * 4_000}', 'a', 'cd') == 'x']", NUMBERS),
    "lower": (f"n[?lower('{'ab' * 4_000}') == 'x']", NUMBERS),
    "contains of text": (f"n[?contains('{'ab' * 4_000}', 'x')]", NUMBERS),
    "starts_with": (f"n[?starts_with('{'a' * 4_900}', '{'a' * 4_900}') && `false`]", NUMBERS),
    "format": (f"n[?format('{'{a}' * 3_000}', @) == 'x']", NUMBERS),
    "concat": (f"n[?concat({ZEROS}) == 'x']", NUMBERS),
    "a literal, flattened": (f"n[*].[{ZEROS}][] | [] | length(@)", NUMBERS),
    "a slice": (f"n[?{ZEROS}[::-1] == `1`]", NUMBERS),
    "merge": (f"n[?merge({literal(dict.fromkeys(map(str, range(900)), 0))}, `{{}}`) == `1`]", NUMBERS),
    "keys": (f"n[?keys({literal(dict.fromkeys(map(str, range(900)), 0))}) == `1`]", NUMBERS),
    "map": (f"n[?map(&[0], {literal([[0]] * 2_000)}) == `1`]", NUMBERS),
    "sort_by": (f"n[?sort_by({ZEROS}, &@) == `1`]", NUMBERS),
    "sorting long texts": ("[n, n, n, n, n, n][] | sort(@) | max(@)", LONG),
    "comparing long texts, each with each": ("n[?max_by([@, @], &@) == @] | [?@ < 'b']", LONG),
    "many steps": ("n[?@ == `-1` || a || b || c || d]", NUMBERS),
}


def seconds_of(text: str, data: Any, steps: int) -> float:
    """CPU seconds until the expression is done or has used up its steps."""
    began = time.thread_time()
    with suppress(ExpressionError):
        passes(text, data, budget=Budget(steps, seconds=600))
    return time.thread_time() - began


@pytest.fixture(scope="module")
def plain_seconds() -> float:
    """CPU seconds of `STEPS // 8` plain steps: here, now, and with whatever measures this run."""
    return min(seconds_of("n[?@ == `-1` || a || b || c || d]", NUMBERS, STEPS // 8) for _ in range(3))


@pytest.mark.parametrize(("text", "data"), DEAR.values(), ids=DEAR)
def test_each_way_to_make_work_is_charged(text: str, data: Any, plain_seconds: float) -> None:
    check_expression(text)
    # Work that is not charged would go on for very long. What is charged takes about as long as plain steps do.
    assert seconds_of(text, data, STEPS // 8) < 20 * plain_seconds


def test_more_than_the_budget_is_refused_in_plain_words() -> None:
    text, data = DEAR["contains of a literal"]
    budget = Budget()
    with pytest.raises(WorkExceeded, match="takes too long"):
        passes(text, data, budget=budget)
    assert budget.spent == STEPS
    verdict, reason = explain(text, data)
    assert verdict is False
    assert "takes too long" in reason


def test_the_clock_is_a_second_net() -> None:
    with pytest.raises(WorkExceeded):
        passes("n[?@ == `-1` || @ == `-2`]", NUMBERS, budget=Budget(10**12, seconds=0.02))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('contains(`[1, "a", [1], {"a": [1.0]}]`, `{"a": [1]}`)', True),
        ("contains(`[1, [2]]`, `[1]`)", False),
        ("contains(`[1]`, `true`)", False),
        ("`[1]` == `[true]`", False),
        ('`{"a": 1, "b": [2]}` == `{"b": [2], "a": 1.0}`', True),
        ('`{"a": 1}` == `{"a": null}`', False),
        ('`{"a": null}` == `{"b": null}`', False),
        ("`[]` == `{}`", False),
        ("`null` != `false`", True),
        ("'a' < 'b'", True),
        ("`true` < `2`", None),
        ("max(`[]`)", None),
        ("min(['b', 'a'])", "a"),
        ("[`1`, [`2`, [`3`]]][]", [1, 2, [3]]),
        ("`5`[]", None),
        ("'abc'[1:]", None),
    ],
)
def test_what_is_counted_gives_what_it_gave(text: str, result: Any) -> None:
    assert transform(text, {}) == result


def test_a_large_document_is_worked_through() -> None:
    items = [{"sku": f"A{number}", "price": number} for number in range(50_000)]
    found = transform(
        "{n: length(items), top: max(items[].price), some: items[?price > `49990`].sku}",
        {"items": items},
        budget=Budget(seconds=600),
    )
    assert (found["n"], found["top"], len(found["some"])) == (50_000, 49_999, 9)
