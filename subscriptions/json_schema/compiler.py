"""Compiles a JSON Schema to nodes. Shape, references and limits are checked here, before any data."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, Final
from urllib.parse import unquote

from subscriptions.json_schema import applicators as apply
from subscriptions.json_schema import assertions as check
from subscriptions.json_schema import combinators as combine
from subscriptions.json_schema.errors import SchemaError
from subscriptions.json_schema.nodes import Keyword, Node
from subscriptions.json_schema.patterns import Pattern, compiled_pattern
from subscriptions.json_schema.shapes import wrong_shape

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
#: A schema for one of these dialects means the same in 2020-12, unless it uses a keyword that was removed since.
EARLIER: Final = ("http://json-schema.org/draft-06/schema", "http://json-schema.org/draft-07/schema",
                  "https://json-schema.org/draft/2019-09/schema")  # fmt: skip
_GONE: Final = {
    "additionalItems": "items beside prefixItems",
    "dependencies": "dependentRequired or dependentSchemas",
    "$recursiveRef": "$dynamicRef",
}
#: Maximum number of subschemas in a schema.
SUBSCHEMAS_LIMIT: Final = 5_000
#: Maximum number of different patterns in a schema: each may use half a megabyte.
PATTERNS_LIMIT: Final = 100
DEPTH_LIMIT: Final = 100

_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_SINGLE = (
    *("not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)


class Compiler:
    """Compiles one schema. Nodes are stored by their JSON Pointer."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.nodes: dict[str, Node] = {}
        self.anchors: dict[str, Node] = {}
        self.patterns: set[str] = set()
        #: References to resolve at the end: the list that receives the node, the reference, and its place.
        self.pending: list[tuple[list[Node], str, str]] = []
        self.has_unevaluated = False
        self.is_earlier = False

    def compile(self) -> Node:
        """Raises SchemaError."""
        root = self.node(self.root, "")
        while self.pending:
            into, reference, pointer = self.pending.pop()
            target = self._target(reference, pointer)
            target.is_shared = True
            into.append(target)
        if self.has_unevaluated:
            for node in self.nodes.values():
                node.is_shared = True
        self._refuse_loops()
        return root

    def node(self, schema: Any, pointer: str) -> Node:
        known = self.nodes.get(pointer)
        if known is not None:
            return known
        if len(self.nodes) >= SUBSCHEMAS_LIMIT:
            raise SchemaError(f"The schema has more than {SUBSCHEMAS_LIMIT:,} schemas in it. Make it simpler.")
        if pointer.count("/") > 2 * DEPTH_LIMIT:
            raise SchemaError("The schema is nested too deeply.", pointer[:100])
        node = self.nodes[pointer] = Node()
        if isinstance(schema, bool):
            node.is_never = not schema
            return node
        if not isinstance(schema, dict):
            raise SchemaError("A schema is an object, true or false.", pointer)
        self._check_shape(schema, pointer)
        parts = self._parts(schema, pointer)
        node.keywords = [*self._references(schema, pointer), *_assertions(schema, self._pattern, pointer)]
        node.keywords += self._applied(schema, parts, node)
        node.cost = 1 + sum(keyword.cost for keyword in node.keywords)
        for name in ("$anchor", "$dynamicAnchor"):
            if name in schema:
                self.anchors[schema[name]] = node
        return node

    def _check_shape(self, schema: Mapping[str, Any], pointer: str) -> None:
        for keyword, value in schema.items():
            if expected := wrong_shape(keyword, value):
                raise SchemaError(f"This is not a JSON Schema: {keyword} must be {expected}", f"{pointer}/{keyword}")
        if "$id" in schema:
            raise SchemaError(
                "The schema has an $id. Leave it out: references are resolved inside the schema only", pointer
            )
        dialect = schema.get("$schema", DIALECT)
        name = dialect.removesuffix("#") if isinstance(dialect, str) else ""
        if name not in (DIALECT, *EARLIER):
            raise SchemaError(
                f"The schema is written for {str(dialect)[:100]!r}. Drafts 6 to 2020-12 are known here: "
                f"rewrite it for {DIALECT}, or leave $schema out if it means the same there",
                f"{pointer}/$schema",
            )
        self.is_earlier = self.is_earlier or name != DIALECT
        for keyword in _GONE.keys() & schema.keys() if self.is_earlier else ():
            raise SchemaError(f"{keyword} is not in draft 2020-12: write {_GONE[keyword]}", f"{pointer}/{keyword}")

    def _parts(self, schema: Mapping[str, Any], pointer: str) -> dict[str, Any]:
        """Return the nodes of all direct subschemas by keyword: a node, a list or a dict of nodes."""
        parts: dict[str, Any] = {}
        for keyword, value in schema.items():
            here = f"{pointer}/{keyword}"
            if keyword in _SINGLE:
                parts[keyword] = self.node(value, here)
            elif keyword in _MANY:
                parts[keyword] = [self.node(inner, f"{here}/{index}") for index, inner in enumerate(value)]
            elif keyword in _NAMED:
                parts[keyword] = {name: self.node(inner, f"{here}/{_escaped(name)}") for name, inner in value.items()}
        return parts

    def _references(self, schema: Mapping[str, Any], pointer: str) -> Iterator[Keyword]:
        # With one document and no $id, a dynamic reference has the same target as a plain one.
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in schema:
                reference = schema[keyword]
                if not reference.startswith("#"):
                    raise SchemaError(
                        f"The schema refers to {reference[:100]!r}. Only references inside it are allowed (#/…)",
                        f"{pointer}/{keyword}",
                    )
                into: list[Node] = []
                self.pending.append((into, reference, f"{pointer}/{keyword}"))
                yield combine.AllOf(into)

    def _target(self, reference: str, pointer: str) -> Node:
        fragment = unquote(reference[1:])
        if fragment and not fragment.startswith("/"):
            if fragment not in self.anchors:
                raise _dangling(reference, pointer)
            return self.anchors[fragment]
        schema: Any = self.root
        words = fragment.split("/")[1:]
        for word in words:
            name = word.replace("~1", "/").replace("~0", "~")
            if isinstance(schema, dict) and name in schema:
                schema = schema[name]
            elif isinstance(schema, list) and name.isdecimal() and len(name) < 6 and int(name) < len(schema):
                schema = schema[int(name)]
            else:
                raise _dangling(reference, pointer)
        return self.node(schema, fragment)

    def _pattern(self, text: str, pointer: str) -> Pattern:
        self.patterns.add(text)
        if len(self.patterns) > PATTERNS_LIMIT:
            raise SchemaError(f"The schema has more than {PATTERNS_LIMIT} different patterns. Make it simpler.")
        try:
            return compiled_pattern(text)
        except SchemaError as error:
            raise SchemaError(error.message, pointer) from None

    def _applied(self, schema: Mapping[str, Any], parts: Mapping[str, Any], node: Node) -> Iterator[Keyword]:
        for keyword, kind in (("allOf", combine.AllOf), ("anyOf", combine.AnyOf), ("oneOf", combine.OneOf)):
            if keyword in parts:
                yield kind(parts[keyword])
        if "not" in parts:
            yield combine.Not([parts["not"]])
        if "if" in parts:
            yield combine.If(parts["if"], parts.get("then"), parts.get("else"))
        if "dependentSchemas" in parts:
            yield combine.DependentSchemas(parts["dependentSchemas"])
        yield from self._of_objects(parts)
        yield from _of_arrays(schema, parts)
        if "unevaluatedProperties" in parts:
            self.has_unevaluated = True
            yield apply.Unevaluated(dict, parts["unevaluatedProperties"], node)
        if "unevaluatedItems" in parts:
            self.has_unevaluated = True
            yield apply.Unevaluated(list, parts["unevaluatedItems"], node)

    def _of_objects(self, parts: Mapping[str, Any]) -> Iterator[Keyword]:
        named = [
            (self._pattern(text, "/patternProperties"), inner)
            for text, inner in parts.get("patternProperties", {}).items()
        ]
        if "properties" in parts:
            yield apply.Properties(parts["properties"])
        if named:
            yield apply.PatternProperties(named)
        if "additionalProperties" in parts:
            patterns = [pattern for pattern, _inner in named]
            yield apply.AdditionalProperties(parts["additionalProperties"], parts.get("properties", {}), patterns)
        if "propertyNames" in parts:
            yield apply.PropertyNames(parts["propertyNames"])

    def _refuse_loops(self) -> None:
        """Raise for a schema that applies itself to the same value: it would recurse forever."""
        done: set[int] = set()
        open_nodes: set[int] = set()
        for start in self.nodes.values():
            stack: list[tuple[Node, Iterator[Node]]] = []
            following: Node | None = start
            while following is not None or stack:
                if following is not None and id(following) in open_nodes:
                    raise SchemaError("The schema refers to itself without end.")
                if following is not None and id(following) not in done:
                    open_nodes.add(id(following))
                    stack.append((following, _children(following)))
                if not stack:
                    break
                following = next(stack[-1][1], None)
                if following is None:
                    finished, _rest = stack.pop()
                    open_nodes.discard(id(finished))
                    done.add(id(finished))


