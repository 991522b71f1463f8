"""How an engine notices that another process has written to SQLite."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.utils import ConnectionHandler

from deliveries.storage.sqlite import wakeups
from deliveries.storage.sqlite.wakeups import SqliteWaiter, watch_writes


@pytest.fixture(params=["told by the kernel", "looking"])
def waiter(request, db, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteWaiter]:
    if request.param == "looking":
        monkeypatch.setattr(wakeups, "watch_writes", lambda _path: None)
    elif sys.platform != "linux":
        pytest.skip("there is no inotify")
    with other(tmp_path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (a)")
        settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "waited.sqlite3")}
        handler = ConnectionHandler({"default": settings})
        monkeypatch.setattr(wakeups, "connection", handler["default"])
        made = SqliteWaiter()
        assert (made._watch is not None) == (request.param == "told by the kernel")
        yield made
        made.close()
        handler["default"].close()
    connection.close()


def other(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "waited.sqlite3", isolation_level=None)


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


def test_one_notice_for_two_commits_hides_neither(waiter, monkeypatch):
    asked, versions = [], iter([2, 2, 2, 3])

    class Watch:
        def read(self, timeout):
            asked.append(timeout)
            return []

        def close(self):
            pass

    waiter._written_at = time.monotonic()  # both have written, and the first has just committed
    waiter._version = 1
    monkeypatch.setattr(waiter, "_watch", Watch())
    monkeypatch.setattr(waiter, "_read", lambda: next(versions))
    assert waiter.wait(20)
    assert waiter.wait(20)
    assert asked and max(asked) < 1000, "the second is looked for, and not only at the next notice"


def test_a_file_that_is_not_there_cannot_be_watched(tmp_path):
    assert watch_writes(str(tmp_path / "missing-wal")) is None
