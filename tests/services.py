"""Which services answer on this machine: PostgreSQL, Redis, a browser. Tests that want them are left out elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


def _own_redis(url: str) -> str:
    """Another of the server's sixteen databases for each worker of pytest-xdist: tests empty theirs."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{(int(parts.path.strip('/') or 0) - int(worker)) % 16}"))


POSTGRESQL_URL = os.environ.get("TEST_POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS_URL = _own_redis(os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15"))
BROWSER = Path(os.environ.get("TEST_BROWSER", "/usr/bin/chromium"))


def postgresql_trouble() -> str:
    """Why PostgreSQL cannot be used; empty when it can."""
    try:
        import psycopg

        with psycopg.connect(POSTGRESQL_URL.replace("postgres://", "postgresql://", 1), connect_timeout=3) as server:
            row = server.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    except Exception as error:  # not installed, not running, not let in
        return str(error).strip().splitlines()[0]
    return "" if row and row[0] else "the user may not create databases"


def redis_trouble() -> str:
    """Why Redis cannot be used; empty when it can."""
    try:
        import redis

        redis.Redis.from_url(REDIS_URL, socket_connect_timeout=2, socket_timeout=2).ping()
    except Exception as error:  # not installed, not running, not let in
        return str(error).strip().splitlines()[0]
    return ""


def browser_trouble() -> str:
    """Why no browser can be used; empty when one can."""
    if not BROWSER.is_file():
        return f"there is no {BROWSER}"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError as error:
        return str(error)
    return ""


def own_database(url: str, name: str) -> str:
    """The same server with another database, so that runs beside each other do not share their test databases."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def drop_databases(name: str, workers: int) -> None:
    """What a run that was killed left behind."""
    import psycopg

    address = POSTGRESQL_URL.replace("postgres://", "postgresql://", 1)
    with psycopg.connect(address, autocommit=True, connect_timeout=3) as server:
        for suffix in ["", *(f"_gw{number}" for number in range(workers))]:
            server.execute(f'DROP DATABASE IF EXISTS "test_{name}{suffix}" WITH (FORCE)')
