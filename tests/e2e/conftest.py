"""A new installation for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Installation
from tests.migrated import sqlite_copy


@pytest.fixture(scope="session", autouse=True)
def django_db_setup(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New installations copy the migrated database of the other tests, if there is one: migrating takes four fifths of
    the processor time of a start.
    """
    Installation.migrated = made if (made := sqlite_copy()).exists() else tmp_path_factory.mktemp("m") / "db.sqlite3"
    yield
    Installation.migrated = None


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installed = Installation(tmp_path)
    yield installed
    installed.clean_up()
