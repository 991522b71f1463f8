"""The threads under the transports: started when needed, few when that is faster, stopped by their deadline."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from integrations.transport.daemon_pool import DaemonPool
from integrations.transport.deadlines import Attempt, Watchdog
from integrations.transport.per_process import per_process
from integrations.transport.pooled import transport
from integrations.transport.pooled.transport import Pace


def test_a_pool_runs_everything_with_no_more_threads_than_it_may() -> None:
    pool = DaemonPool(3, "test")
    used: set[int] = set()
    done = threading.Semaphore(0)

    def job() -> None:
        used.add(threading.get_ident())
        done.release()

    for _ in range(100):
        pool.submit(job)
    assert all(done.acquire(timeout=5) for _ in range(100))
    assert 1 <= len(used) <= 3
    pool.close()


def test_jobs_wait_in_line_until_the_limit_is_raised() -> None:
    pool = DaemonPool(4, "test", limit=1)
    release, begun = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        begun.release()
        release.wait(5)

    for _ in range(4):
        pool.submit(job)
    assert begun.acquire(timeout=5)
    assert not begun.acquire(timeout=0.05)
    assert pool.has_waiting
    assert pool.longest_wait() > 0.04
    pool.set_limit(100)
    assert all(begun.acquire(timeout=5) for _ in range(3))
    assert (pool.limit, pool.has_waiting, pool.longest_wait()) == (4, False, 0.0)
    release.set()
    pool.close()


@pytest.mark.parametrize(("share", "waited", "limit"), [(0.1, 0.0, 32), (1.0, 0.0, 14), (1.0, 9.0, 32)])
def test_more_threads_are_used_while_there_is_computing_time_left(
    monkeypatch: pytest.MonkeyPatch, share: float, waited: float, limit: int
) -> None:
    pool = DaemonPool(64, "test", limit=16)
    clock = {"now": 100.0}
    monkeypatch.setattr(transport.time, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(transport.time, "process_time", lambda: clock["now"] * share)
    monkeypatch.setattr(DaemonPool, "has_waiting", property(lambda self: True))
    monkeypatch.setattr(DaemonPool, "longest_wait", lambda self: waited)
    pace = Pace(pool)
    pace.adjust()
    assert pool.limit == 16
    clock["now"] += 1
    pace.adjust()
    assert pool.limit == limit


def test_the_deadline_ends_what_a_socket_is_waiting_for() -> None:
    ours, theirs = socket.socketpair()
    attempt = Attempt(0.05)
    attempt.attach(ours)
    watchdog = Watchdog()
    watchdog.watch(attempt)
    started = time.monotonic()
    assert ours.recv(1) == b""
    assert 0.04 < time.monotonic() - started < 1
    assert attempt.is_expired
    assert not attempt.detach()
    watchdog.leave(attempt)
    ours.close()
    theirs.close()


def test_a_socket_that_was_let_go_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    attempt = Attempt(10)
    attempt.attach(ours)
    assert attempt.detach()
    attempt.expire()
    theirs.send(b"x")
    assert ours.recv(1) == b"x"
    ours.close()
    theirs.close()


def test_an_attempt_that_does_not_react_is_given_up_after_its_deadline() -> None:
    given_up = threading.Event()
    watchdog = Watchdog()
    started = time.monotonic()
    watchdog.watch(Attempt(0.05, given_up.set))
    assert given_up.wait(5)
    assert 1 < time.monotonic() - started < 2


def test_a_system_without_more_threads_leaves_jobs_to_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = DaemonPool(4, "test")
    release, done = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        release.wait(5)
        done.release()

    pool.submit(job)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _refuse)
        pool.submit(job)
        assert pool.has_waiting
    release.set()
    assert all(done.acquire(timeout=5) for _ in range(2))
    pool.close()


def test_a_system_without_any_thread_is_an_error_and_not_a_job_that_waits_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = DaemonPool(4, "test")
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        pool.submit(lambda: None)


def _refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_forked_process_has_objects_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = per_process(object)
    first = made()
    assert made() is first
    monkeypatch.setattr("integrations.transport.per_process.os.getpid", lambda: -1)
    assert made() is not first
