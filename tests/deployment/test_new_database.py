"""A new database gets its tables from squashed migrations; others go on with those that these replace.

Both ways lead to the same tables, constraints, indexes and triggers, with the same names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.conftest import Site, new_database

pytestmark = pytest.mark.slow

#: Migrates all, or the given app up to a migration, by the migrations that were replaced.
BY_THE_REPLACED = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
executor = MigrationExecutor(connection)
replaced = {{key[0]: one.replaces[-1] for key, one in executor.loader.replacements.items()}}
executor.loader = MigrationLoader(connection, replace_migrations=False)
leaves = [key for key in executor.loader.graph.leaf_nodes() if key[0] not in replaced]
executor.migrate({upto} or [*leaves, *replaced.values()])
"""
#: Of databases that have applied some: what was in use before most were written, and apps whose others lag behind.
PARTS = {
    "the first ones": [
        ("integrations", "0004_store_ticks_the_clock"), ("subscriptions", "0002_config_clock"),
        ("deliveries", "0004_room_to_finish"), ("notifications", "0002_channel_messages"),
    ],
    "one app early": [("integrations", "0004_store_ticks_the_clock")],
    "one app whole": [("deliveries", "0198_words_of_the_desk")],
    "one app whole, another early": [
        ("integrations", "0151_words_of_the_desk"), ("subscriptions", "0101_words"),
    ],
}  # fmt: skip


def by_the_replaced(site: Site, *upto: tuple[str, str]) -> None:
    site.python(BY_THE_REPLACED.format(upto=list(upto)))


def on_sqlite(site: Site) -> set[Any]:
    """Columns in any order: SQLite puts a column that a migration alters at the end."""
    found = set()
    with closing(sqlite3.connect(site.url.removeprefix("sqlite:///"))) as database:
        for kind, name, table, sql in database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"):
            is_plain = kind == "table" and sql.startswith("CREATE TABLE")
            found.add((kind, name, table, frozenset(_lines(sql)) if is_plain else sql))
        found |= set(database.execute("SELECT 'applied', app, name FROM django_migrations"))
        found |= set(database.execute("SELECT 'clock', id, version FROM integrations_configclock"))
    return found


def _lines(sql: str) -> list[str]:
    """Of CREATE TABLE: a column or a constraint each."""
    lines, depth = [""], 0
    for character in sql[sql.index("(") + 1 : sql.rindex(")")]:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            lines.append("")
        else:
            lines[-1] += character
    return [line.strip() for line in lines]


QUERIES = (
    "SELECT table_name, ordinal_position, column_name, data_type, character_maximum_length, is_nullable, column_default,"
    " is_identity, is_generated FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace",
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "SELECT relname, relkind::text, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    "SELECT app, name FROM django_migrations",
    "SELECT id, version FROM integrations_configclock",
)


def on_postgresql(site: Site) -> set[str]:
    import psycopg

    with psycopg.connect(site.url.replace("postgres://", "postgresql://", 1)) as database:
        return {f"{number}: {row}" for number, query in enumerate(QUERIES) for row in database.execute(query)}


@pytest.fixture
def new_file(tmp_path: Path) -> Callable[[str], Site]:
    return lambda name: Site(f"sqlite:///{tmp_path / name}.sqlite3")


def test_both_ways_make_the_same_on_sqlite(new_file: Callable[[str], Site]) -> None:
    site, other = new_file("new"), new_file("old")
    site.manage("migrate", "--verbosity", "0")
    by_the_replaced(other)
    assert on_sqlite(other) == on_sqlite(site)
    assert "No planned" in other.manage("migrate", "--plan")
    for name, upto in PARTS.items():
        part = new_file(name)
        by_the_replaced(part, *upto)
        part.manage("migrate", "--verbosity", "0")
        assert on_sqlite(part) == on_sqlite(site), name


@pytest.mark.postgresql
def test_both_ways_make_the_same_on_postgresql() -> None:
    with new_database() as site, new_database() as other:
        site.manage("migrate", "--verbosity", "0")
        by_the_replaced(other)
        expected = on_postgresql(site)
        assert on_postgresql(other) == expected
        assert "No planned" in other.manage("migrate", "--plan")
    for name, upto in PARTS.items():
        with new_database() as part:
            by_the_replaced(part, *upto)
            part.manage("migrate", "--verbosity", "0")
            assert on_postgresql(part) == expected, name