def _children(node: Node) -> Iterator[Node]:
    for keyword in node.keywords:
        yield from keyword.children()


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _dangling(reference: str, pointer: str) -> SchemaError:
    return SchemaError(f"The schema refers to something that it does not hold: {reference[:100]}", pointer)


def _of_arrays(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[Keyword]:
    prefix = parts.get("prefixItems", [])
    if prefix:
        yield apply.PrefixItems(prefix)
    if "items" in parts:
        yield apply.Items(parts["items"], len(prefix))
    if "contains" in parts:
        most = schema.get("maxContains")
        yield apply.Contains(parts["contains"], int(schema.get("minContains", 1)), None if most is None else int(most))


_NUMBERS: Final[Iterable[tuple[str, Callable[[Any, Any], bool], str]]] = (
    ("minimum", operator.ge, "less than the minimum of"),
    ("maximum", operator.le, "greater than the maximum of"),
    ("exclusiveMinimum", operator.gt, "less than or equal to the minimum of"),
    ("exclusiveMaximum", operator.lt, "greater than or equal to the maximum of"),
)
_SIZES: Final[Iterable[tuple[str, type[Sized], Callable[[int, int], bool], str]]] = (
    ("minLength", str, operator.ge, "is too short"),
    ("maxLength", str, operator.le, "is too long"),
    ("minItems", list, operator.ge, "has too few items"),
    ("maxItems", list, operator.le, "has too many items"),
    ("minProperties", dict, operator.ge, "does not have enough properties"),
    ("maxProperties", dict, operator.le, "has too many properties"),
)


def _assertions(schema: Mapping[str, Any], pattern: Callable[[str, str], Pattern], pointer: str) -> Iterator[Keyword]:
    if "type" in schema:
        names = schema["type"]
        yield check.Type(names if isinstance(names, list) else [names])
    if "enum" in schema:
        yield check.Enum(schema["enum"])
    if "const" in schema:
        yield check.Enum([schema["const"]], is_const=True)
    yield from _bounds(schema)
    if "multipleOf" in schema:
        yield check.MultipleOf(schema["multipleOf"])
    if "pattern" in schema:
        yield check.MatchesPattern(pattern(schema["pattern"], f"{pointer}/pattern"))
    if schema.get("uniqueItems"):
        yield check.UniqueItems()
    if schema.get("required"):
        yield check.Required(schema["required"])
    if schema.get("dependentRequired"):
        yield check.DependentRequired(schema["dependentRequired"])


def _bounds(schema: Mapping[str, Any]) -> Iterator[Keyword]:
    for keyword, holds, words in _NUMBERS:
        if keyword in schema:
            yield check.NumberBound(holds, schema[keyword], words)
    for keyword, kind, fits, words in _SIZES:
        if keyword in schema:
            yield check.SizeBound(kind, fits, int(schema[keyword]), words)
