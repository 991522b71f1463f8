"""Installations and databases of their own."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.measured import measuring
from tests.migrated import sqlite_copy
from tests.services import POSTGRESQL_URL, own_database

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Site:
    """Hookdesk's commands on one database, in processes of their own."""

    url: str
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            **measuring(),
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "a-secret-key-for-tests-that-is-long-enough-for-the-checks",
            "ENCRYPTION_KEYS": "a-passphrase-for-the-tests",
            "DATABASE_URL": self.url,
            **self.environment,
        }
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def manage(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuses(self, *arguments: str) -> str:
        """What it says on stderr when it exits 1."""
        done = self.run(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self.manage(*arguments, "--json"))

    def python(self, code: str) -> str:
        return self.manage("shell", "-v", "0", "-c", code).strip()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrating takes longest: it is done once, and tests copy the file."""
    file = tmp_path_factory.mktemp("migrated") / "hookdesk.sqlite3"
    if (made := sqlite_copy()).exists():
        shutil.copy(made, file)
    else:
        Site(f"sqlite:///{file}").manage("migrate", "--verbosity", "0")
    return file


@pytest.fixture
def sqlite_site(tmp_path: Path, migrated_file: Path) -> Site:
    """Migrated, with nothing in it."""
    return Site(f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'hookdesk.sqlite3')}")


@pytest.fixture
def empty_copy(tmp_path: Path, migrated_file: Path) -> Site:
    """Another one, to copy into."""
    return Site(f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'target.sqlite3')}")


@contextmanager
def new_database(template: str = "template1") -> Iterator[Site]:
    import psycopg

    name = f"ship_{uuid.uuid4().hex[:12]}"
    server = POSTGRESQL_URL.replace("postgres://", "postgresql://", 1)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield Site(own_database(POSTGRESQL_URL, name))
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def migrated_database() -> Iterator[str]:
    """The name of the database that tests copy."""
    with new_database() as site:
        site.manage("migrate", "--verbosity", "0")
        yield site.url.rpartition("/")[2]


@pytest.fixture
def postgresql_site(migrated_database: str) -> Iterator[Site]:
    """Migrated, with nothing in it."""
    with new_database(migrated_database) as site:
        yield site
