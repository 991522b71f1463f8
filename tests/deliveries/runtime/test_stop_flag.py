"""The flag that tells all processes of a host to stop, whoever of them is killed at whatever moment."""

import multiprocessing
import os
import signal
import threading

from deliveries.runtime import registry
from deliveries.runtime.cluster import GuardPause
from deliveries.runtime.registry import StopFlag

FORK = multiprocessing.get_context("fork")


def _look_for_ever(flag, pipe):
    pipe.send("looking")
    while True:
        flag.is_set()


def _ask(flag, pipe):
    """What every engine and the cluster do, in a process that can be given up if it hangs."""
    found = flag.is_set()
    flag.set()
    pipe.send((found, flag.is_set(), flag.wait(5)))


def test_processes_that_are_killed_while_they_look_take_nothing_along():
    flag = registry.stopping.__class__() if not isinstance(registry.stopping, StopFlag) else StopFlag()
    for _ in range(30):
        ours, theirs = FORK.Pipe()
        looker = FORK.Process(target=_look_for_ever, args=(flag, theirs))
        looker.start()
        assert ours.poll(10)
        os.kill(looker.pid, signal.SIGKILL)
        looker.join(10)
    ours, theirs = FORK.Pipe()
    asker = FORK.Process(target=_ask, args=(flag, theirs))
    asker.start()
    try:
        assert ours.poll(10), "the flag is locked for ever"
        assert ours.recv() == (False, True, True)
    finally:
        asker.kill()
        asker.join(10)
    assert flag.is_set(), "what one process sets, all see"


def test_the_flag_of_the_engines_is_one_without_a_lock():
    assert isinstance(registry.stopping, StopFlag)


def test_waiting_ends_at_once_when_it_is_set_and_else_after_the_time():
    flag = StopFlag()
    assert not flag.wait(0.01)
    flag.set()
    assert flag.wait(60)
    flag.clear()
    assert not flag.is_set()


def test_a_flag_that_is_renewed_is_no_longer_shared_with_who_had_it_before():
    flag = StopFlag()
    before = flag._byte
    flag.renew()
    before[0] = 1
    assert not flag.is_set()


def test_the_guards_pause_does_its_work_each_time_and_ends_when_it_is_told_to_stop():
    seen = []
    pause = GuardPause(seen.append)
    assert (pause.wait(0.0), pause.is_set()) == (False, False)
    threading.Timer(0.05, pause.set).start()
    assert (pause.wait(60), pause.is_set()) == (True, True)
    assert pause.wait(60)
    assert seen == [False, False, True]


def test_a_process_forked_afterwards_ends_the_guards_pause_without_stopping_it():
    seen = []
    pause = GuardPause(seen.append)
    child = FORK.Process(target=pause.wake)
    child.start()
    assert not pause.wait(60)
    child.join(10)
    assert not pause.wait(0.0)
    assert seen == [False, True], "what ended the pause is told to the next"
