"""Map row types to SQL: the annotation of each field of a row type is its SQL.

Column lists, placeholders, values and rows are all derived from the annotations, so they cannot diverge. Fields without
such an annotation are not in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from deliveries.storage.arrays import Array, Kind, as_arrays, as_cells

R = TypeVar("R")


def _notes(row_type: type) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Return name, type and metadata of each annotated field, in order."""
    for name, hint in get_type_hints(row_type, include_extras=True).items():
        if get_origin(hint) is Annotated:
            of, *notes = get_args(hint)
            yield name, of, tuple(notes)


class Selected(Generic[R]):
    """Reads rows from a SELECT (or RETURNING) of `columns`. A field: `id: Annotated[UUID, "d.id"]`.

    `spelled`: different SQL for some fields. `converted`: conversions of values, by field name or type. Annotated
    fields must come first in the row type.
    """

    def __init__(
        self,
        row_type: Callable[..., R],
        *,
        converted: Mapping[Any, Callable[[Any], Any]],
        spelled: Mapping[str, str] | None = None,
    ) -> None:
        assert isinstance(row_type, type)
        notes = {name: (of, sql) for name, of, (sql,) in _notes(row_type)}
        unknown = {*(spelled or ())} - {*notes}
        if unknown:
            raise ValueError(f"{row_type.__name__} has no column {', '.join(sorted(unknown))}")
        self._make: Callable[..., R] = row_type
        self._count = len(notes)
        self._conversions: list[tuple[int, Callable[[Any], Any]]] = []
        self.columns = ", ".join({**{name: sql for name, (_, sql) in notes.items()}, **(spelled or {})}.values())
        for index, (name, (of, _)) in enumerate(notes.items()):
            types = [inner for inner in get_args(of) if inner is not type(None)] or [of]
            if convert := converted.get(name) or converted.get(types[0]):
                self._conversions.append((index, convert))

    def read(self, row: Sequence[Any], **given: Any) -> R:
        """Make an object from `row`, which may have further values after the columns. `given`: the other fields."""
        values = list(row)
        del values[self._count :]
        for index, convert in self._conversions:
            values[index] = convert(values[index])
        return self._make(*values, **given)


class Written(Generic[R]):
    """Writes rows. A field: `data_json: Annotated[str, TEXT, "data"]`, with the column's name if it is not the field's.

    `without`: fields to leave out.
    """

    def __init__(self, row_type: type[R], *, without: Iterable[str] = ()) -> None:
        notes = [(name, found) for name, _, found in _notes(row_type) if name not in set(without)]
        self.names = [found[1] if len(found) > 1 else name for name, found in notes]
        self.kinds: list[Kind] = [found[0] for _, found in notes]
        is_whole = issubclass(row_type, tuple) and len(notes) == len(getattr(row_type, "_fields", ()))
        self._values: Callable[[R], Any] | None = None if is_whole else attrgetter(*(name for name, _ in notes))

    @property
    def columns(self) -> str:
        return ", ".join(map(_quoted, self.names))

    @property
    def marks(self) -> str:
        return ", ".join(["%s"] * len(self.names))

    @property
    def unnested(self) -> str:
        """PostgreSQL: SQL that turns `arrays` into rows; give it an alias with `columns`."""
        return f"unnest({', '.join(f'%s::{kind.array}' for kind in self.kinds)})"

    def assigned(self, source: str, *keys: str) -> str:
        """Return `column = source` for all columns but the keys; `{}` in `source` stands for the column."""
        return ", ".join(f"{_quoted(name)} = {source.format(_quoted(name))}" for name in self.names if name not in keys)

    def arrays(self, rows: Sequence[R]) -> list[Array]:
        """PostgreSQL: the values of at least one row."""
        return as_arrays(self.kinds, self._tuples(rows))

    def cells(self, rows: Sequence[R]) -> list[tuple[Any, ...]]:
        """SQLite: the values of each row."""
        return as_cells(self.kinds, self._tuples(rows)) if rows else []

    def _tuples(self, rows: Sequence[R]) -> Sequence[Any]:
        return rows if self._values is None else [self._values(row) for row in rows]


def _quoted(name: str) -> str:
    return f'"{name}"'
