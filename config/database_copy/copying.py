"""The copy: one transaction in each database, all or nothing; what was written is read again and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import environ
from django.db import DatabaseError, DataError, IntegrityError, connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionHandler

from config.database_copy.tables import Checksum, Table, all_tables
from deliveries.storage.bulk_load import consistent_snapshot, continue_ids, disabled_triggers, last_id
from deliveries.storage.text_index import is_of_text_index

SOURCE, TARGET = "default", "copy_target"
#: What only a version before writes while both run during an upgrade; nothing reads it.
_UNUSED = frozenset({"deliveries_statslot"})
#: What migrations fill by themselves; it is replaced by the source's.
_SEEDED = {
    "auth_group", "auth_group_permissions", "auth_permission", "django_content_type", "integrations_configclock",
}  # fmt: skip
#: Schemes of URLs, with what their connections need besides.
_POSTGRES: dict[str, Any] = {"connect_timeout": 5}
_EXTRA: dict[str, dict[str, Any]] = {
    "postgres": _POSTGRES, "postgresql": _POSTGRES, "sqlite": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
}  # fmt: skip


class CopyError(Exception):
    """The copy is not possible, or was not exact: a sentence that says what to do. The target is as it was before."""


@dataclass(frozen=True)
class TableReport:
    """A table that is the same in both databases. `checksum`: SHA-256 over its rows, in any order."""

    table: str
    rows: int
    checksum: str


def open_target(url: str) -> Any:
    """The connection to the database at `url`. Raises CopyError if that is no URL, or nobody answers there."""
    kind = url.partition(":")[0]
    if kind not in _EXTRA:
        raise CopyError("--to must begin with postgres:// or sqlite:///.")
    try:
        configuration: dict[str, Any] = environ.Env.db_url_config(url)
    except Exception as error:  # whatever is wrong with it
        raise CopyError(f"--to is not the URL of a database: {error}") from error
    extra = _EXTRA[kind]
    configuration["OPTIONS"] = {**extra, **configuration.get("OPTIONS", {})}
    connections.settings[TARGET] = ConnectionHandler({"default": configuration}).settings["default"]
    target = connections[TARGET]
    try:
        target.ensure_connection()
    except DatabaseError as error:
        raise CopyError(f"The target does not answer: {str(error).strip()}") from error
    return target


def copy_database(target: Any) -> list[TableReport]:
    """Copy all of the default database into `target`, which is empty and migrated by this version.

    Returns one report for each table. Raises CopyError; the target is then unchanged.
    """
    source, tables = connections[SOURCE], all_tables()
    _refuse_other_schema(source, target)
    with transaction.atomic(SOURCE), consistent_snapshot(source), transaction.atomic(TARGET):
        _refuse_data(target, tables)
        _refuse_unknown_tables(source, tables)
        with disabled_triggers(target, [table.name for table in tables]):
            for table in tables:
                table.clear(target)
            sums = [_copy(source, target, table) for table in tables]
        return [_verify(target, checksum) for checksum in sums]


def _copy(source: Any, target: Any, table: Table) -> Checksum:
    checksum = Checksum(table)
    for rows in table.batches(source):
        checksum.add(rows)
        try:
            table.insert(target, rows)
        except (DataError, IntegrityError, ValueError) as error:
            raise CopyError(f"A row of {table.name} cannot be stored in the target: {str(error).strip()}") from error
    if table.id_column:
        continue_ids(target, table.name, table.id_column, last_id(source, table.name, table.id_column))
    return checksum


def _verify(target: Any, expected: Checksum) -> TableReport:
    found = Checksum(expected.table)
    for rows in expected.table.batches(target):
        found.add(rows)
    name = expected.table.name
    if found.rows != expected.rows:
        raise CopyError(f"{name}: {expected.rows} rows were copied, but {found.rows} arrived. Nothing was kept.")
    if found.digest != expected.digest:
        raise CopyError(f"{name}: the rows that arrived are not those that were copied. Nothing was kept.")
    return TableReport(name, expected.rows, expected.digest)


def _refuse_other_schema(source: Any, target: Any) -> None:
    ours, theirs = (set(MigrationRecorder(database).applied_migrations()) for database in (source, target))
    if not theirs:
        raise CopyError("The target has no tables yet. Run: DATABASE_URL=<the target's URL> manage.py migrate")
    if ours != theirs:
        app, name = sorted(ours ^ theirs)[0]
        raise CopyError(
            f"The two databases are not of the same version: {app}.{name} is applied in only one of them."
            " Run `manage.py migrate` on both with this version."
        )


def _refuse_data(target: Any, tables: list[Table]) -> None:
    for table in tables:
        if table.name not in _SEEDED and (count := table.count(target)):
            raise CopyError(f"The target is not empty: {table.name} has {count} row(s). Copy into a fresh database.")


def _refuse_unknown_tables(source: Any, tables: list[Table]) -> None:
    known = {table.name for table in tables} | {"django_migrations", *_UNUSED}
    with source.cursor() as cursor:
        names = set(source.introspection.table_names(cursor)) - known
        unknown = sorted(name for name in names if not is_of_text_index(name))
    if unknown:
        raise CopyError(f"Tables that Hookdesk does not know would be left behind: {', '.join(unknown)}.")
