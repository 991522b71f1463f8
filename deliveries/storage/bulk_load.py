"""Bulk loading of whole tables, as far as it differs by database: disabling triggers, setting the next ids.

Works on any connection, not only the default one: `manage.py copydatabase` loads a second database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from deliveries.storage.text_index import refill_text_index


@contextmanager
def disabled_triggers(connection: Any, tables: Sequence[str]) -> Iterator[None]:
    """Disable our triggers within the block, and check all foreign keys at its end. Call inside a transaction.

    Raises `django.db.IntegrityError` if a row refers to a missing one.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')
            yield
            # Checks the foreign keys; besides, a table with pending deferred checks cannot be altered.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for table in tables:
                cursor.execute(f'ALTER TABLE "{table}" ENABLE TRIGGER USER')
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        yield
        connection.check_constraints()
        for _, sql in triggers:
            cursor.execute(sql)
    refill_text_index(connection)


@contextmanager
def consistent_snapshot(connection: Any) -> Iterator[None]:
    """Make the transaction, just begun, read from one snapshot. On SQLite nobody can write in the meantime anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    yield


def last_id(connection: Any, table: str, column: str) -> int:
    """Return the highest id ever assigned, even to deleted rows; 0 if none was."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [f'"{table}"', column])
            (sequence,) = cursor.fetchone()
            cursor.execute(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")
        else:
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def continue_ids(connection: Any, table: str, column: str, last: int) -> None:
    """Make the next id greater than `last` and than all existing ids."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT COALESCE(MAX("{column}"), 0) FROM "{table}"')
        highest = max(last, cursor.fetchone()[0])
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, %s), %s, %s)",
                [f'"{table}"', column, max(highest, 1), highest > 0],
            )
            return
        cursor.execute("UPDATE sqlite_sequence SET seq = %s WHERE name = %s", [highest, table])
        if cursor.rowcount == 0 and highest:
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, highest])
