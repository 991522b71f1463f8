"""The type of each keyword's value, as in the meta-schema of draft 2020-12."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.utils.translation import gettext

from integrations.foundation.languages import gettext_noop as _
from subscriptions.json_schema.values import TYPES, is_number

_Test = Callable[[Any], bool]


def _is_size(value: Any) -> bool:
    return TYPES["integer"](value) and value >= 0


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and _is_names(names) and all(name in TYPES for name in names)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict | bool)


def _is_schemas(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_schema, value))


def _is_named_schemas(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_schema, value.values()))


_SHAPES: Final[tuple[tuple[str, str, _Test], ...]] = (
    (_("a text"), "$ref $dynamicRef $anchor $dynamicAnchor $comment pattern format title description", _is_text),
    (_("a text"), "contentEncoding contentMediaType", _is_text),
    (_("a list"), "enum examples", _is_list),
    (_("true or false"), "uniqueItems deprecated readOnly writeOnly", _is_boolean),
    (_("a number"), "maximum minimum exclusiveMaximum exclusiveMinimum", is_number),
    (_("a number above 0"), "multipleOf", lambda value: is_number(value) and value > 0),
    (_("a whole number from 0 on"), "maxLength minLength maxItems minItems maxContains minContains", _is_size),
    (_("a whole number from 0 on"), "maxProperties minProperties", _is_size),
    (_("a list of different names"), "required", _is_names),
    (_("a type (string, number, integer, boolean, array, object, null) or a list of types"), "type", _is_type),
    (
        _("an object with a list of names for each property"),
        "dependentRequired",
        lambda value: isinstance(value, dict) and all(map(_is_names, value.values())),
    ),
    (_("a schema"), "not if then else items contains additionalProperties propertyNames contentSchema", _is_schema),
    (_("a schema"), "unevaluatedItems unevaluatedProperties", _is_schema),
    (_("a list of schemas that is not empty"), "allOf anyOf oneOf prefixItems", _is_schemas),
    (
        _("an object with a schema for each name"),
        "properties patternProperties dependentSchemas $defs definitions",
        _is_named_schemas,
    ),
)
_TESTS: Final = {keyword: (words, test) for words, keywords, test in _SHAPES for keyword in keywords.split()}


def wrong_shape(keyword: str, value: Any) -> str | None:
    """Return a description of the type the keyword's value must have; None if it has it."""
    known = _TESTS.get(keyword)
    return None if known is None or known[1](value) else gettext(known[0])
