"""How many workers the guard keeps, with real worker processes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from deliveries.runtime import cluster
from deliveries.runtime.cluster import MAX_TASK_WORKERS, WorkerGuard
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)  # the guard closes connections before it forks

#: Longer than any test, so that a worker with this task stays busy.
FOREVER = 600


@pytest.fixture
def guard(monkeypatch) -> Iterator[WorkerGuard]:
    """A guard with one worker, of an installation without engines."""
    monkeypatch.setattr(settings, "ENGINE_PROCESSES", 0)
    guard = WorkerGuard()
    guard.pool_size = 1
    guard.spawn_worker()
    try:
        yield guard
    finally:
        for worker in guard.pool:
            worker.kill()


def task(function: str, *arguments: Any) -> dict[str, Any]:
    key = uuid.uuid4().hex
    named = {"id": key, "name": key[:8], "func": function, "args": arguments, "kwargs": {}}
    return {**named, "started": timezone.now(), "cluster": None, "ack_id": None}


def give(guard: WorkerGuard, function: str, *arguments: Any) -> None:
    guard.task_queue.put(task(function, *arguments))


def busy(guard: WorkerGuard) -> int:
    return sum(worker.timer.value > 0 for worker in guard.pool)


def check(guard: WorkerGuard, now: float | None = None) -> None:
    """What the guard's loop does with its workers in each round."""
    for worker in list(guard.pool):
        if not worker.is_alive():
            guard.reincarnate(worker)
    guard.adjust_pool(time.monotonic() if now is None else now)


def keep_busy(guard: WorkerGuard, workers: int, seconds: float = FOREVER) -> None:
    for count in range(workers):
        give(guard, "time.sleep", seconds)
        check(guard)
        eventually(lambda count=count: busy(guard) == count + 1)


def test_one_worker_is_enough_while_no_task_waits(guard):
    check(guard)
    keep_busy(guard, 1)
    check(guard)
    assert len(guard.pool) == 1


def test_a_task_does_not_wait_for_one_that_takes_long(guard, tmp_path):
    keep_busy(guard, 1)
    give(guard, "os.mkdir", str(tmp_path / "done"))
    check(guard)
    eventually((tmp_path / "done").is_dir)


def test_there_are_never_more_than_the_maximum(guard):
    keep_busy(guard, MAX_TASK_WORKERS)
    give(guard, "time.sleep", 0)
    check(guard)
    assert len(guard.pool) == MAX_TASK_WORKERS


def test_an_engine_has_a_worker_of_its_own(guard, monkeypatch):
    monkeypatch.setattr(settings, "ENGINE_PROCESSES", 1)
    keep_busy(guard, 1 + MAX_TASK_WORKERS)
    assert len(guard.pool) == 1 + MAX_TASK_WORKERS


def test_a_worker_that_has_had_nothing_to_do_for_long_ends_and_no_other_takes_its_place(guard):
    keep_busy(guard, 2, seconds=3)
    eventually(lambda: busy(guard) == 0)
    check(guard, now=1000.0)
    check(guard, now=1000.0 + cluster.SURPLUS_SECONDS - 1)
    assert [worker.is_alive() for worker in guard.pool] == [True, True]
    check(guard, now=1000.0 + cluster.SURPLUS_SECONDS)
    eventually(lambda: sum(worker.is_alive() for worker in guard.pool) == 1)
    check(guard, now=2000.0)
    check(guard, now=3000.0)
    assert [worker.is_alive() for worker in guard.pool] == [True]


def test_a_worker_that_dies_while_it_works_is_replaced(guard):
    keep_busy(guard, 1)
    (first,) = guard.pool
    first.kill()
    first.join()
    check(guard)
    assert first not in guard.pool
    assert [worker.is_alive() for worker in guard.pool] == [True]


def test_an_engine_starts_although_long_tasks_occupy_all_workers_and_more_wait(guard, monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "ENGINE_PROCESSES", 1)
    monkeypatch.setattr(cluster, "_engine_task", lambda: task("os.mkdir", str(tmp_path / "engine")))
    keep_busy(guard, 1 + MAX_TASK_WORKERS)
    for _ in range(2):
        give(guard, "time.sleep", FOREVER)
    guard.stop_event.wait(0.01)
    eventually((tmp_path / "engine").is_dir)
    assert len(guard.pool) == 1 + MAX_TASK_WORKERS + 3, "one for each task before it, and one for the engine"
