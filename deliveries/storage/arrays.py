"""Values of many rows for one statement: arrays for PostgreSQL, plain rows for SQLite.

Arrays are sent in PostgreSQL's binary format. As text, psycopg would write them element by element in Python and
PostgreSQL would parse them character by character, which costs more than the statement itself. The format is that of
`array_send` in PostgreSQL's `arrayfuncs.c`: number of dimensions, whether there are NULLs, element type, length, first
index; then each element, prefixed by its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Any
from uuid import UUID

from django.db import connection

#: OIDs of the element types in `pg_type`; these never change.
_BOOL, _BYTEA, _INT8, _INT4, _TEXT, _TIMESTAMPTZ, _UUID = 16, 17, 20, 23, 25, 1184, 2950
_HEAD = Struct("!iiiii").pack
_LENGTH = Struct("!i").pack
_INT4_CELL = Struct("!ii").pack
_INT8_CELL = Struct("!iq").pack
_NULL = _LENGTH(-1)
_UUID_LENGTH = _LENGTH(16)
_TRUE, _FALSE = _LENGTH(1) + b"\1", _LENGTH(1) + b"\0"
#: PostgreSQL counts microseconds from here.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Array(bytes):
    """The value of one array parameter. The statement's cast determines its type."""


def _array(element: int, cells: list[bytes]) -> Array:
    if not cells:
        return Array(_HEAD(0, 0, element, 0, 0)[:12])
    return Array(_HEAD(1, 1, element, len(cells), 1) + b"".join(cells))


def keys_array(values: Iterable[UUID | None]) -> Array:
    """uuid[]"""
    return _array(_UUID, [_NULL if value is None else _UUID_LENGTH + value.bytes for value in values])


def numbers_array(values: Iterable[int | None]) -> Array:
    """int[]"""
    return _array(_INT4, [_NULL if value is None else _INT4_CELL(4, value) for value in values])


def big_numbers_array(values: Iterable[int | None]) -> Array:
    """bigint[]"""
    return _array(_INT8, [_NULL if value is None else _INT8_CELL(8, value) for value in values])


def flags_array(values: Iterable[bool]) -> Array:
    """bool[]"""
    return _array(_BOOL, [_TRUE if value else _FALSE for value in values])


def times_array(values: Iterable[datetime | None]) -> Array:
    """timestamptz[]"""
    return _array(_TIMESTAMPTZ, [_NULL if value is None else _INT8_CELL(8, _microseconds(value)) for value in values])


def texts_array(values: Iterable[str | None]) -> Array:
    """text[]"""
    return bytes_array([None if value is None else value.encode() for value in values], _TEXT)


def bytes_array(values: Iterable[bytes | None], element: int = _BYTEA) -> Array:
    """bytea[]"""
    return _array(element, [_NULL if value is None else _LENGTH(len(value)) + value for value in values])


def key_cells(values: Iterable[UUID | None]) -> list[str | None]:
    return [None if value is None else value.hex for value in values]


def time_cells(values: Iterable[datetime | None]) -> list[str | None]:
    """Times as Django stores them in SQLite. Cached, because most values of a batch are the same."""
    known: dict[datetime | None, str | None] = {}
    for value in (values := list(values)):
        if value not in known:
            known[value] = connection.ops.adapt_datetimefield_value(value)
    return [known[value] for value in values]


@dataclass(frozen=True, slots=True)
class Kind:
    """A column's type. `array`: its array type in PostgreSQL. `as_cells`: None if SQLite takes the values unchanged."""

    array: str
    as_array: Callable[[Iterable[Any]], Array]
    as_cells: Callable[[Iterable[Any]], list[Any]] | None = None


KEY = Kind("uuid[]", keys_array, key_cells)
TIME = Kind("timestamptz[]", times_array, time_cells)
NUMBER, BIG_NUMBER = Kind("int[]", numbers_array), Kind("bigint[]", big_numbers_array)
FLAG = Kind("bool[]", flags_array)
TEXT, BYTES = Kind("text[]", texts_array), Kind("bytea[]", bytes_array)


def as_arrays(kinds: Sequence[Kind], rows: Sequence[Sequence[Any]]) -> list[Array]:
    """Return one array per column. Needs at least one row."""
    return [kind.as_array(column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]


def as_cells(kinds: Sequence[Kind], rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return the same rows with values as SQLite stores them."""
    columns = zip(kinds, zip(*rows, strict=True), strict=True)
    return list(zip(*[kind.as_cells(column) if kind.as_cells else column for kind, column in columns], strict=True))


def _microseconds(value: datetime) -> int:
    passed = value - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def register_array_dumper(connection: Any) -> None:
    """Make this psycopg connection send an `Array` unchanged."""
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class ArrayDumper(Dumper):
        format = Format.BINARY
        oid = 0

        def dump(self, obj: Array) -> Array:
            return obj

    connection.adapters.register_dumper(Array, ArrayDumper)
