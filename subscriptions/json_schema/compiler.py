"""Compiles a JSON Schema to nodes. Shape, references and limits are checked here, before any data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from django.utils.translation import gettext as _

from integrations.foundation.languages import gettext_noop
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
    "additionalItems": gettext_noop("items beside prefixItems"),
    "dependencies": gettext_noop("dependentRequired or dependentSchemas"),
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
            raise SchemaError(
                _("The schema has more than %(limit)s schemas in it. Make it simpler.")
                % {"limit": f"{SUBSCHEMAS_LIMIT:,}"}
            )
        if pointer.count("/") > 2 * DEPTH_LIMIT:
            raise SchemaError(_("The schema is nested too deeply."), pointer[:100])
        node = self.nodes[pointer] = Node()
        if isinstance(schema, bool):
            node.is_never = not schema
            return node
        if not isinstance(schema, dict):
            raise SchemaError(_("A schema is an object, true or false."), pointer)
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
                raise SchemaError(
                    _("This is not a JSON Schema: %(keyword)s must be %(expected)s")
                    % {"keyword": keyword, "expected": expected},
                    f"{pointer}/{keyword}",
                )
        if "$id" in schema:
            raise SchemaError(
                _("The schema has an $id. Leave it out: references are resolved inside the schema only"), pointer
            )
        dialect = schema.get("$schema", DIALECT)
        name = dialect.removesuffix("#") if isinstance(dialect, str) else ""
        if name not in (DIALECT, *EARLIER):
            raise SchemaError(
                _(
                    "The schema is written for %(dialect)r. Drafts 6 to 2020-12 are known here: rewrite "
                    "it for %(known)s, or leave $schema out if it means the same there"
                )
                % {"dialect": str(dialect)[:100], "known": DIALECT},
                f"{pointer}/$schema",
            )
        self.is_earlier = self.is_earlier or name != DIALECT
        for keyword in _GONE.keys() & schema.keys() if self.is_earlier else ():
            raise SchemaError(
                _("%(keyword)s is not in draft 2020-12: write %(instead)s")
                % {"keyword": keyword, "instead": _(_GONE[keyword])},
                f"{pointer}/{keyword}",
            )

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
                        _("The schema refers to %(reference)r. Only references inside it are allowed (#/…)")
                        % {"reference": reference[:100]},
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
            raise SchemaError(
                _("The schema has more than %(limit)s different patterns. Make it simpler.") % {"limit": PATTERNS_LIMIT}
            )
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
                    raise SchemaError(_("The schema refers to itself without end."))
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
    return SchemaError(
        _("The schema refers to something that it does not hold: %(reference)s") % {"reference": reference[:100]},
        pointer,
    )


def _of_arrays(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[Keyword]:
    prefix = parts.get("prefixItems", [])
    if prefix:
        yield apply.PrefixItems(prefix)
    if "items" in parts:
        yield apply.Items(parts["items"], len(prefix))
    if "contains" in parts:
        most = schema.get("maxContains")
        yield apply.Contains(parts["contains"], int(schema.get("minContains", 1)), None if most is None else int(most))


def _assertions(schema: Mapping[str, Any], pattern: Callable[[str, str], Pattern], pointer: str) -> Iterator[Keyword]:
    if "type" in schema:
        names = schema["type"]
        yield check.Type(names if isinstance(names, list) else [names])
    if "enum" in schema:
        yield check.Enum(schema["enum"])
    if "const" in schema:
        yield check.Enum([schema["const"]], is_const=True)
    yield from check.bounds(schema)
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
