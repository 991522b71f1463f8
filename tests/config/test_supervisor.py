"""The supervisor with children that are small programs of the test."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

import pytest

from config import supervisor as supervising
from config.supervisor import Child, Supervisor
from tests.processes import eventually, processes

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
#: Ignores SIGTERM and has a child of its own.
STUBBORN = (
    "import signal, os, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nif os.fork(): "
    "open({path!r}, 'w').write('up')\ntime.sleep(60)"
)


def child(program: str, **options: object) -> Child:
    return Child("a child", lambda: os.execv(sys.executable, [sys.executable, "-c", program]), **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def supervised(*children: Child):
    """A supervisor whose signal handlers are left out, running in a thread."""
    supervisor = Supervisor(children)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervising.signal, "signal", lambda *_: signal.SIG_DFL)
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        try:
            yield supervisor
        finally:
            supervisor.stop()
            thread.join(30)
            assert not thread.is_alive()


def pid_of(child: Child) -> int | None:
    return child.process.pid if child.process else None


def is_group_gone(pid: int) -> bool:
    """Whether no process of the group runs; a dead one that nobody has waited for does not count.

    Wait for it where SIGKILL ends processes that are not the supervisor's own children: the kernel ends them a moment
    after `killpg` has returned.
    """
    return all(group != pid for _, group in processes())


def test_children_lead_sessions_of_their_own_and_end_with_the_supervisor():
    sleeper = child(SLEEPER)
    with supervised(sleeper):
        eventually(lambda: sleeper.is_running)
        pid = pid_of(sleeper)
        eventually(lambda: os.getsid(pid) == pid)
    assert is_group_gone(pid)


def test_a_child_that_dies_is_started_again():
    sleeper = child(SLEEPER)
    with supervised(sleeper):
        eventually(lambda: sleeper.is_running)
        first = pid_of(sleeper)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: sleeper.is_running and pid_of(sleeper) != first)


def test_a_frozen_child_is_killed_with_all_that_it_started(monkeypatch, tmp_path):
    monkeypatch.setattr(supervising, "STARTING_SECONDS", 0.5)
    monkeypatch.setattr(supervising, "FROZEN_SECONDS", 0.5)
    monkeypatch.setattr(supervising, "GRACE_SECONDS", 0.3)  # its successor is as stubborn
    path = tmp_path / "up"
    stubborn = child(STUBBORN.format(path=str(path)), last_seen=lambda: 0.0 if path.exists() else None)
    with supervised(stubborn):
        eventually(path.exists)
        first = pid_of(stubborn)
        eventually(lambda: pid_of(stubborn) not in (first, None))
        eventually(lambda: is_group_gone(first))


def test_one_that_will_not_stop_is_killed_after_the_grace_period(tmp_path):
    path = tmp_path / "up"
    stubborn = child(STUBBORN.format(path=str(path)), grace_seconds=0.3)
    with supervised(stubborn):
        eventually(path.exists)
        pid = pid_of(stubborn)
    eventually(lambda: is_group_gone(pid))


def test_silence_of_the_database_is_not_taken_for_a_frozen_worker():
    silent = child(SLEEPER, last_seen=lambda: None)
    silent.started_at = 0.0
    assert not silent.is_frozen(1e9)


def test_a_worker_that_has_just_started_may_take_its_time():
    starting = child(SLEEPER, last_seen=lambda: 10.0, started_at=100.0)
    assert not starting.is_frozen(159.0)
    assert starting.is_frozen(161.0)


def test_pauses_between_starts_grow_up_to_a_bound():
    dying = child(SLEEPER)
    dying.started_at = 1000.0
    assert [dying.note_death(1001.0) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_one_that_ran_for_long_restarts_without_a_pause():
    dying = child(SLEEPER, started_at=1000.0)
    dying.failures = 5
    assert dying.note_death(2000.0) == 0.0
