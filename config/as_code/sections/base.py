"""What every section of a configuration file has: its fields, and how its entries are read, made, changed, deleted."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from integrations.foundation.audit import Actor
from integrations.models import Store

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an entry. `schema`: the JSON Schema of its value. A secret one is a reference, or empty."""

    name: str
    schema: Mapping[str, Any]
    is_secret: bool = False
    takes_references: bool = False


@dataclass
class Context:
    """One run. `stores`: those that the file names, by name. `deletes`: what the file does not name is deleted."""

    actor: Actor
    deletes: bool = False
    stores: dict[str, Store] = field(default_factory=dict)
    only: str | None = None


@dataclass(slots=True)
class Pair:
    """An entry's values, and the row that they are about; None where it is to be made."""

    values: Values
    row: Any = None


class Section:
    """A subclass for each kind of entry. `key`: the field that says which one is meant, "" where there is none.

    `state` is what the row would look like in a file, with secrets as `SecretText`. `create` and `update` take such
    values, and raise Django's ValidationError by the names of the services, which `field_names` translates.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    key: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    description: ClassVar[str] = ""
    has_store: ClassVar[bool] = True
    is_key_unique: ClassVar[bool] = True
    #: Whether what is not in the file must go before what is new can come.
    deletes_first: ClassVar[bool] = False
    #: Fields that a service resets when another is changed, by that other one: they are given with it.
    reset_by: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Names of services' fields where the file has others.
    field_names: ClassVar[Mapping[str, str]] = {}

    def rows(self, store: Store) -> list[Any]:
        """All of this kind that the store has."""
        raise NotImplementedError

    def is_listed(self, row: Any) -> bool:
        """Whether it is exported, and deleted where the file does not name it."""
        return True

    def state(self, row: Any) -> Values:
        raise NotImplementedError

    def create(self, store: Store, values: Values, context: Context) -> Any:
        raise NotImplementedError

    def update(self, row: Any, values: Values, context: Context) -> Any:
        """Change what is given; the rest stays. Returns the row that took its place, if it was made anew."""
        raise NotImplementedError

    def delete(self, row: Any, context: Context) -> None:
        raise NotImplementedError

    def owner(self, store: str | None, values: Values, context: Context) -> Hashable:
        """Whose entry it is; entries are compared with the rows of the same owner. Raises ValueError."""
        name = store or context.only
        assert name is not None, "document.py has seen to it"
        if name not in context.stores:
            raise ValueError(f"There is no store {name!r}. Name it under stores, so that it is created.")
        return context.stores[name]

    def rows_of(self, owner: Any, context: Context) -> list[Any]:
        return self.rows(owner)

    def owners_to_prune(self, context: Context) -> Iterable[Hashable]:
        return context.stores.values()

    def pair(self, entries: Sequence[Values], rows: Sequence[Any], context: Context) -> list[Pair]:
        """For each entry, in their order, the row that it is about."""
        by_key = {self.identity(self.state(row)): row for row in rows}
        return [Pair(values, by_key.get(self.identity(values))) for values in entries]

    def identity(self, values: Values) -> Any:
        return values[self.key]

    def label(self, state: Values) -> str:
        """How people recognise it."""
        return str(state[self.key])

    def schema(self) -> dict[str, Any]:
        """JSON Schema of one entry."""
        properties: dict[str, Any] = {each.name: dict(each.schema) for each in self.fields}
        if self.has_store:
            properties = {"store": {"type": "string", "description": "The store's name."}, **properties}
        return {"type": "object", "additionalProperties": False, "properties": properties}


def matched(
    entries: list[Pair], rows: list[Any], key_of_entry: Callable[[Values], Any], key_of_row: Callable[[Any], Any]
) -> list[Any]:
    """Give entries without a row the first one with the same key; returns the rows that are left. None is no key."""
    by_key: dict[str, deque[Any]] = defaultdict(deque)
    for row in rows:
        by_key[repr(key_of_row(row))].append(row)
    used = set()
    for pair in entries:
        if pair.row is None and (key := key_of_entry(pair.values)) is not None and by_key[repr(key)]:
            pair.row = by_key[repr(key)].popleft()
            used.add(pair.row.pk)
    return [row for row in rows if row.pk not in used]


def number(value: Any) -> Any:
    """30.0 as 30, as a person writes it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Parts of JSON Schemas.
REFERENCE: Mapping[str, Any] = {
    "description": "Where the value is: an environment variable, or a file.",
    "oneOf": [
        {
            "type": "object",
            "additionalProperties": False,
            "required": [kind],
            "properties": {kind: {"type": "string", "minLength": 1}},
        }
        for kind in ("env", "file")
    ],
}
SECRET: Mapping[str, Any] = {"oneOf": [*REFERENCE["oneOf"], {"type": "null"}, {"const": ""}]}
TEXT: Mapping[str, Any] = {"type": ["string", "null"]}
NAME: Mapping[str, Any] = {"type": "string", "minLength": 1}
BOOLEAN: Mapping[str, Any] = {"type": ["boolean", "null"]}
TEXTS: Mapping[str, Any] = {"type": ["array", "null"], "items": {"type": "string"}}
OBJECT: Mapping[str, Any] = {"type": ["object", "null"]}
TEXT_OR_REFERENCE: Mapping[str, Any] = {"oneOf": [{"type": ["string", "null"]}, *REFERENCE["oneOf"]]}


def described(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


def choice(values: Iterable[str]) -> dict[str, Any]:
    return {"enum": [*values, None]}
