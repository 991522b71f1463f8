"""Insert rows or increment existing ones, many per statement, with SQL for both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, Model

#: Maximum rows per statement. With about fifteen columns, this is within the parameter limits of both databases.
ROWS_PER_STATEMENT = 500


class Counters:
    """Upserts rows of a model by `unique`, its natural key.

    In an existing row, `added` columns are incremented by the given value, `replaced` ones are set to it, `computed`
    ones are set by SQL (the table's name is the existing row, `excluded` the given one), and all others stay.
    """

    def __init__(
        self,
        model: type[Model],
        *,
        unique: Sequence[str],
        added: Sequence[str],
        replaced: Sequence[str],
        computed: Mapping[str, str],
    ) -> None:
        self._model, self._unique = model, unique
        table = model._meta.db_table
        self._changes = ", ".join(
            [f"{name} = {table}.{name} + excluded.{name}" for name in added]
            + [f"{name} = excluded.{name}" for name in replaced]
            + [f"{name} = {sql}" for name, sql in computed.items()]
        )

    def add(self, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], Any]:
        """Insert or increment rows; return their primary keys by the values of `unique`.

        All rows must have the same columns and different keys. They are locked in the given order.
        """
        return self.add_noting(rows, "false")[0]

    def add_noting(
        self, rows: Sequence[Mapping[str, Any]], condition: str
    ) -> tuple[dict[tuple[Any, ...], Any], set[Any]]:
        """Like `add`, and also return the primary keys of the rows for which `condition` (SQL) is now true."""
        keys: dict[tuple[Any, ...], Any] = {}
        noted: set[Any] = set()
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            for pk, is_noted, key in self._add(rows[start : start + ROWS_PER_STATEMENT], condition):
                keys[key] = pk
                if is_noted:
                    noted.add(pk)
        return keys, noted

    def _add(self, rows: Sequence[Mapping[str, Any]], condition: str) -> list[tuple[Any, bool, tuple[Any, ...]]]:
        fields = {name: self._field(name) for name in rows[0]}
        marks = f"({', '.join(['%s'] * len(fields))})"
        returned = [self._model._meta.pk, *(self._field(name) for name in self._unique)]
        statement = (
            f"INSERT INTO {self._model._meta.db_table} ({', '.join(fields)}) VALUES {', '.join([marks] * len(rows))}"
            f" ON CONFLICT ({', '.join(self._unique)}) DO UPDATE SET {self._changes}"
            f" RETURNING {', '.join(str(field.column) for field in returned)}, {condition}"
        )
        values = [field.get_db_prep_save(row[name], connection) for row in rows for name, field in fields.items()]
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            found = []
            for *values, is_noted in cursor.fetchall():
                pk, *key = (field.to_python(value) for field, value in zip(returned, values, strict=True))
                found.append((pk, bool(is_noted), tuple(key)))
        return found

    def _field(self, column: str) -> Field[Any, Any]:
        return next(field for field in self._model._meta.concrete_fields if field.column == column)
