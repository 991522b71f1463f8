"""Schemas that are made to be dear: refused when they are saved, or stopped by their budget, or cheap after all."""

from __future__ import annotations

from typing import Any

import pytest

from subscriptions.budget import STEPS, Budget, BudgetExceeded
from subscriptions.json_schema import compile_schema
from subscriptions.services import check_schema


def bomb(keyword: str, levels: int, innermost: Any) -> dict[str, Any]:
    """Each definition refers to the one before twice: two to the power of `levels` ways to the innermost."""
    definitions = {"a0": innermost}
    for level in range(1, levels + 1):
        inner = {"$ref": f"#/$defs/a{level - 1}"}
        definitions[f"a{level}"] = inner if keyword == "$ref" else {keyword: [inner, {**inner, "title": "again"}]}
    return {"$defs": definitions, "$ref": f"#/$defs/a{levels}"}


def nested(levels: int, leaf: Any = 1, name: str = "c") -> Any:
    document = leaf
    for _ in range(levels):
        document = {name: document}
    return document


def steps(schema: dict[str, Any], data: Any) -> int:
    budget = Budget()
    compile_schema(schema).violations(data, budget, limit=20)
    return budget.spent


TWICE_BELOW = {"allOf": [{"properties": {"c": {"$ref": "#"}}}, {"properties": {"c": {"$ref": "#"}}}]}
UNEVALUATED = {
    "$defs": {
        "a": {"allOf": [{"properties": {"c": {"$ref": "#/$defs/a"}}}], "unevaluatedProperties": False},
        "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "unevaluatedProperties": False},
    },
    "$ref": "#/$defs/b",
}

CHEAP: dict[str, tuple[dict[str, Any], Any]] = {
    **{f"{keyword} valid": (bomb(keyword, 60, {"type": "integer"}), 1) for keyword in ("allOf", "anyOf", "oneOf")},
    **{f"{keyword} broken": (bomb(keyword, 60, {"type": "integer"}), {}) for keyword in ("allOf", "anyOf", "oneOf")},
    "the same twice at each level of the data": (TWICE_BELOW, nested(90)),
    "the same twice and broken": (TWICE_BELOW | {"type": "object"}, nested(90)),
    "unevaluated below unevaluated": (UNEVALUATED, nested(20)),
    "unique objects": ({"uniqueItems": True}, [{"a": [number]} for number in range(20_000)]),
    "unique integers of one hash": ({"uniqueItems": True}, [number * (2**61 - 1) for number in range(50_000)]),
    "enum of thousands": ({"items": {"enum": [{"k": n} for n in range(5_000)]}}, [{"k": -1}] * 20_000),
    "a backtracking pattern": ({"pattern": "^(a+)+$"}, "a" * 100_000 + "!"),
    "another": ({"pattern": "^(a|a)*$"}, "a" * 100_000 + "!"),
    "and another": ({"pattern": "^([a-z]+[0-9]*)*@$"}, "a" * 50_000),
    "as the name of a property": ({"patternProperties": {"(x+x+)+y": False}}, {"x" * 50_000: 1}),
    "as a property's name's schema": ({"propertyNames": {"pattern": "(x+x+)+y"}}, {"x" * 50_000: 1}),
    "a small divisor": ({"multipleOf": 1e-300}, 10**4_200),
    "a large divisor": ({"multipleOf": 10**4_200}, 10**4_200 + 1),
    "a large bound": ({"minimum": 10**4_200}, 1e308),
}


@pytest.mark.parametrize(("schema", "data"), CHEAP.values(), ids=CHEAP)
def test_what_would_explode_elsewhere_is_cheap(schema: dict[str, Any], data: Any) -> None:
    assert steps(schema, data) < STEPS // 2


WIDE = {"items": {"anyOf": [*({"type": "integer", "minimum": number} for number in range(2_000)), {"type": "number"}]}}
DEAR: dict[str, tuple[dict[str, Any], Any]] = {
    "much data and a wide schema": (WIDE, [0.5] * 5_000),
    "a pattern that needs many states": ({"pattern": "[ab]*a[ab]{500}c"}, "ab" * 500_000),
    "of many texts": ({"items": {"pattern": "[ab]*a[ab]{501}c"}}, ["ab" * 1_000 + "c"] * 1_000),
    "many patterns on many names": (
        {"patternProperties": {f"^{number}.*x": {} for number in range(90)}},
        {f"name {number}": 1 for number in range(20_000)},
    ),
    "unique items of much": ({"uniqueItems": True}, [[[[number]]] * 10 for number in range(60_000)]),
    "contains, everywhere": (
        {"items": {"allOf": [{"contains": {"const": number}} for number in range(300)]}},
        [list(range(300))] * 100,
    ),
}


@pytest.mark.parametrize(("schema", "data"), DEAR.values(), ids=DEAR)
def test_what_is_costly_is_stopped_and_says_so(schema: dict[str, Any], data: Any) -> None:
    budget = Budget()
    (violation,) = compile_schema(schema).violations(data, budget)
    assert violation.message == (
        "evaluating the schema on this data takes too long; simplify the schema, or send less data"
    )
    assert budget.spent == STEPS


def test_a_schema_is_stopped_by_the_clock_as_well() -> None:
    (violation,) = compile_schema(WIDE).violations([0.5] * 5_000, Budget(10**12, seconds=0.05))
    assert "takes too long" in violation.message


