"""Ordered subscriptions under load, with failures and several engines: one in dispatch per record, whatever happens."""

import json
import os
import random
import signal
import threading
from collections import Counter, defaultdict

import pytest

from tests.faults.installation import wait_until
from tests.faults.load import Pushers, data_of, judge
from tests.receiver import answer, read_ledger

pytestmark = pytest.mark.slow

RECORDS = 8
HOT = "hot"


class Watch:
    """A receiver's behaviour that counts what it has in hand per record, and answers some with 500."""

    def __init__(self, failures):
        self.rng = random.Random(7)
        self.failures = failures
        self.refuses = None  # a record whose deliveries are refused for good
        self.in_hand = Counter()
        self.overlaps = []
        self.succeeded = defaultdict(list)
        self.lock = threading.Lock()

    def __call__(self, exchange):
        data = json.loads(exchange.request.body)["data"]
        record = data["id"]
        with self.lock:
            self.in_hand[record] += 1
            if self.in_hand[record] > 1:
                self.overlaps.append(record)
            status = 422 if record == self.refuses else 500 if self.rng.random() < self.failures else 200
        exchange.wait(0.01)
        with self.lock:
            self.in_hand[record] -= 1
            if status == 200:
                self.succeeded[record].append(data["number"])
        return answer(status)(exchange)


def document(number):
    """Half of all events are about one record, pushed by every thread at once."""
    return {"id": HOT if number % 2 else str(number % RECORDS), "number": number}


def test_one_in_flight_per_record_while_many_push_and_receivers_fail(installation, receiver, ledger):
    watch = Watch(failures=0.15)
    receiver.script(watch)
    engines = 3 if installation.is_postgresql else 2
    host = installation.start_host(ENGINE_PROCESSES=str(engines), WEB_WORKERS="2")
    host.subscribe(receiver.url(), ["load.made"], ordered=True, retry_policy=[0.2] * 30)
    installation.wait_for_engines(engines)
    with Pushers(lambda: [host], threads=4, pause=0.05, document=document) as pushers:
        pushers.wait_for(160)
    installation.wait_until_drained(timeout=120)
    assert watch.overlaps == []
    verdict = judge(installation, ledger, pushers.accepted.values())
    assert not pushers.strange
    assert verdict.duplicates == verdict.requests - sum(map(len, watch.succeeded.values())), "only failures repeat"
    assert len(watch.succeeded) > RECORDS // 2
    left = installation.value("SELECT count(*) FROM deliveries_delivery WHERE status = 'pending'")
    assert left == 0, "nothing is held for ever"


def test_what_one_client_sends_about_a_record_arrives_in_that_order(installation, receiver):
    watch = Watch(failures=0.2)
    receiver.script(watch)
    host = installation.start_host(ENGINE_PROCESSES="2")
    host.subscribe(receiver.url(), ["load.made"], ordered=True, retry_policy=[0.2] * 30)
    installation.wait_for_engines(2)
    with Pushers(lambda: [host], threads=1, document=lambda n: {"id": str(n % 3), "number": n}) as pushers:
        pushers.wait_for(60)
    installation.wait_until_drained(timeout=90)
    assert watch.overlaps == []
    assert {record: sorted(numbers) for record, numbers in watch.succeeded.items()} == dict(watch.succeeded)
    assert sum(map(len, watch.succeeded.values())) == len(pushers.accepted)


def test_an_engine_that_dies_delays_its_records_and_breaks_no_order(installation, receiver, ledger):
    watch = Watch(failures=0.0)
    receiver.script(watch)
    host = installation.start_host(ENGINE_PROCESSES="2")
    host.subscribe(receiver.url(), ["load.made"], ordered=True)
    with Pushers(lambda: [host], threads=2, document=lambda n: {"id": str(n % 4), "number": n}) as pushers:
        for _ in range(3):
            pushers.wait_for(30)
            os.kill(installation.wait_for_engines(2, timeout=60)[0], signal.SIGKILL)
    installation.wait_until_drained(timeout=120)
    assert watch.overlaps == []
    verdict = judge(installation, ledger, pushers.accepted.values())
    assert verdict.duplicates <= verdict.unknown


def test_a_refused_delivery_holds_the_later_ones_of_its_record_until_staff_let_them_go(installation, receiver, ledger):
    watch = Watch(failures=0.0)
    watch.refuses = "1"
    receiver.script(watch)
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"], ordered=True)
    installation.wait_for_engines()
    for number, record in enumerate(["1", "2", "1", "2", "1", "3"]):
        event = {"topic": "load.made", "data": {"id": record, "number": number}}
        assert host.request("POST", "/api/v1/events", event)[0] == 202
    wait_until(lambda: len(watch.succeeded["2"]) == 2 and watch.succeeded["3"], timeout=20, what="others go on")
    (failed,) = host.request("GET", "/api/v1/deliveries?status=failed")[1]["items"]
    held = host.request("GET", "/api/v1/deliveries?status=pending")[1]["items"]
    assert [item["event"]["data"]["number"] for item in held] == [4, 2]
    assert [data_of(line)["number"] for line in read_ledger(ledger) if data_of(line)["id"] == "1"] == [0]
    watch.refuses = None
    status, answered = host.request(
        "POST", f"/api/v1/deliveries/{failed['id']}/resolve", {"action": "discard", "reason": "out of date"}
    )
    assert status == 200, answered
    wait_until(lambda: watch.succeeded["1"] == [2, 4], timeout=20, what="the held ones go out, in order")
    assert watch.overlaps == []
