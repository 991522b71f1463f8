"""The supervisor's view of the engines: heartbeats in shared memory, and a question to the database when they stop."""

from __future__ import annotations

import os
import time

import pytest

from config import engine_watch
from config.engine_watch import EngineWatch
from deliveries.runtime import registry
from tests.processes import eventually


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(registry, "last_heartbeat", registry.SharedTime())
    monkeypatch.setattr(engine_watch, "ASK_SECONDS", 0.0)


def answering(monkeypatch, status):
    """The database's answer, given by a process as the real one is."""
    monkeypatch.setattr(engine_watch, "_query_database", lambda: os._exit(status))


def refuse_to_ask(monkeypatch):
    monkeypatch.setattr(EngineWatch, "_ask", lambda *_: pytest.fail("the database was asked"))


def test_a_heartbeat_of_another_process_is_a_sign_of_life_and_nobody_asks_the_database(monkeypatch):
    refuse_to_ask(monkeypatch)
    moment = time.monotonic()
    child = os.fork()
    if not child:
        registry.last_heartbeat.set(moment)
        os._exit(0)
    os.waitpid(child, 0)
    assert EngineWatch().last_seen() == moment


def test_without_heartbeats_an_engine_that_the_database_knows_of_counts(monkeypatch):
    answering(monkeypatch, engine_watch._ALIVE)
    watch, before = EngineWatch(), time.monotonic()
    first = eventually(watch.last_seen)
    assert first >= before
    eventually(lambda: watch.last_seen() > first)


def test_when_there_is_no_engine_the_time_without_one_begins_with_the_first_answer(monkeypatch):
    answering(monkeypatch, engine_watch._NONE)
    watch = EngineWatch()
    first = eventually(watch.last_seen)
    time.sleep(0.1)
    assert watch.last_seen() == first


def test_a_database_that_does_not_answer_says_nothing_about_the_engines(monkeypatch):
    answering(monkeypatch, engine_watch._NONE)
    watch = EngineWatch()
    eventually(watch.last_seen)
    answering(monkeypatch, 1)
    eventually(lambda: watch.last_seen() is None)


def test_a_database_that_hangs_is_given_up(monkeypatch):
    answering(monkeypatch, engine_watch._NONE)
    watch = EngineWatch()
    eventually(watch.last_seen)
    monkeypatch.setattr(engine_watch, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(engine_watch, "_query_database", lambda: time.sleep(60))
    eventually(lambda: watch.last_seen() is None)