def test_an_exhausted_budget_stays_exhausted() -> None:
    budget = Budget(10)
    with pytest.raises(BudgetExceeded):
        budget.charge(11)
    with pytest.raises(BudgetExceeded):
        budget.charge(0)
    assert budget.spent == 10


def test_data_that_is_too_deep_for_the_stack_is_refused_and_no_crash() -> None:
    chain: dict[str, Any] = {"$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}]} for n in range(40)}}
    chain["$defs"]["a40"] = {"properties": {"c": {"$ref": "#/$defs/a0"}}}
    chain["$ref"] = "#/$defs/a0"
    (violation,) = compile_schema(chain).violations(nested(99), Budget())
    assert violation.message == "the data is nested too deeply for the schema"


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"properties": {"c": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#"}, "refers to itself without end"),
        ({"anyOf": [{"type": "string"}, {"$ref": "#"}]}, "refers to itself without end"),
        ({"not": {"$dynamicRef": "#x"}, "$dynamicAnchor": "x"}, "refers to itself without end"),
        ({"properties": {"a": {"if": {"$ref": "#/properties/a/if"}}}}, "refers to itself without end"),
        ({"dependentSchemas": {"a": {"$ref": "#"}}}, "refers to itself without end"),
        ({"$ref": "https://example.com/schema.json"}, "Only references inside it"),
        ({"$ref": "file:///etc/passwd"}, "Only references inside it"),
        ({"items": {"$dynamicRef": "other"}}, "Only references inside it"),
        ({"$ref": "#/$defs/nowhere"}, "does not hold: #/$defs/nowhere"),
        ({"$ref": "#nowhere"}, "does not hold: #nowhere"),
        ({"$ref": "#/type", "type": "string"}, "A schema is an object, true or false"),
        ({"properties": {"a": {"$id": "x"}}}, "has an $id"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "Drafts 6 to 2020-12 are known"),
        ({"$schema": "https://example.com/mine"}, "Drafts 6 to 2020-12 are known"),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": ["b"]}},
            "write dependentRequired",
        ),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}]}, "items must be"),
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, "without look-around"),
        ({"properties": {"a": {"pattern": r"(a)\1"}}}, "back-references"),
        ({"pattern": "(a{1000}){1000}"}, "cannot be used"),
        ({"pattern": r"\p{L}{50}"}, "cannot be used"),
        ({"pattern": "(" * 5_000}, "cannot be used"),
        ({"pattern": "a" * 10_001}, "more than 10,000 characters"),
        ({"patternProperties": {f"^{number}": {} for number in range(101)}}, "more than 100 different patterns"),
        ({"anyOf": [{}] * 5_001}, "more than 5,000 schemas"),
        ({"properties": {"a": {"minLength": -1}}}, "minLength must be a whole number"),
        ({"properties": {"a": {"minLength": True}}}, "minLength must be a whole number"),
        ({"type": "thing"}, "type must be a type"),
        (deep(300), "nested"),
        (deep(5_000), "nested"),
        ([], "A JSON Schema is an object"),
        ({"title": "x" * 300_000}, "longer than 262144 characters"),
    ],
)
def test_what_is_known_to_be_wrong_or_dear_is_refused_at_save(schema: Any, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_schema(schema)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}, "$ref": "#/definitions/a"},
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "properties": {"dependencies": {"type": "string"}}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema#", "$comment": "x", "x-mine": {"$ref": 5}},
        {"properties": {"$ref": {"type": "string"}, "$id": {}, "pattern": {"pattern": "a"}}},
        {"properties": {"children": {"items": {"$ref": "#"}}}},
        {"$dynamicAnchor": "node", "properties": {"children": {"items": {"$dynamicRef": "#node"}}}},
        {"pattern": r"^\u0041[\u00e4-\u00fc]\/\d$"},
        {
            "definitions": {"a/b": {"type": "string"}, "c%d": {}},
            "anyOf": [{"$ref": "#/definitions/a~1b"}, {"$ref": "#/definitions/c%25d"}],
        },
        {"pattern": r"^\p{L}+$"},
        {"minLength": 1.0, "format": "email", "default": None},
    ],
)
def test_what_is_right_is_accepted(schema: dict[str, Any]) -> None:
    check_schema(schema)


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        (r"^\d+$", "12", True),
        (r"^\d+$", "١٢", False),  # digits are ASCII in ECMA-262
        (r"^a$", "a\n", False),
        (r"\u00e4", "ä", True),
        (r"^[^@\s]+@[^@\s]+$", "a@b", True),
        (r"^\cI$", "\t", True),
        (r"^.$", "😀", True),
        (r"\\u0041", r"\u0041", True),
    ],
)
def test_patterns_mean_what_json_schema_means(pattern: str, text: str, is_found: bool) -> None:
    assert (compile_schema({"pattern": pattern}).violations(text, Budget()) == []) is is_found


def test_prices_are_multiples_in_decimal_digits() -> None:
    schema = compile_schema({"multipleOf": 0.01})
    assert schema.violations(19.99, Budget()) == []
    assert schema.violations(19.999, Budget()) != []


def test_texts_of_violations_stay_short() -> None:
    (violation,) = compile_schema({"type": "integer"}).violations({"a" * 10_000: ["b" * 10_000] * 1_000}, Budget())
    assert len(violation.message) < 1_000


def test_as_many_violations_as_asked_for() -> None:
    schema = compile_schema({"items": {"type": "integer"}})
    assert len(schema.violations(["x"] * 50, Budget(), limit=7)) == 7
