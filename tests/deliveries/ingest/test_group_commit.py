"""Pushes that wait for a transaction to end go into the next one together."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, Queue

import pytest
from django.db import DatabaseError, DataError, OperationalError
from django.utils import timezone

from deliveries.ingest import group_commit
from deliveries.ingest.group_commit import GroupCommit, GroupedPush
from deliveries.storage.rows.pushes import EventRow, PushRows, RecordRow, Verdict, WaitingPush
from integrations.foundation.identifiers import uuid7

STORE = uuid.uuid4()


class Database:
    """Stands in for the storage: transactions that take as long as the test wants."""

    has_one_writer = True

    def database_file(self) -> None:
        return None

    commits_wake = True

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.has_begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.refused = ""
        self.error: Exception | None = None

    def write_pushes(
        self, pushes: Sequence[WaitingPush], *, notifies: bool, meanwhile: Callable[[], None]
    ) -> list[Verdict]:
        names = [push.rows.events[0].topic or "" for push in pushes]
        meanwhile()
        self.has_begun.release()
        assert self.may_end.acquire(timeout=10)
        if self.error is not None:
            raise self.error
        if self.refused in names:
            raise DataError("value too long")
        self.groups.append(names)
        return [None] * len(pushes)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    monkeypatch.setattr(group_commit, "backend", lambda: made)
    return made


@pytest.fixture
def finished() -> Queue[list[GroupedPush]]:
    return Queue()


@pytest.fixture
def begun() -> list[list[str]]:
    """The names of the pushes of each transaction that has begun."""
    return []


@pytest.fixture
def commit(database: Database, finished: Queue[list[GroupedPush]], begun: list[list[str]]) -> Iterator[GroupCommit]:
    made = GroupCommit(lambda pushes: begun.append(names_of(pushes)), finished.put)
    yield made
    database.may_end.release(100)
    made.stop()


def push(name: str, *records: str) -> GroupedPush:
    event = EventRow(uuid7(), name, None, "", "", "{}", timezone.now())
    rows = [RecordRow("order", record, "{}", 1, 0) for record in records]
    return GroupedPush(WaitingPush(PushRows(STORE, 1, "event", timezone.now(), False, rows, [event], [])))


def names_of(pushes: Sequence[GroupedPush]) -> list[str]:
    return [each.waiting.rows.events[0].topic or "" for each in pushes]


def begin(commit: GroupCommit, database: Database, *names: str) -> None:
    """The first of them is in a transaction that does not end yet, the others wait."""
    commit.submit(push(names[0]))
    assert database.has_begun.acquire(timeout=10)
    for name in names[1:]:
        commit.submit(push(name))


def results_of(finished: Queue[list[GroupedPush]], count: int) -> dict[str, object]:
    found: dict[str, object] = {}
    while len(found) < count:
        for each in finished.get(timeout=10):
            found[each.waiting.rows.events[0].topic or ""] = each.result
    return found


def test_one_that_comes_alone_waits_for_nobody(commit, database, finished):
    database.may_end.release()
    commit.submit(push("a"))
    assert results_of(finished, 1) == {"a": None}
    assert database.groups == [["a"]]


def test_those_that_come_while_it_writes_go_together_next(commit, database, finished):
    begin(commit, database, "a", "b", "c", "d")
    database.may_end.release(10)
    assert results_of(finished, 4) == dict.fromkeys("abcd")
    assert database.groups == [["a"], ["b", "c", "d"]]


def test_those_of_one_record_go_one_after_another_in_their_order(commit, database, finished):
    begin(commit, database, "a")
    for each in (push("b", "1"), push("c", "1", "2"), push("d", "2"), push("e", "3"), push("f")):
        commit.submit(each)
    database.may_end.release(10)
    assert results_of(finished, 6) == dict.fromkeys("abcdef")
    assert database.groups == [["a"], ["b", "e", "f"], ["c"], ["d"]]


def test_a_transaction_has_no_more_than_so_many(commit, database, finished, monkeypatch):
    monkeypatch.setattr(group_commit, "MAX_PUSHES", 2)
    begin(commit, database, "a", "b", "c", "d")
    database.may_end.release(10)
    results_of(finished, 4)
    assert database.groups == [["a"], ["b", "c"], ["d"]]


def test_a_transaction_says_what_it_writes_before_it_ends(commit, database, finished, begun):
    begin(commit, database, "a", "b", "c")
    assert begun == [["a"]]
    database.may_end.release()
    assert results_of(finished, 1) == {"a": None}
    assert database.has_begun.acquire(timeout=10)
    assert begun == [["a"], ["b", "c"]]


def test_it_is_written_all_the_same_if_that_fails(database, finished, caplog):
    commit = GroupCommit(lambda pushes: pushes[1], finished.put)
    database.may_end.release()
    commit.submit(push("a"))
    assert results_of(finished, 1) == {"a": None}
    assert database.groups == [["a"]]
    assert "could not tell of 1 pushes" in caplog.text
    commit.stop()


def test_the_next_ones_are_written_if_what_follows_a_transaction_fails(database, finished, caplog):
    def finish(pushes: list[GroupedPush]) -> None:
        finished.put(pushes)
        raise RuntimeError("no more threads")

    commit = GroupCommit(lambda pushes: None, finish)
    database.may_end.release(2)
    for name in ("a", "b"):
        commit.submit(push(name))
        assert results_of(finished, 1) == {name: None}
    assert "no more threads" in caplog.text
    commit.stop()


def test_one_that_cannot_be_written_fails_alone(commit, database, finished, begun):
    database.refused = "c"
    begin(commit, database, "a", "b", "c", "d")
    database.may_end.release(10)
    results = results_of(finished, 4)
    assert isinstance(results.pop("c"), DatabaseError)
    assert results == dict.fromkeys("abd")
    assert database.groups == [["a"], ["b"], ["d"]]
    assert begun == [["a"], ["b", "c", "d"], ["b"], ["c"], ["d"]]


def test_without_a_database_each_is_told_and_the_next_ones_are_tried_again(commit, database, finished):
    database.error = OperationalError("gone")
    begin(commit, database, "a", "b")
    database.may_end.release(2)
    assert {name: type(result) for name, result in results_of(finished, 2).items()} == dict.fromkeys(
        "ab", OperationalError
    )
    database.error = None
    database.may_end.release()
    commit.submit(push("c"))
    assert results_of(finished, 1) == {"c": None}


@pytest.mark.parametrize("has_one_writer", [True, False])
def test_others_that_want_to_write_get_their_turn_between_two_transactions(
    database, finished, monkeypatch, has_one_writer
):
    monkeypatch.setattr(group_commit, "MAX_YIELD_SECONDS", 30)
    database.has_one_writer = has_one_writer
    others = ["a push that a view answers"]
    commit = GroupCommit(lambda pushes: None, finished.put, has_other_writers=lambda: bool(others))
    database.may_end.release(2)
    commit.submit(push("a"))
    assert results_of(finished, 1) == {"a": None}
    commit.submit(push("b"))
    if has_one_writer:
        with pytest.raises(Empty):
            finished.get(timeout=0.05)
        others.clear()
    assert results_of(finished, 1) == {"b": None}
    commit.stop()
