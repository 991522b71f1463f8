"""What differs by database when whole tables are loaded: triggers that must rest, and the ids that come next.

Works on any connection, not only the default one: `manage.py copydatabase` loads a second database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from deliveries.storage.text_index import refill_text_index


@contextmanager
def disabled_triggers(connection: Any, tables: Sequence[str]) -> Iterator[None]:
    """Within a transaction: our triggers do not fire, and at the end every foreign key has been checked.

    Raises `django.db.IntegrityError` if a row refers to one that is not there.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')
            yield
            # Also because a table with deferred checks pending cannot be altered.
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
    """At the beginning of a transaction: all that it reads is of one moment. On SQLite nobody can write meanwhile."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    yield


def last_id(connection: Any, table: str, column: str) -> int:
    """The highest id that was ever given out, also to rows that are gone; 0 if none was."""
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
    """The next id will be above `last`, and above the ids that are there."""
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
