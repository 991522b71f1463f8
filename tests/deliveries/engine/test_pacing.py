"""How many requests are worth having in flight."""

from __future__ import annotations

import multiprocessing
import os
import signal

from deliveries.engine.pacing import FIRST_REACH, Reach
from deliveries.engine.turns import Turns


def test_a_fast_receiver_is_served_over_few_connections():
    reach = Reach(2000)
    for _ in range(50):
        reach.adjust(landed=reach.size, flying=0)
    assert reach.size == FIRST_REACH


def test_receivers_that_take_their_time_get_all_that_the_engine_can_hold():
    reach = Reach(2000)
    for _ in range(4):
        reach.adjust(landed=reach.size // 10, flying=reach.size - reach.size // 10)
    assert reach.size == 2000


def test_a_few_that_hang_do_not_widen_it():
    reach = Reach(2000)
    for _ in range(50):
        reach.adjust(landed=20, flying=40)
    assert reach.size == FIRST_REACH


def test_it_narrows_again_step_by_step_when_answers_come_at_once():
    reach = Reach(2000)
    reach.size = 2000
    sizes = []
    for _ in range(30):
        reach.adjust(landed=reach.size, flying=0)
        sizes.append(reach.size)
    assert sizes[0] == 1750
    assert sizes[-1] == FIRST_REACH


def test_it_never_passes_the_capacity():
    reach = Reach(100)
    reach.adjust(landed=0, flying=100)
    assert reach.size == 100


def _hold_for_ever(path, is_held):
    with Turns(path).take():
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
    turns = Turns(str(database))
    with turns.take():
        holder.join(10)
    turns.close()
    assert holder.exitcode == -signal.SIGKILL


def test_where_there_is_no_file_there_are_no_turns(tmp_path):
    for path in (None, "file:memory?mode=memory&cache=shared", str(tmp_path / "absent")):
        with Turns(path).take():
            pass
    assert list(tmp_path.iterdir()) == []
