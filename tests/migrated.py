"""The migrated test database, made once and copied afterwards: migrating takes longer than most folders of tests.

Loaded by `conftest.py`. The copy is named after all that decides what it holds, so that it is never out of date: a file
beside other temporary files (SQLite), or a database beside the test databases (PostgreSQL).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
PREFIX: Final = "hookdesk_migrated_"
#: Databases of other migrations that PostgreSQL keeps, as for other branches.
MOST_KEPT: Final = 10


def fingerprint() -> str:
    """Of the migrations, of what they call, and of the packages that bring their own."""
    digest = hashlib.sha256(sys.version.encode())
    files = [ROOT / "requirements-dev.lock", Path(__file__)]
    for app in ("config", "integrations", "subscriptions", "deliveries", "notifications"):
        files += sorted((ROOT / app).rglob("migrations/*.py"))
        files += [ROOT / app / "models.py", *sorted((ROOT / app).rglob("models/*.py"))]
    files += [*sorted((ROOT / "deliveries" / "storage").rglob("*.py")), ROOT / "config" / "desk" / "roles.py"]
    files += [ROOT / "integrations" / name for name in ("config_version.py", "foundation/new_tables.py")]
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def sqlite_copy() -> Path:
    """Where the copy for SQLite is, once a run of tests on SQLite has made it."""
    return Path(tempfile.gettempdir()) / f"{PREFIX}{fingerprint()}-{os.getuid()}.sqlite3"


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One process at a time makes the copy; the others wait for it."""
    with (Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class OnSqlite:
    """Copies of a file. Test databases are in memory, and there while a connection is open."""

    def __init__(self, connection: Any, _name: str) -> None:
        self.connection = connection
        self.file = sqlite_copy()
        self.kept: sqlite3.Connection | None = None

    def exists(self) -> bool:
        return self.file.exists()

    def provide(self) -> None:
        """Let the test database begin as the copy."""
        create = self.connection.creation._create_test_db

        def create_from_copy(*arguments: Any, **named: Any) -> Any:
            name = create(*arguments, **named)
            address = self.connection.creation._get_test_db_name()
            self.kept = sqlite3.connect(address, uri=True, check_same_thread=False)
            with closing(sqlite3.connect(self.file)) as source:
                source.backup(self.kept)
            return name

        self.connection.creation._create_test_db = create_from_copy

    def keep(self) -> None:
        unfinished = self.file.with_suffix(f".{os.getpid()}")
        with closing(sqlite3.connect(unfinished)) as target:
            self.connection.ensure_connection()
            self.connection.connection.backup(target)
        unfinished.rename(self.file)


class OnPostgresql:
    """Copies of a database, by the server."""

    def __init__(self, connection: Any, name: str) -> None:
        self.connection = connection
        self.name = name

    def exists(self) -> bool:
        with self.connection._nodb_cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.name])
            return cursor.fetchone() is not None

    def provide(self) -> None:
        self.connection.settings_dict["TEST"]["TEMPLATE"] = self.name

    def keep(self) -> None:
        """Of the copies of other migrations, only the latest stay: nobody comes back for the others."""
        original = self.connection.settings_dict["NAME"]
        self.connection.close()
        with self.connection._nodb_cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY oid DESC", [PREFIX])
            for (other,) in cursor.fetchall()[MOST_KEPT:]:
                with suppress(Exception):  # a run of another tree copies it right now
                    cursor.execute(f'DROP DATABASE "{other}"')
            cursor.execute(f'CREATE DATABASE "{self.name}" TEMPLATE "{original}"')


@contextmanager
def copied_database() -> Iterator[None]:
    """While pytest-django makes the test database within: from the copy, or making the copy."""
    from django.db import connection

    name = PREFIX + fingerprint()
    copy: OnSqlite | OnPostgresql = (
        OnSqlite(connection, name) if connection.vendor == "sqlite" else OnPostgresql(connection, name)
    )
    own = connection.settings_dict["NAME"]
    with alone(name):
        is_there = copy.exists()
        if is_there:
            copy.provide()
        yield
        # pytest-django makes no database if no test of the run asks for one.
        if not is_there and connection.settings_dict["NAME"] != own:
            copy.keep()
