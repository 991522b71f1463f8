"""The useful number of requests in flight."""

from __future__ import annotations

import multiprocessing
import os
import signal
from datetime import UTC, datetime

import pytest

from deliveries.dispatch.pacing import INITIAL_CONCURRENCY, INITIAL_WINDOW, AdaptiveConcurrency, Pacer
from deliveries.dispatch.types import IntegrationQueue
from deliveries.storage.write_lock import WriteLock


def test_a_fast_receiver_is_served_over_few_connections():
    reach = AdaptiveConcurrency(2000)
    for _ in range(50):
        reach.adjust(completed=reach.size, in_flight=0)
    assert reach.size == INITIAL_CONCURRENCY


def test_receivers_that_take_their_time_get_all_that_the_engine_can_hold():
    reach = AdaptiveConcurrency(2000)
    for _ in range(4):
        reach.adjust(completed=reach.size // 10, in_flight=reach.size - reach.size // 10)
    assert reach.size == 2000


def test_a_few_that_hang_do_not_widen_it():
    reach = AdaptiveConcurrency(2000)
    for _ in range(50):
        reach.adjust(completed=20, in_flight=40)
    assert reach.size == INITIAL_CONCURRENCY


def test_it_narrows_again_step_by_step_when_answers_come_at_once():
    reach = AdaptiveConcurrency(2000)
    reach.size = 2000
    sizes = []
    for _ in range(30):
        reach.adjust(completed=reach.size, in_flight=0)
        sizes.append(reach.size)
    assert sizes[0] == 1750
    assert sizes[-1] == INITIAL_CONCURRENCY


def test_it_never_passes_the_capacity():
    reach = AdaptiveConcurrency(100)
    reach.adjust(completed=0, in_flight=100)
    assert reach.size == 100


def _hold_for_ever(path, is_held):
    with WriteLock(path).acquire():
        is_held.set()
        signal.pause()


def test_the_turn_of_an_engine_that_is_killed_passes_to_the_next(tmp_path):
    database = tmp_path / "db.sqlite3"
    database.touch()
    context = multiprocessing.get_context("fork")
    is_held = context.Event()
    holder = context.Process(target=_hold_for_ever, args=(str(database), is_held))
    holder.start()
    assert is_held.wait(10)
    os.kill(holder.pid, signal.SIGKILL)
    write_lock = WriteLock(str(database))
    with write_lock.acquire():
        holder.join(10)
    write_lock.close()
    assert holder.exitcode == -signal.SIGKILL


def test_where_there_is_no_file_there_are_no_turns(tmp_path):
    for path in (None, "file:memory?mode=memory&cache=shared", str(tmp_path / "absent")):
        with WriteLock(path).acquire():
            pass
    assert list(tmp_path.iterdir()) == []


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def candidate(integration_id, *, answered_last=False):
    return IntegrationQueue(
        integration_id, NOW, 0, 512, None, "closed", None, None, 0.0, None, answered_last=answered_last
    )


@pytest.mark.parametrize("capacity", [8, 16, 40])
@pytest.mark.parametrize("room", [1, 3, 1000])
def test_integrations_that_hang_starve_nobody_whatever_their_ids(capacity, room):
    """Every one is served before anybody is served for the third time, though nobody ever answers."""
    pacer = Pacer(capacity)
    served = dict.fromkeys(range(1, 31), 0)
    while min(served.values()) == 0:
        shares = pacer.allocate([candidate(key) for key in served], room, NOW)
        assert shares
        for key, count in shares.items():
            served[key] += 1
            for _ in range(count):
                pacer.on_dispatch(key)
            for _ in range(count):  # each times out
                pacer.on_result(key, is_responsive=False)
        assert max(served.values()) <= 2, served


def test_a_new_engine_knows_who_answered_last_and_holds_only_the_others_back():
    pacer = Pacer(16)
    hanging = [candidate(key) for key in range(1, 11)]
    shares = pacer.allocate([*hanging, candidate(99, answered_last=True)], 16, NOW)
    assert shares[99] == INITIAL_WINDOW
    assert sum(share for key, share in shares.items() if key != 99) == 8


def test_what_an_engine_has_seen_itself_counts_for_more_than_what_was_noted():
    pacer = Pacer(16)
    pacer.allocate([candidate(1, answered_last=True)], 16, NOW)
    pacer.on_dispatch(1)
    pacer.on_result(1, is_responsive=False)
    assert pacer.allocate([candidate(1, answered_last=True)], 16, NOW)[1] < INITIAL_WINDOW
