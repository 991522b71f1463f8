"""Tables as they stand in a database: rows in values that mean the same in both kinds, and their checksum.

Model fields are not asked to convert: an encrypted value is copied as it is, without the keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db.models import Field
from django.db.models.expressions import Col

#: Rows that are read or written at a time.
BATCH = 500
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A table and its columns, each with the field that holds its values."""

    name: str
    columns: tuple[str, ...]
    fields: tuple[Any, ...]
    #: The column whose ids the database gives out; "" if there is none.
    id_column: str

    @property
    def _names(self) -> str:
        return ", ".join(f'"{column}"' for column in self.columns)

    def count(self, connection: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT COUNT(*) FROM "{self.name}"')
            return int(cursor.fetchone()[0])

    def clear(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f'DELETE FROM "{self.name}"')

    def batches(self, connection: Any) -> Iterator[list[Row]]:
        """All rows; values are of Python's types, times aware, JSON as text."""
        readers = [_reader(connection, of) for of in self.fields]
        with connection.chunked_cursor() as cursor:
            cursor.execute(f'SELECT {self._names} FROM "{self.name}"')
            while rows := cursor.fetchmany(BATCH):
                yield [tuple(read(value) for read, value in zip(readers, row, strict=True)) for row in rows]

    def insert(self, connection: Any, rows: list[Row]) -> None:
        writers = [_writer(connection, of) for of in self.fields]
        marks = ", ".join(["%s"] * len(self.columns))
        with connection.cursor() as cursor:
            cursor.executemany(
                f'INSERT INTO "{self.name}" ({self._names}) VALUES ({marks})',
                [
                    tuple(None if value is None else write(value) for write, value in zip(writers, row, strict=True))
                    for row in rows
                ],
            )


@dataclass
class Checksum:
    """Of rows in any order: databases sort text differently."""

    table: Table
    rows: int = 0
    _total: int = field(default=0, repr=False)

    def add(self, rows: list[Row]) -> None:
        kinds = [of.get_internal_type() for of in self.table.fields]
        for row in rows:
            text = repr([_canonical(kind, value) for kind, value in zip(kinds, row, strict=True)])
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
            self._total = (self._total + int.from_bytes(digest, "big")) % 2**256
        self.rows += len(rows)

    @property
    def digest(self) -> str:
        return f"{self._total:064x}"


def all_tables() -> list[Table]:
    """Every table that holds data, also those of many-to-many relations and of the libraries, by name."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        options = model._meta
        if options.proxy or not options.managed:
            continue
        columns = options.concrete_fields
        is_given_out = options.pk.get_internal_type() in ("AutoField", "BigAutoField")
        found[options.db_table] = Table(
            options.db_table,
            tuple(str(of.column) for of in columns),
            tuple(_value_field(of) for of in columns),
            str(options.pk.column) if is_given_out else "",
        )
    return [found[name] for name in sorted(found)]


def _value_field(of: Any) -> Field[Any, Any]:
    """A foreign key holds what its target holds."""
    while of.remote_field is not None:
        of = of.target_field
    return of  # type: ignore[no-any-return]


def _reader(connection: Any, of: Any) -> Callable[[Any], Any]:
    column = Col("", of)
    converters = connection.ops.get_db_converters(column)
    is_binary = of.get_internal_type() == "BinaryField"

    def read(value: Any) -> Any:
        for convert in converters:
            value = convert(value, column, connection)
        return bytes(value) if is_binary and value is not None else value

    return read


def _writer(connection: Any, of: Any) -> Callable[[Any], Any]:
    kind = of.get_internal_type()
    adapters: dict[str, Callable[[Any], Any]] = {
        "DateTimeField": connection.ops.adapt_datetimefield_value,
        "DateField": connection.ops.adapt_datefield_value,
        "TimeField": connection.ops.adapt_timefield_value,
    }
    if kind == "UUIDField" and not connection.features.has_native_uuid_field:
        return lambda value: value.hex
    return adapters.get(kind, lambda value: value)


def _canonical(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "DateTimeField":
        return value.timestamp(), value.microsecond
    if kind == "JSONField":  # jsonb keeps neither the order of keys nor how a number was written
        return json.dumps(_plain(json.loads(value)), sort_keys=True)
    return value


def _plain(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _plain(value) for key, value in document.items()}
    if isinstance(document, list):
        return [_plain(value) for value in document]
    if isinstance(document, float) and document.is_integer():
        return int(document)
    return document
