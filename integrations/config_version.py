"""Database triggers that bump the `ConfigVersion`: SQL for PostgreSQL and SQLite, used by migrations.

In the database and not in `save()`, because a bulk update, a cascade or SQL in a database shell
changes the configuration as well, and caches in other processes must notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import migrations

_TICK = (
    "INSERT INTO integrations_configclock (id, version) VALUES (1, 1)"
    " ON CONFLICT (id) DO UPDATE SET version = integrations_configclock.version + 1"
)
_STAMP = (
    "UPDATE integrations_store SET config_version = (SELECT version FROM integrations_configclock WHERE id = 1)"
    " WHERE id = {store}"
)


def clock_triggers(table: str, columns: Sequence[str], store: str = "{row}.store_id") -> migrations.RunPython:
    """A migration operation: any insert, delete, or update of `columns` in `table` bumps its store's version.

    `store` is an SQL expression for the store's id; `{row}` stands for NEW or OLD.
    """

    def create(apps: Any, schema_editor: Any) -> None:
        for event, row in (("INSERT", "NEW"), ("DELETE", "OLD"), (f"UPDATE OF {', '.join(columns)}", "NEW")):
            name = f"config_clock_{table}_{event.split()[0].lower()}"
            body = f"{_TICK}; {_STAMP.format(store=store.format(row=row))};"
            for statement in _create(schema_editor.connection.vendor, table, event, name, body):
                schema_editor.execute(statement)

    def drop(apps: Any, schema_editor: Any) -> None:
        for event in ("insert", "delete", "update"):
            name = f"config_clock_{table}_{event}"
            if schema_editor.connection.vendor == "postgresql":
                schema_editor.execute(f"DROP FUNCTION IF EXISTS {name}() CASCADE")
            else:
                schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")

    return migrations.RunPython(create, drop)


def clock_triggers_again(table: str, columns: Sequence[str], store: str = "{row}.store_id") -> migrations.RunPython:
    """A migration operation, after one for which SQLite makes the table anew and so loses its triggers."""
    made = clock_triggers(table, columns, store)

    def again(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "sqlite":
            assert made.reverse_code is not None
            made.reverse_code(apps, schema_editor)
            made.code(apps, schema_editor)

    return migrations.RunPython(again, again)


def clock_first(table: str, columns: Sequence[str]) -> migrations.RunPython:
    """A migration operation: what bumps the version (see `clock_triggers`, same `columns`) locks it before any row.

    Services hold the version's lock anyway; this is for a bulk update, a form of the admin or SQL in a database
    shell. SQLite has one writer at a time and needs none of it. A trigger that is there stays: the migrations that
    make those of `subscriptions` were others once.
    """
    name = f"config_clock_{table}_first"

    def create(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_trigger WHERE tgname = %s AND tgrelid = %s::regclass", [name, table])
            if cursor.fetchone() is not None:
                return
        schema_editor.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " PERFORM 1 FROM integrations_configclock WHERE id = 1 FOR NO KEY UPDATE; RETURN NULL; END $$"
        )
        schema_editor.execute(
            f"CREATE TRIGGER {name} BEFORE INSERT OR DELETE OR UPDATE OF {', '.join(columns)} ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )

    def drop(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP FUNCTION IF EXISTS {name}() CASCADE")

    return migrations.RunPython(create, drop)


def _create(vendor: str, table: str, event: str, name: str, body: str) -> list[str]:
    if vendor == "postgresql":
        return [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$",
            f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
        ]
    return [f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW BEGIN {body} END"]
