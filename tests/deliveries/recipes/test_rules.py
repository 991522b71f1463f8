"""Rules: what each does to a value, what it refuses, and that none can hurt."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.recipes.rules import MISSING, RULES, RuleError, ValueProblem, expression_of, parse_rules, run
from integrations.foundation.json_documents import is_same
from integrations.foundation.json_places import PlaceError, fields_of, look_up, parse_place, pointer, put, spelled
from subscriptions.expressions.evaluation import check_expression, transform

PAYLOAD = {
    "id": "1",
    "ship": {"phone": "0712 345 678", "name": None},
    "bill": {"phone": "+254700000001"},
    "tags": ["a"],
}


def after(value: Any, *rules: dict[str, Any], payload: Any = None) -> Any:
    return run(parse_rules(list(rules)), value, PAYLOAD if payload is None else payload)


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ({"rule": "trim"}, " \u200b\u00a00712\t", "0712"),
        ({"rule": "strip"}, "(0712) 345-678", "0712345678"),
        ({"rule": "strip", "characters": "ab"}, "a1b2", "12"),
        ({"rule": "strip", "which": "not_digits"}, "+254 (7) 12x", "254712"),
        ({"rule": "strip", "which": "not_phone"}, " +254 (7) 12+3", "+2547123"),
        ({"rule": "strip", "which": "not_phone"}, "tel. 0712", "0712"),
        ({"rule": "strip", "which": "not_alphanumeric"}, "AB-12 é", "AB12é"),
        ({"rule": "strip", "which": "blanks"}, "a b\u00a0c", "abc"),
        ({"rule": "replace", "find": "street", "with": "St"}, "Main street street", "Main St St"),
        ({"rule": "replace", "find": "UK", "with": "GB", "whole": True}, "UK", "GB"),
        ({"rule": "replace", "find": "UK", "with": "GB", "whole": True}, "UKR", "UKR"),
        ({"rule": "pattern", "find": r"^0+", "with": ""}, "000120", "120"),
        ({"rule": "pattern", "find": r"(\d{2})/(\d{2})/(\d{4})", "with": r"\3-\2-\1"}, "31/12/2025", "2025-12-31"),
        ({"rule": "prefix", "to": "+254", "from": "00254, 254, 0"}, "00254712", "+254712"),
        ({"rule": "prefix", "to": "+254", "from": "00254, 254, 0"}, "0712", "+254712"),
        ({"rule": "prefix", "to": "+254", "from": "00254, 254, 0"}, "+254712", "+254712"),
        ({"rule": "prefix", "to": "+254", "from": "0"}, "712", "712"),
        ({"rule": "prefix", "to": "+254", "from": "0", "add": True}, "712", "+254712"),
        ({"rule": "prefix", "to": "+254", "add": "on"}, 712, "+254712"),
        ({"rule": "digits"}, "O7l2 B45", "0712 845"),
        ({"rule": "digits"}, "٠٧١٢", "0712"),
        ({"rule": "case", "to": "upper"}, "ke", "KE"),
        ({"rule": "case", "to": "title"}, "o'hara's jane", "O'hara's Jane"),
        ({"rule": "pad", "length": "5"}, 1234, "01234"),
        ({"rule": "pad", "length": "5"}, "", ""),
        ({"rule": "map", "pairs": "Kenya=KE; uk = GB;"}, " UK", "GB"),
        ({"rule": "map", "pairs": "Kenya=KE"}, "UG", "UG"),
        ({"rule": "default", "value": "n/a"}, "  ", "n/a"),
        ({"rule": "default", "value": "n/a"}, MISSING, "n/a"),
        ({"rule": "default", "value": "n/a"}, 0, 0),
        ({"rule": "copy", "path": "bill.phone"}, "x", "+254700000001"),
        ({"rule": "copy", "path": "/bill/phone", "only_empty": True}, "x", "x"),
        ({"rule": "remove"}, "x", MISSING),
        ({"rule": "convert", "to": "text"}, 12, "12"),
        ({"rule": "convert", "to": "text"}, True, "true"),
        ({"rule": "convert", "to": "whole"}, " 1,234.0 ", 1234),
        ({"rule": "convert", "to": "number"}, "12.50", 12.5),
        ({"rule": "convert", "to": "number", "style": "comma"}, "1.234,5", 1234.5),
        ({"rule": "convert", "to": "boolean"}, "Yes", True),
        ({"rule": "convert", "to": "date", "style": "comma"}, "3.2.2026", "2026-02-03"),
        ({"rule": "convert", "to": "date"}, "2026-02-03", "2026-02-03"),
        ({"rule": "convert", "to": "list"}, "a", ["a"]),
        ({"rule": "convert", "to": "null"}, "", None),
        ({"rule": "expression", "text": "concat(value, '/', payload.id)"}, "a", "a/1"),
    ],
)  # fmt: skip
def test_a_rule_changes_a_value(rule: dict[str, Any], value: Any, expected: Any) -> None:
    result = after(value, rule)
    assert result is expected if expected is MISSING else is_same(result, expected)


def test_rules_follow_each_other() -> None:
    rules = [
        {"rule": "digits"},
        {"rule": "strip", "which": "not_phone"},
        {"rule": "prefix", "to": "+254", "from": "254,0"},
    ]
    for value in ("O7l2 345 678", "0712-345-678", "254 712 345 678", "+254(712)345678"):
        assert after(value, *rules) == "+254712345678"


@pytest.mark.parametrize(
    ("rule", "value", "why"),
    [
        ({"rule": "trim"}, ["a"], "the value is a list"),
        ({"rule": "map", "pairs": "Kenya=KE", "strict": True}, "UG", "not in the list"),
        ({"rule": "case"}, True, "the value is true or false"),
        ({"rule": "convert", "to": "whole"}, "12.5", "not a whole number"),
        ({"rule": "convert", "to": "whole"}, "٣", "not a whole number"),
        ({"rule": "convert", "to": "number"}, "NaN", "not a number"),
        ({"rule": "convert", "to": "number"}, "1e999", "not a number"),
        ({"rule": "convert", "to": "boolean"}, "perhaps", "neither true nor false"),
        ({"rule": "convert", "to": "date"}, "31/31/2026", "not a date"),
        ({"rule": "copy", "path": "bill.mobile"}, "x", "bill.mobile is missing"),
        ({"rule": "replace", "find": "a", "with": "b" * 999}, "a" * 9_999, "more than 10,000 characters"),
        ({"rule": "trim"}, "x" * 10_001, "more than 10,000 characters"),
        ({"rule": "pattern", "find": "(a|b|ab)*c|a", "with": ""}, "ab" * 4_999, "takes too long"),
        ({"rule": "expression", "text": "abs(value)"}, "x", "abs"),
    ],
)
def test_a_value_that_a_rule_cannot_change_is_refused_with_the_reason(
    rule: dict[str, Any], value: Any, why: str
) -> None:
    with pytest.raises(ValueProblem, match=why):
        after(value, rule)


@pytest.mark.parametrize(
    ("rules", "option", "why"),
    [
        ([{"rule": "shout"}], "rule", "Unknown rule 'shout'"),
        ([{"rule": "trim", "hard": "yes"}], "hard", "no option 'hard'"),
        ([{"rule": "trim"}, {"rule": "replace", "with": "x"}], "find", "Find is empty"),
        ([{"rule": "prefix", "to": "+1"}], "from", "Say what it stands instead of"),
        ([{"rule": "pattern", "find": "(a"}], "find", "cannot be used"),
        ([{"rule": "pattern", "find": "a", "with": r"\1"}], "find", "pair of brackets"),
        ([{"rule": "digits", "pairs": "O0"}], "pairs", "is no pair"),
        ([{"rule": "pad", "length": "many"}], "length", "from 1 to 100"),
        ([{"rule": "map", "pairs": "Kenya"}], "pairs", "is no pair"),
        ([{"rule": "case", "to": "sideways"}], "to", "is one of"),
        ([{"rule": "expression", "text": "concat("}], "text", "incomplete"),
        ([{"rule": "copy", "path": "a..b"}], "path", "names no field"),
        ([{"rule": "trim"}] * 21, "", "At most 20"),
        ("trim", "", "Rules are a list"),
        ([7], "rule", "Unknown rule"),
    ],
)
def test_rules_that_cannot_be_used_are_refused_with_their_place(rules: Any, option: str, why: str) -> None:
    with pytest.raises(RuleError, match=why) as caught:
        parse_rules(rules)
    assert caught.value.option == option
    if isinstance(rules, list) and len(rules) == 2:
        assert caught.value.position == 1


def test_rules_are_kept_as_they_were_set_up() -> None:
    given = [{"rule": "prefix", "to": "+254", "from": "0", "add": True}, {"rule": "case"}]
    kept = [step.as_json() for step in parse_rules(given)]
    assert kept[0] == {"rule": "prefix", "to": "+254", "from": "0", "add": "on"}
    assert [step.as_json() for step in parse_rules(kept)] == kept


def test_each_rule_says_what_it_does() -> None:
    for rule in RULES.values():
        assert rule.label and rule.sentence.endswith(".")


texts = st.text(max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
some_rules = st.lists(
    st.sampled_from(
        [
            {"rule": "trim"},
            {"rule": "strip", "which": "not_phone"},
            {"rule": "strip", "which": "invisible"},
            {"rule": "digits"},
            {"rule": "prefix", "to": "+1", "from": "00,0", "add": True},
            {"rule": "replace", "find": "a", "with": "aa"},
            {"rule": "pattern", "find": r"(\w)\s*", "with": r"\1"},
            {"rule": "pattern", "find": "x*", "with": "-"},
            {"rule": "case", "to": "title"},
            {"rule": "default", "value": "x"},
            {"rule": "copy", "path": "a"},
            {"rule": "convert", "to": "number"},
            {"rule": "convert", "to": "boolean"},
            {"rule": "convert", "to": "date"},
            {"rule": "convert", "to": "list"},
            {"rule": "remove"},
            {"rule": "expression", "text": "payload.a || value"},
        ]
    ),
    max_size=5,
)


@given(values, some_rules, st.dictionaries(st.sampled_from("ab"), values))
def test_whatever_the_value_rules_give_json_or_say_why_not_and_change_nothing_else(
    value: Any, rules: list[dict[str, Any]], payload: dict[str, Any]
) -> None:
    kept = copy.deepcopy((value, payload))
    try:
        result = run(parse_rules(rules), value, payload)
    except ValueProblem:
        pass
    else:
        assert result is MISSING or json.loads(json.dumps(result)) == result
    assert (value, payload) == kept


@given(texts)
def test_what_tidies_up_once_tidies_up_for_good(text: str) -> None:
    for rule in (
        {"rule": "trim"},
        {"rule": "strip"},
        {"rule": "strip", "which": "not_phone"},
        {"rule": "digits"},
        {"rule": "prefix", "to": "+254", "from": "254,0", "add": True},
        {"rule": "case", "to": "lower"},
        {"rule": "default", "value": "x"},
    ):
        once = after(text, rule)
        assert after(once, rule) == once


@given(values)
def test_every_field_of_a_payload_can_be_named_read_set_and_removed(payload: Any) -> None:
    kept = copy.deepcopy(payload)
    for place, value in fields_of(payload):
        if any(part == "" for part in place):
            continue
        assert parse_place(pointer(place)) is not None
        assert is_same(look_up(payload, place), value)
        changed = put(payload, place, "new")
        assert look_up(changed, place) == "new"
        assert is_same(put(changed, place, value), payload)
        if isinstance(place[-1], str):
            assert look_up(put(payload, place, MISSING), place) is MISSING
    assert is_same(payload, kept)


def test_a_field_that_is_not_there_is_made_with_the_objects_around_it() -> None:
    assert put({"a": 1}, parse_place("b.c"), 2) == {"a": 1, "b": {"c": 2}}
    assert put({"a": [1]}, parse_place("a[0]"), 2) == {"a": [2]}
    with pytest.raises(PlaceError, match="none at"):
        put({"a": [1]}, parse_place("a[1]"), 2)
    with pytest.raises(PlaceError, match="a number where an object"):
        put({"a": 1}, parse_place("a.b"), 2)
    assert spelled(("a.b", "c")) == "/a.b/c"
    assert spelled(("items", 0, "price")) == "items[0].price"


@pytest.mark.parametrize(
    "rules",
    [
        [{"rule": "trim"}, {"rule": "digits"}],
        [{"rule": "strip"}, {"rule": "prefix", "to": "+254", "add": True}],
        [{"rule": "replace", "find": "0712", "with": "it's \\ 1"}],
        [{"rule": "default", "value": "x"}, {"rule": "case", "to": "upper"}],
        [{"rule": "copy", "path": "bill.phone"}],
    ],
)
def test_rules_that_jmespath_can_say_make_the_same_payload_as_a_transform(rules: list[dict[str, Any]]) -> None:
    steps, place = parse_rules(rules), parse_place("ship.phone")
    text = expression_of(steps, place)
    assert text is not None
    check_expression(text)
    expected = put(PAYLOAD, place, run(steps, look_up(PAYLOAD, place), PAYLOAD))
    assert transform(text, PAYLOAD) == expected


def test_rules_that_jmespath_cannot_say_have_no_transform() -> None:
    place = parse_place("ship.phone")
    assert expression_of(parse_rules([{"rule": "prefix", "to": "+1", "from": "0"}]), place) is None
    assert expression_of(parse_rules([{"rule": "trim"}]), parse_place("tags[0]")) is None
