"""How an engine notices that another process has written to SQLite."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import connection, connections
from django.db.utils import ConnectionHandler

from deliveries.storage.sqlite import wakeups
from deliveries.storage.sqlite.wakeups import SqliteWaiter, watch_writes


@pytest.fixture
def database(db: None, tmp_path: Path) -> Iterator[None]:
    """Django's connection leads to a file of the test, where others write too."""
    with other(tmp_path) as opened:
        opened.execute("PRAGMA journal_mode=WAL")
        opened.execute("CREATE TABLE t (a)")
        settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "waited.sqlite3")}
        before = connections["default"]
        connections["default"] = ConnectionHandler({"default": settings})["default"]
        yield
        connections["default"].close()
        connections["default"] = before
    opened.close()


@pytest.fixture(params=["notified by the kernel", "polling"])
def waiter(request, database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteWaiter]:
    if request.param == "polling":
        monkeypatch.setitem(sys.modules, "inotify_simple", None)  # as on systems that do not have it
    elif sys.platform != "linux":
        pytest.skip("there is no inotify")
    made = SqliteWaiter()
    yield made
    made.close()


def other(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "waited.sqlite3", isolation_level=None)


@pytest.fixture
def looks() -> Callable[[], list[str]]:
    """The waiter's statements from now on."""

    def begin() -> list[str]:
        connection.ensure_connection()
        seen: list[str] = []
        connection.connection.set_trace_callback(seen.append)
        return seen

    return begin


def test_while_nothing_is_written_the_kernel_saves_the_polling(waiter, looks, request):
    seen = looks()
    assert not waiter.wait(0.3)
    if request.node.callspec.params["waiter"] == "polling":
        assert len(seen) >= 5
    else:
        assert len(seen) <= 3


def test_a_commit_ends_the_wait_and_the_next_one_too(waiter, tmp_path):
    for number in range(3):
        writer = threading.Timer(0.1, lambda: other(tmp_path).execute("INSERT INTO t VALUES (1)"))
        writer.start()
        assert waiter.wait(20), f"commit {number} was missed"
        writer.join()


def test_a_commit_before_the_wait_counts(waiter, tmp_path):
    other(tmp_path).execute("INSERT INTO t VALUES (1)")
    assert waiter.wait(20)


def test_nothing_and_a_rolled_back_write_end_no_wait(waiter, tmp_path):
    assert not waiter.wait(0.05)
    connection = other(tmp_path)
    connection.execute("PRAGMA cache_size=1")  # so that it writes before it is committed
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 4000,)] * 200)
    assert not waiter.wait(0.1)
    connection.execute("ROLLBACK")
    assert not waiter.wait(0.1)


def test_a_commit_that_takes_long_after_the_write_is_seen(waiter, tmp_path):
    connection = other(tmp_path)
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 4000,)] * 200)
    assert not waiter.wait(0.3)
    connection.execute("COMMIT")
    assert waiter.wait(20)


def test_one_notice_for_two_commits_hides_neither(database, tmp_path, monkeypatch):
    """The second commit comes after its write was told together with the first one's."""
    asked: list[int] = []

    class OneNotice:
        def read(self, timeout):
            asked.append(timeout)
            if len(asked) <= 2:
                other(tmp_path).execute("INSERT INTO t VALUES (1)")
            return [SimpleNamespace(mask=0)] if len(asked) == 1 else []

        def close(self):
            pass

    monkeypatch.setattr(wakeups, "watch_writes", lambda _path: OneNotice())
    waiter = SqliteWaiter()
    assert waiter.wait(20)
    assert waiter.wait(20)
    assert len(asked) == 2
    assert asked[1] < 1000, "the second is looked for, and not only at the next notice"


def test_a_file_that_is_not_there_cannot_be_watched(tmp_path):
    assert watch_writes(str(tmp_path / "missing-wal")) is None
