"""Who may send, for how long, and what becomes of those who come too late or die of what they send."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from tests.faults.installation import ROOT, is_running, wait_until
from tests.faults.load import data_of, hexadecimal, judge
from tests.receiver import answer, read_ledger

pytestmark = pytest.mark.slow


def publish(host, *numbers, text="harmless"):
    events = [{"topic": "load.made", "data": {"id": str(number), "text": text}} for number in numbers]
    status, made = host.request("POST", "/api/v1/events", events)
    assert status == 202, made
    return [event["id"] for event in made["events"]]


def test_of_eight_concurrent_claims_one_gets_each_delivery(installation, receiver):
    host = installation.start_host(only="web")
    host.subscribe(receiver.url(), ["load.made"])
    publish(host, *range(5))
    environment = installation.environment(DJANGO_SETTINGS_MODULE="config.settings")
    claimers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.claimer"],
            cwd=ROOT,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(8)
    ]
    for claimer in claimers:
        assert claimer.stdout.readline() == "ready\n"
    moment = time.time() + 0.5
    for claimer in claimers:
        claimer.stdin.write(f"{moment}\n")
        claimer.stdin.flush()
    claimed = [key for claimer in claimers for key in claimer.communicate(timeout=30)[0].split()]
    assert len(claimed) == 5
    assert set(claimed) == {hexadecimal(row[0]) for row in installation.rows("SELECT id FROM deliveries_delivery")}
    leases = installation.rows("SELECT attempt_count, status FROM deliveries_delivery")
    assert {tuple(row) for row in leases} == {(1, "sending")}


def test_a_worker_that_stalled_past_its_lease_is_fenced_off(installation, receiver, ledger):
    first, release = threading.Event(), threading.Event()

    def hold(exchange):
        first.set()
        release.wait(90)
        return answer(200, b"too late")(exchange)

    receiver.script(hold, answer(200, b"in time"))
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"], timeout=60)
    (engine,) = installation.wait_for_engines()
    (event,) = publish(host, 1)
    assert first.wait(10)
    stop_between_transactions(installation, engine)
    installation.let_leases_run_out()
    receiver.wait_for(2, timeout=60)  # its heartbeat has stopped too, so another engine takes its place
    installation.wait_until_drained()
    assert outcomes(installation) == ["unknown", "succeeded"]
    before = installation.rows("SELECT status, finished_at, last_status, attempt_count FROM deliveries_delivery")
    release.set()
    os.kill(engine, signal.SIGCONT)
    wait_until(lambda: outcomes(installation) == ["late", "succeeded"], timeout=20, what="the late end is noted")
    after = installation.rows("SELECT status, finished_at, last_status, attempt_count FROM deliveries_delivery")
    assert after == before, "and changes nothing else"
    verdict = judge(installation, ledger, [event])
    assert (verdict.requests, verdict.late) == (2, 1)
    wait_until(lambda: engine not in installation.engines(), timeout=20, what="the engine that was replaced leaves")


def test_a_poison_message_is_dead_lettered_and_nothing_that_was_in_flight_with_it(installation, receiver, ledger):
    receiver.script(answer(200, delay=1.0))
    host = installation.start_host(HOOKDESK_FAILPOINT="engine.send=deadly")
    host.subscribe(receiver.url(), ["load.made"], timeout=5)
    installation.wait_for_engines()
    before = publish(host, *range(6))
    (deadly,) = publish(host, 100, text="deadly")
    after = publish(host, *range(6, 12))
    for _ in range(40):
        (engine,) = installation.wait_for_engines(timeout=60)
        # One that started and died since the last look has left leases too.
        installation.let_leases_before_run_out(engine, seconds=35)
        wait_until(
            lambda pid=engine: not is_running(pid) or is_quiet(installation), timeout=30, what="it dies, or ends"
        )
        if is_quiet(installation):
            break
    installation.wait_until_drained(timeout=60)
    killers = installation.rows("SELECT event_id, crash_count FROM deliveries_delivery WHERE status = 'failed'")
    assert len(killers) == 1, installation.summary()
    kinds = [row[0] for row in installation.rows("SELECT error_kind FROM deliveries_attempt WHERE outcome = 'failed'")]
    assert kinds == ["crash"]
    sent = {data_of(line)["id"] for line in read_ledger(ledger)}
    assert sent == {str(number) for number in range(12)}, "the others got through, the deadly one never left"
    assert len({*before, *after, deadly}) == 13
    later = publish(host, 200)
    installation.wait_until_drained()
    assert later
    assert "200" in {data_of(line)["id"] for line in read_ledger(ledger)}, "the queue moves on"


def stop_between_transactions(installation, pid):
    """Stopped within one, it would hold SQLite's only lock, until the supervisor takes it for frozen."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        if installation.is_postgresql:
            return
        try:
            with sqlite3.connect(installation.database_url.removeprefix("sqlite:///"), timeout=0.5) as probe:
                probe.execute("BEGIN IMMEDIATE")
                return
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)


def is_quiet(installation):
    return not installation.open_deliveries()


def outcomes(installation):
    return [row[0] for row in installation.rows("SELECT outcome FROM deliveries_attempt ORDER BY started_at, number")]
