"""The periodic jobs of a host's engines: one engine runs them, whichever it is."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from django.utils import timezone

from deliveries.maintenance import periodic
from deliveries.runtime.registry import SharedTime


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    found: list[datetime] = []
    monkeypatch.setattr(periodic, "run_periodic", found.append)
    monkeypatch.setattr(periodic, "last_periodic", SharedTime())
    monkeypatch.setattr(periodic, "_swept_at", timezone.now())
    return found


def heartbeats(monkeypatch: pytest.MonkeyPatch, *moments: float) -> None:
    for moment in moments:
        monkeypatch.setattr(time, "monotonic", lambda moment=moment: 1_000 + moment)
        periodic.run_in_turn(timezone.now())


def test_two_engines_run_them_once_in_each_heartbeat(runs, monkeypatch):
    heartbeats(monkeypatch, 0, 2.5, 5, 7.5, 10)
    assert len(runs) == 3


def test_the_other_one_takes_over_when_the_first_is_gone(runs, monkeypatch):
    heartbeats(monkeypatch, 0, 2.5, 7.5, 12.5)
    assert len(runs) == 3


def test_an_engine_that_has_just_started_runs_them(runs, monkeypatch):
    heartbeats(monkeypatch, 0)
    monkeypatch.setattr(periodic, "_swept_at", None)
    heartbeats(monkeypatch, 0.5)
    assert len(runs) == 2
