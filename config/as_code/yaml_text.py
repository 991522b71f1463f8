"""YAML as configuration files use it: the core schema of YAML 1.2, in which `no` and `12:30` are texts.

PyYAML's own resolvers are those of 1.1. Nothing but mappings, lists, texts, numbers, booleans and null comes out.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

#: Bytes of a file, and values in it after aliases were followed: a few aliases of aliases make billions.
SIZE_LIMIT: Final = 10_000_000
VALUES_LIMIT: Final = 500_000
DEPTH_LIMIT: Final = 100

_PREFIX = "tag:yaml.org,2002:"
_LINE_ENDS: Final = re.compile("[\r\x85\u2028\u2029]")
_RESOLVERS: Final = (
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    ("int", re.compile(r"[-+]?[0-9]{1,400}"), "-+0123456789"),
    ("float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), "-+.0123456789"),
    ("null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("merge", re.compile(r"<<"), "<"),
)


class YamlError(ValueError):
    """The text is no YAML that can be used: a sentence with line and column, or the place."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}


class _Dumper(yaml.SafeDumper):
    """Keeps the resolvers of 1.1 too, so that what other readers would misread is quoted."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def load(text: str) -> Any:
    """Return the document. Raises YamlError."""
    if len(text) > SIZE_LIMIT:
        raise YamlError(f"The file has more than {SIZE_LIMIT:,} characters.")
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        place = (
            f"Line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: "
            if error.problem_mark
            else ""
        )
        raise YamlError(f"{place}{error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(f"This is no YAML: {error}") from None
    except RecursionError:
        raise YamlError(f"The file is nested more than {DEPTH_LIMIT} levels deep.") from None
    _check_size(found)
    return found


def dump(document: Any) -> str:
    """The document as text: keys in their order, texts of several lines as blocks."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag == f"{_PREFIX}merge":
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_PREFIX}str":
            raise _refusal("a key must be a text: quote it", key)
        if key.value in seen:
            raise _refusal(f"the key {key.value!r} stands here twice", key)
        seen.add(key.value)
    loader.flatten_mapping(node)
    return {str(loader.construct_object(key)): loader.construct_object(value, deep=True) for key, value in node.value}


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)))


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    found = float(str(loader.construct_scalar(node)))
    if found in (float("inf"), float("-inf")):
        raise _refusal("this number is too large", node)
    return found


def _unknown(loader: _Loader, node: yaml.Node) -> Any:
    raise _refusal(f"{node.tag.rpartition(':')[2]} is no type that is used here", node)


def _refusal(message: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, message, node.start_mark)


def _text(dumper: _Dumper, value: str) -> Any:
    # Other line ends than \n are taken for that one, unless they are escaped.
    style = '"' if _LINE_ENDS.search(value) else "|" if "\n" in value else None
    return dumper.represent_scalar(f"{_PREFIX}str", value, style=style)


for _name, _pattern, _first in _RESOLVERS:
    _whole = re.compile(rf"(?:{_pattern.pattern})\Z")
    _Loader.add_implicit_resolver(f"{_PREFIX}{_name}", _whole, list(_first))
    _Dumper.add_implicit_resolver(f"{_PREFIX}{_name}", _whole, list(_first))
_Loader.add_constructor(f"{_PREFIX}map", _mapping)
_Loader.add_constructor(f"{_PREFIX}int", _integer)
_Loader.add_constructor(f"{_PREFIX}float", _float)
for _name in ("binary", "timestamp", "omap", "pairs", "set"):
    # Only by an explicit tag, such as !!binary: nothing that JSON cannot say.
    _Loader.add_constructor(f"{_PREFIX}{_name}", _unknown)
_Dumper.add_representer(str, _text)


def _check_size(document: Any) -> None:
    count, waiting = 0, [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > VALUES_LIMIT:
            raise YamlError(f"The file has more than {VALUES_LIMIT:,} values once its aliases are followed.")
        if depth > DEPTH_LIMIT:
            raise YamlError(f"The file is nested more than {DEPTH_LIMIT} levels deep.")
        if isinstance(value, dict):
            waiting.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            waiting.extend((inner, depth + 1) for inner in value)
