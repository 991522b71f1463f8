"""A new installation for each test."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installation import Installation


@pytest.fixture(scope="session", autouse=True)
def django_db_setup(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """New installations copy the migrated database of the other tests, if there is one: migrating takes four fifths of
    the processor time of a start.
    """
    from django.db import connection

    Installation.migrated = tmp_path_factory.mktemp("migrated") / "hookdesk.sqlite3"
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite" and "django_migrations" in connection.introspection.table_names():
            with closing(sqlite3.connect(Installation.migrated)) as copy:
                connection.connection.backup(copy)
    yield
    Installation.migrated = None


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installed = Installation(tmp_path)
    yield installed
    installed.clean_up()
