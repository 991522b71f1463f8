"""The evaluator beside the reference implementation of JSON Schema in Python: the same verdicts and places."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError as ReferenceSchemaError
from referencing import Registry

from subscriptions.budget import Budget
from subscriptions.json_schema import SchemaError, compile_schema

NAMES = st.sampled_from(["a", "b", "ab", "c"])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 0.0, 1.5, -2.5, 10**30, 1e300]) | NAMES
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
REFERENCES = st.sampled_from(["#/$defs/x", "#/$defs/y", "#here"])
SIZES = st.integers(0, 3)
PATTERNS = st.sampled_from(["a", "^a", "b$", "^[ab]+$", "^$", "a|c", "."])


def schemas(*, with_references: bool) -> st.SearchStrategy[Any]:
    def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(inner, min_size=1, max_size=3)
        named = st.dictionaries(NAMES, inner, max_size=3)
        found: dict[str, st.SearchStrategy[Any]] = {
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(DATA, max_size=3),
            "const": DATA,
            **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), st.integers(-2, 2)),
            **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties"), SIZES),
            **dict.fromkeys(("maxProperties", "minContains", "maxContains"), SIZES),
            "multipleOf": st.integers(1, 3),
            "pattern": PATTERNS,
            "uniqueItems": st.booleans(),
            "required": st.lists(NAMES, unique=True, max_size=2),
            "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, unique=True, max_size=2), max_size=2),
            **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some),
            **dict.fromkeys(("not", "if", "then", "else", "contains", "propertyNames"), inner),
            **dict.fromkeys(("items", "additionalProperties"), inner | st.just(False)),
            **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), inner | st.just(False)),
            **dict.fromkeys(("properties", "dependentSchemas"), named),
            "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        }
        if with_references:
            found["$ref"] = REFERENCES
        return st.fixed_dictionaries({}, optional=found)

    # Of a schema `false` the reference forgets the place, so it is spelled otherwise where it has one.
    return st.recursive(st.just(True) | st.just({"not": {}}), keywords, max_leaves=8).filter(
        lambda schema: schema != {}
    )


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    schema = draw(schemas(with_references=True))
    root = dict(schema) if isinstance(schema, dict) else {"allOf": [schema]}
    definition = draw(schemas(with_references=True))
    other = draw(schemas(with_references=False))
    root["$defs"] = {
        "x": definition,
        "y": other,
        "z": {"$anchor": "here", "properties": {"a": draw(schemas(with_references=True))}},
    }
    return root


def reference_of(schema: Any) -> Draft202012Validator:
    return Draft202012Validator(schema, registry=Registry())


COMMON: dict[str, Any] = {
    "suppress_health_check": list(HealthCheck),
    "deadline": None,
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
}
EXAMPLES = given(documents(), st.lists(DATA, min_size=1, max_size=4))


@settings(max_examples=60, **COMMON)
@EXAMPLES
def test_verdicts_and_places_are_those_of_the_reference(schema: dict[str, Any], data: list[Any]) -> None:
    check_against_reference(schema, data)


@pytest.mark.slow
@settings(max_examples=3_000, **COMMON)
@EXAMPLES
def test_and_so_they_are_for_thousands_of_schemas(schema: dict[str, Any], data: list[Any]) -> None:
    check_against_reference(schema, data)


def check_against_reference(schema: dict[str, Any], data: list[Any]) -> None:
    try:
        compiled = compile_schema(schema)
    except SchemaError as error:
        assert "refers to itself without end" in error.message  # noqa: PT017 - all else that is made here is right
        return
    for document in data:
        expected = {tuple(error.absolute_path) for error in reference_of(schema).iter_errors(document)}
        found = compiled.violations(document, Budget(), limit=1_000)
        assert {violation.path for violation in found} == expected, f"{schema!r} on {document!r}: {found!r}"


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "type",
                "enum",
                "const",
                "minimum",
                "multipleOf",
                "maxLength",
                "minItems",
                "pattern",
                "uniqueItems",
                "required",
                "dependentRequired",
                "allOf",
                "oneOf",
                "not",
                "if",
                "items",
                "prefixItems",
                "contains",
                "properties",
                "patternProperties",
                "dependentSchemas",
                "$defs",
                "$anchor",
                "definitions",
                "title",
                "description",
                "examples",
                "readOnly",
                "format",
                "additionalProperties",
                "propertyNames",
            ]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-1, 2)
            | st.floats(-1, 2)
            | st.sampled_from(["a", "string", "null"]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
            max_leaves=5,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_no_schema_is_refused_as_the_reference_refuses_it(schema: dict[str, Any]) -> None:
    try:
        Draft202012Validator.check_schema(schema)
    except ReferenceSchemaError:
        with pytest.raises(SchemaError):
            compile_schema(schema)
    else:
        compile_schema(schema)


MESSAGES = [
    ({"type": "integer"}, "many"),
    ({"type": ["integer", "null"]}, "many"),
    ({"required": ["status"]}, {}),
    ({"enum": ["a", "b"]}, "c"),
    ({"const": 1}, 2),
    ({"minimum": 3}, 1),
    ({"exclusiveMaximum": 3}, 3),
    ({"multipleOf": 3}, 4),
    ({"pattern": "^a"}, "b"),
    ({"uniqueItems": True}, [1, 1.0]),
    ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1, "b": 2}),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1}),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 5),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, 5),
]


@pytest.mark.parametrize(("schema", "data"), MESSAGES)
def test_messages_are_those_that_programs_know(schema: dict[str, Any], data: Any) -> None:
    (expected,) = reference_of(schema).iter_errors(data)
    (found,) = compile_schema(schema).violations(data, Budget())
    assert found.message == expected.message
