"""The trigram index over the text of search documents: pg_trgm on PostgreSQL, FTS5 on SQLite.

Works on any connection, because migrations create the index. On SQLite, triggers keep it in sync with the table.
"""

from __future__ import annotations

from typing import Any, Final

from django.db import DatabaseError, transaction

TABLES: Final = ("deliveries_eventdocument", "deliveries_deliverydocument", "deliveries_recorddocument")
MISSING_ON_POSTGRESQL: Final = (
    "The PostgreSQL extension pg_trgm is not installed, so a search looks only through the latest documents. Run"
    " CREATE EXTENSION pg_trgm in Hookdesk's database as its owner or a superuser, then: manage.py searchindex"
)
MISSING_ON_SQLITE: Final = (
    "This Python's SQLite has no FTS5 with trigrams (3.34 or later), so a search looks only at the latest documents."
    " Use another build of Python, then run: manage.py searchindex"
)


def make_text_index(connection: Any, *, concurrently: bool = True) -> str:
    """Create missing parts of the index. Returns why it failed, or "".

    On PostgreSQL, call outside a transaction, or not `concurrently`, which is for tables that nobody uses yet.
    """
    if connection.vendor == "postgresql":
        return _make_on_postgresql(connection, _how(concurrently))
    return _make_on_sqlite(connection)


def drop_text_index(connection: Any, *, concurrently: bool = True) -> None:
    with connection.cursor() as cursor:
        for table in TABLES:
            if connection.vendor == "postgresql":
                cursor.execute(f"DROP INDEX {_how(concurrently)} IF EXISTS {table}_text")
                continue
            for moment in ("insert", "delete", "update"):
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_{moment}")
            cursor.execute(f"DROP TABLE IF EXISTS {table}_fts")


def _how(concurrently: bool) -> str:
    return "CONCURRENTLY" if concurrently else ""


def _make_on_postgresql(connection: Any, how: str) -> str:
    """Create the extension and the indexes. The extension is trusted: creating it needs only CREATE on the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        if cursor.fetchone() is None:
            try:
                with transaction.atomic(using=connection.alias):
                    cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            except DatabaseError:
                return MISSING_ON_POSTGRESQL
        for table in TABLES:
            cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [f"{table}_text"])
            found = cursor.fetchone()
            if found == (False,):  # an earlier run was interrupted
                cursor.execute(f"DROP INDEX {how} {table}_text")
            if found != (True,):
                cursor.execute(
                    f"CREATE INDEX {how} {table}_text ON {table} USING gin (text gin_trgm_ops)"
                    " WITH (gin_pending_list_limit = 1024)"
                )
    return ""


def _make_on_sqlite(connection: Any) -> str:
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = %s", [f"{table}_fts"])
            is_new = cursor.fetchone() is None
            try:
                # Without positions, which would make it four times as large: longer words are looked up by several
                # trigrams, and candidates are then checked against the text itself.
                cursor.execute(
                    f"CREATE VIRTUAL TABLE IF NOT EXISTS {table}_fts USING fts5(text, content='{table}',"
                    " content_rowid='id', tokenize='trigram', detail=none)"
                )
            except DatabaseError:
                return MISSING_ON_SQLITE
            added = f"INSERT INTO {table}_fts (rowid, text) VALUES (new.id, new.text);"
            taken = f"INSERT INTO {table}_fts ({table}_fts, rowid, text) VALUES ('delete', old.id, old.text);"
            for moment, what in (("insert", added), ("delete", taken), ("update", taken + added)):
                cursor.execute(
                    f"CREATE TRIGGER IF NOT EXISTS {table}_{moment} AFTER {moment} ON {table} BEGIN {what} END"
                )
            if is_new:
                cursor.execute(_rebuild(table))
    return ""


def refill_text_index(connection: Any) -> None:
    """Rebuild the index after rows were loaded without triggers. Not needed on PostgreSQL."""
    if connection.vendor == "postgresql":
        return
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = %s", [f"{table}_fts"])
            if cursor.fetchone():
                cursor.execute(_rebuild(table))


def is_of_text_index(table: str) -> bool:
    """Whether it is one of the tables in which SQLite stores the index."""
    return any(table.startswith(f"{name}_fts") for name in TABLES)


def _rebuild(table: str) -> str:
    return f"INSERT INTO {table}_fts ({table}_fts) VALUES ('rebuild')"
