"""Installations to break: SQLite with the database's own task queue, and PostgreSQL with Redis."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.installation import Installation
from tests.faults.servers import PrivatePostgresql, PrivateRedis
from tests.receiver import Receiver, answer

KINDS = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hookdesk-faults-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql(workshop: Path) -> Iterator[PrivatePostgresql]:
    if why := PrivatePostgresql.trouble():
        pytest.skip(f"no PostgreSQL of our own: {why}")
    server = PrivatePostgresql(workshop)
    server.make()
    server.start()
    yield server
    server.stop("immediate")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    if why := PrivateRedis.trouble():
        pytest.skip(f"no Redis of our own: {why}")
    server = PrivateRedis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def template(workshop: Path) -> Callable[[str], str]:
    """The URL of a migrated database to copy from, by kind."""
    made: dict[str, str] = {}

    def find(kind: str, server: PrivatePostgresql | None = None) -> str:
        if kind not in made:
            made[kind] = f"sqlite:///{workshop / 'template.sqlite3'}"
            if server is not None:
                server.execute("CREATE DATABASE template")
                made[kind] = f"{server.url}/template"
            Installation(kind, made[kind], workshop).run("manage.py", "migrate", "--verbosity", "0")
        return made[kind]

    return find


@pytest.fixture
def make_installation(
    request: pytest.FixtureRequest, tmp_path: Path, template: Callable[..., str]
) -> Iterator[Callable[[str], Installation]]:
    made: list[Installation] = []

    def make(kind: str) -> Installation:
        if kind == "sqlite":
            source = Path(template("sqlite").removeprefix("sqlite:///"))
            shutil.copy(source, tmp_path / "hookdesk.sqlite3")
            installation = Installation(kind, f"sqlite:///{tmp_path / 'hookdesk.sqlite3'}", tmp_path)
        else:
            server: PrivatePostgresql = request.getfixturevalue("postgresql")
            broker: PrivateRedis = request.getfixturevalue("redis")
            template("postgresql", server)
            server.execute("DROP DATABASE IF EXISTS hookdesk WITH (FORCE)")
            server.execute("CREATE DATABASE hookdesk TEMPLATE template")
            installation = Installation(kind, f"{server.url}/hookdesk", tmp_path, broker.url)
        made.append(installation)
        installation.make_store()
        return installation

    yield make
    for installation in made:
        installation.close()


@pytest.fixture(params=KINDS)
def installation(request: pytest.FixtureRequest, make_installation: Callable[[str], Installation]) -> Installation:
    return make_installation(request.param)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def receiver(ledger: Path) -> Iterator[Receiver]:
    """Answers 200, after it has written down what it got."""
    with Receiver(ledger_file=ledger) as server:
        server.script(answer(200))
        yield server
