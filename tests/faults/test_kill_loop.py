"""Random kills and orderly stops under load. FAULT_KILLS and FAULT_SEED in the environment change the run."""

import os
import random
import signal
import time
from contextlib import suppress

import pytest

from tests.faults.installation import wait_until
from tests.faults.load import Pushers, judge
from tests.receiver import answer

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("FAULT_KILLS", "20"))
SEED = int(os.environ.get("FAULT_SEED", "1"))


def kill_something(host, rng):
    """Any process of the host; its engine half of the time, all of it at once now and then. Returns what it was."""
    if rng.random() < 0.1:
        host.kill()
        return "the whole host"
    engines = [pid for pid in host.installation.engines() if pid in host.pids()]
    pid = rng.choice(engines) if engines and rng.random() < 0.5 else rng.choice(host.pids() or [host.process.pid])
    what = "an engine" if pid in engines else "the supervisor" if pid == host.process.pid else "another process"
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return what


def see_that_it_runs(host):
    """Nobody but us starts a supervisor again; what a dead one leaves has to end by itself before."""
    if host.process.poll() is not None:
        wait_until(lambda: not host.pids(), timeout=20, what="what a dead supervisor leaves ends by itself")
        host.start()
        host.wait_until_up()


def test_random_kills_under_load_lose_nothing_and_repeat_only_what_was_in_flight(installation, receiver, ledger):
    rng = random.Random(SEED)
    receiver.script(answer(200, delay=0.03))
    host = installation.start_host(ENGINE_PROCESSES="2")
    host.subscribe(receiver.url(), ["load.made"])
    installation.wait_for_engines()
    killed = []
    with Pushers(lambda: [host], threads=4) as pushers:
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.2, 1.5))
            see_that_it_runs(host)
            killed.append(kill_something(host, rng))
        see_that_it_runs(host)
        host.wait_until_up()
        pushers.wait_for(50)
    installation.wait_until_drained(timeout=120)
    verdict = judge(installation, ledger, pushers.accepted.values())
    assert not pushers.strange
    assert verdict.duplicates <= verdict.unknown + verdict.late
    counts = {what: killed.count(what) for what in sorted(set(killed))}
    print(f"{installation.name}: {KILLS} kills {counts}, {verdict}, not answered with 202: {dict(pushers.refused)}")


@pytest.mark.parametrize("group", [False, True], ids=["the process", "the group"])
def test_stopping_and_starting_under_load_loses_and_repeats_nothing(installation, receiver, ledger, group):
    receiver.script(answer(200, delay=0.2))
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    seconds = []
    with Pushers(lambda: [host], threads=6) as pushers:
        for turn in range(4):
            installation.wait_for_engines()
            pushers.wait_for(40)
            seconds.append(round(host.terminate(group=group), 1))
            assert host.process.returncode == 0
            still_sending = installation.value("SELECT count(*) FROM deliveries_delivery WHERE status = 'sending'")
            assert still_sending == 0, "it has drained"
            if turn < 3:
                host.start()
                host.wait_until_up()
        host.start()
        host.wait_until_up()
        pushers.wait_for(20)
    installation.wait_until_drained()
    verdict = judge(installation, ledger, pushers.accepted.values())
    assert not pushers.strange
    assert verdict.duplicates == 0, "draining means that nothing is sent twice"
    print(f"{installation.name}: stopped in {seconds} s, {verdict}")
