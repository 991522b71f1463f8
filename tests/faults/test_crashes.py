"""A process dies at the worst moment: what was accepted arrives, what is sent again says so."""

import http.client
import os
import signal
import threading
import time

import pytest

from tests.faults.installation import is_running, wait_until
from tests.faults.load import Pushers, judge
from tests.receiver import answer

pytestmark = pytest.mark.slow

EVENT = {"topic": "load.made", "data": {"id": "1", "text": "fragile"}}


def outcomes(installation):
    return [row[0] for row in installation.rows("SELECT outcome FROM deliveries_attempt ORDER BY number")]


def test_a_worker_killed_in_mid_post_sends_again_within_timeout_and_a_minute_under_the_same_id(
    installation, receiver, ledger
):
    """The lease is waited for in earnest."""
    arrived, release = threading.Event(), threading.Event()

    def hold(exchange):
        arrived.set()
        release.wait(60)
        return False

    receiver.script(hold, answer(200))
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"], timeout=1)
    (engine,) = installation.wait_for_engines()
    status, event = host.request("POST", "/api/v1/events", EVENT)
    assert status == 202
    assert arrived.wait(10)
    os.kill(engine, signal.SIGKILL)
    killed_at = time.monotonic()
    release.set()
    receiver.wait_for(2, timeout=61)
    assert time.monotonic() - killed_at < 1 + 60
    installation.wait_until_drained()
    assert outcomes(installation) == ["unknown", "succeeded"]
    verdict = judge(installation, ledger, [event["id"]])
    assert (verdict.requests, verdict.duplicates) == (2, 1)


@pytest.mark.parametrize(
    ("point", "requests"), [("engine.after_claim", 1), ("engine.before_record", 2)], ids=lambda value: str(value)
)
def test_an_engine_that_dies_around_the_sending_repeats_only_what_was_sent(
    installation, receiver, ledger, point, requests
):
    """After the answer, and before the first byte."""
    host = installation.start_host("a", HOOKDESK_FAILPOINT=point)
    host.subscribe(receiver.url(), ["load.made"])
    (engine,) = installation.wait_for_engines()
    status, event = host.request("POST", "/api/v1/events", EVENT)
    assert status == 202
    wait_until(lambda: not is_running(engine), timeout=15, what="the engine dies at the failpoint")
    host.kill()
    assert installation.value("SELECT status FROM deliveries_delivery") == "sending"
    assert len(receiver.requests) == requests - 1
    installation.let_leases_run_out()
    installation.start_host("b")
    receiver.wait_for(requests, timeout=30)
    installation.wait_until_drained()
    verdict = judge(installation, ledger, [event["id"]])
    assert (verdict.requests, verdict.duplicates) == (requests, requests - 1)


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/push"])
@pytest.mark.parametrize("point", ["ingest.before_commit", "ingest.after_commit"])
def test_a_web_process_that_dies_around_the_commit_stores_all_or_nothing_and_the_key_can_be_used_again(
    installation, receiver, ledger, point, path
):
    document = EVENT if path.endswith("events") else {"loads": [EVENT["data"]]}
    worker = installation.start_host("worker")
    worker.subscribe(receiver.url(), ["load.*"])
    installation.wait_for_engines(host="worker")
    web = installation.start_host("web", only="web", HOOKDESK_FAILPOINT=point)
    with pytest.raises((OSError, http.client.HTTPException)):
        web.request("POST", path, document, key="once")
    is_stored = point == "ingest.after_commit"
    assert installation.value("SELECT count(*) FROM deliveries_event") == int(is_stored)
    assert installation.value("SELECT count(*) FROM deliveries_idempotencykey") == int(is_stored)
    if is_stored:
        receiver.wait_for(1, timeout=15)  # nobody was woken
    status, _ = worker.request("POST", path, document, key="once")
    assert status == 202
    receiver.wait_for(1, timeout=15)
    installation.wait_until_drained()
    assert installation.value("SELECT count(*) FROM deliveries_event") == 1
    verdict = judge(installation, ledger)
    assert (verdict.requests, verdict.duplicates) == (1, 0)


def test_an_idle_worker_that_is_killed_freezes_nothing_for_long(installation, receiver, ledger):
    """It may take the task queue's lock with it, after which django-q2 hands out no task any more."""
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    installation.wait_for_engines()
    before = host.children()["worker"]
    with Pushers(lambda: [host]) as pushers:
        pushers.wait_for(30)
        os.kill(host.idle_workers()[0], signal.SIGKILL)
        wait_until(
            lambda: host.children().get("worker", before) != before and installation.wait_for_engines(),
            timeout=90,
            what="the supervisor starts a fresh worker",
        )
        pushers.wait_for(30)
    installation.wait_until_drained()
    judge(installation, ledger, pushers.accepted.values())
