"""A scratch installation: database, settings, and the product's processes run against it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tests.benchmarks.programs import BUILD, ROOT

SERVER_URL = os.environ.get("TEST_POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres")
_serial = itertools.count(1)
_templates: dict[str, str] = {}


def has_postgresql() -> bool:
    try:
        _server("SELECT 1")
    except Exception:
        return False
    return True


def _server(statement: str) -> None:
    import psycopg

    with psycopg.connect(SERVER_URL, autocommit=True, connect_timeout=5) as connection:
        connection.execute(statement)


def _url_of(database: str) -> str:
    return urlunsplit(urlsplit(SERVER_URL)._replace(path=f"/{database}"))


@dataclass(slots=True)
class Plot:
    """What `seed` made: the store, its token, and integrations whose ids are consecutive."""

    store: str
    token: str
    first_integration: int
    destinations: int
    max_in_flight: int = 512

    def subscription(self, number: int) -> str:
        return subscription_id(number)


def subscription_id(number: int) -> str:
    """Of the destination `number`, counted from 0."""
    return f"01900000-0000-7000-8000-{number:012x}"


@dataclass(slots=True)
class Installation:
    """`vendor` is postgresql or sqlite."""

    vendor: str
    url: str
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    _connection: Any = None

    @property
    def environment(self) -> dict[str, str]:
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
        return {
            **inherited,
            "ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": self.url,
            "SECRET_KEY": "a-secret-key-for-benchmarks-that-is-long-enough-for-checks",
            "ENCRYPTION_KEYS": "a-passphrase-for-benchmarks",
            "OUTBOUND_ALLOW": "127.0.0.0/8,::1/128",
            "RETRY_JITTER": "0",
            "LOG_LEVEL": "WARNING",
            "HOOKDESK_HOST": f"bench-{self.folder.name}",
            **self.variables,
        }

    def start(self, *command: str, log: str = "log", **variables: str) -> subprocess.Popen[bytes]:
        """A process of the product, leading a process group of its own; its output goes to a file."""
        with (self.folder / log).open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**self.environment, **variables},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def run(self, *command: str, text: str = "", **variables: str) -> str:
        """What a process of the product printed. Raises RuntimeError with its last words if it failed."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**self.environment, **variables},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def last_words(self, log: str = "log") -> str:
        with suppress(OSError):
            return (self.folder / log).read_text(errors="replace")[-3000:]
        return ""

    # --- the database, past the product ------------------------------------------------------------------

    @property
    def connection(self) -> Any:
        """Autocommit; psycopg's or sqlite3's, which agree in `execute`."""
        if self._connection is None:
            if self.vendor == "postgresql":
                import psycopg

                self._connection = psycopg.connect(self.url, autocommit=True)
            else:
                path = self.url.removeprefix("sqlite:///")
                self._connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        return self._connection

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        return self.connection.execute(query).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def wait_for(self, query: str, value: Any, *, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.value(query) != value:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def seed(self, destinations: Sequence[dict[str, Any]]) -> Plot:
        """Make a store with a token, and one integration and subscription per destination."""
        made = json.loads(self.run("-m", "tests.benchmarks.seed", text=json.dumps(destinations)))
        return Plot(made["store"], made["token"], made["first_integration"], len(destinations))


@contextmanager
def scratch(vendor: str, **variables: str) -> Iterator[Installation]:
    """A migrated installation that is gone afterwards."""
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{vendor}-", dir=BUILD))
    name = f"hookdesk_bench_{os.getpid()}_{next(_serial)}"
    is_postgresql = vendor == "postgresql"
    url = _url_of(name) if is_postgresql else f"sqlite:///{folder / 'scratch.sqlite3'}"
    installation = Installation(vendor, url, folder, dict(variables))
    try:
        if is_postgresql:
            _server(f"CREATE DATABASE {name} TEMPLATE {_postgresql_template()}")
        else:
            shutil.copy(_sqlite_template(), folder / "scratch.sqlite3")
        yield installation
    finally:
        installation.close()
        if is_postgresql:
            _server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        shutil.rmtree(folder, ignore_errors=True)


def _migrate(url: str) -> None:
    vendor = "postgresql" if url.startswith("postgres") else "sqlite"
    Installation(vendor, url, BUILD).run("manage.py", "migrate", "--verbosity", "0")


def _postgresql_template() -> str:
    """A migrated database to copy from: migrating takes seconds, copying a moment."""
    if "postgresql" not in _templates:
        name = f"hookdesk_bench_{os.getpid()}_template"
        _server(f"CREATE DATABASE {name}")
        _templates["postgresql"] = name
        _migrate(_url_of(name))
    return _templates["postgresql"]


def _sqlite_template() -> str:
    if "sqlite" not in _templates:
        path = BUILD / f"template-{os.getpid()}.sqlite3"
        _templates["sqlite"] = str(path)
        _migrate(f"sqlite:///{path}")
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    return _templates["sqlite"]


def remove_templates() -> None:
    if name := _templates.pop("postgresql", None):
        _server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    if path := _templates.pop("sqlite", None):
        for end in ("", "-wal", "-shm"):
            Path(path + end).unlink(missing_ok=True)
