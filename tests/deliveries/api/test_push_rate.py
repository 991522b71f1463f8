"""`PUSH_RATE_LIMIT`: a store's pushes per second, over threads, processes and hosts."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from contextlib import closing

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from deliveries.ingest import push_rate
from deliveries.models import PushWindow
from deliveries.storage import backend
from tests.api_client import ApiClient, only_error

#: A process of its own that pushes to each store from two threads until the time is over. Prints when each push was
#: admitted, by store.
PROCESS = """
import json, sys, threading, time, uuid
import django; django.setup()
from deliveries.ingest.push_rate import take_push
seconds, limits = float(sys.argv[1]), json.loads(sys.argv[2])
print("ready", flush=True); sys.stdin.readline()
admitted, until = {store: [] for store in limits}, time.monotonic() + seconds
def push(store, limit):
    while time.monotonic() < until:
        before = time.time()
        if take_push(uuid.UUID(store), limit) is None:
            admitted[store].append((before, time.time()))
        else:
            time.sleep(0.005)
threads = [threading.Thread(target=push, args=pair) for pair in limits.items() for _ in range(2)]
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps(admitted))
"""


@pytest.fixture(autouse=True)
def nothing_remembered():
    push_rate._slices.clear()
    yield
    push_rate._slices.clear()


def in_one_second(act):
    """What `act` returns, once it began and ended in the same second: windows end with it, and machines may be slow."""
    for _ in range(30):
        time.sleep(1 - time.time() % 1)
        push_rate._slices.clear()
        second = int(time.time())
        found = act()
        if int(time.time()) == second:
            return found
    raise AssertionError("this machine does not get it done in a second")


@pytest.mark.django_db
class TestOneProcess:
    @pytest.mark.parametrize("path", ["push", "events"])
    def test_exactly_the_limit_comes_in_and_the_rest_is_told_when_to_come_back(self, settings, path):
        settings.PUSH_RATE_LIMIT = 3
        body = {"orders": []} if path == "push" else {"topic": "a.b"}

        def act():
            client = ApiClient()
            return int(time.time()), [client.post(path, body) for _ in range(5)]

        second, answers = in_one_second(act)
        assert [a.status_code for a in answers] == [202, 202, 202, 429, 429]
        assert only_error(answers[3])["code"] == "rate_limit_exceeded"
        headers = answers[3].headers
        assert headers["Retry-After"] == "1"
        assert [headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining")] == ["3", "0"]
        assert int(headers["X-RateLimit-Reset"]) == second + 1

    def test_other_stores_are_not_held_up(self, settings):
        settings.PUSH_RATE_LIMIT = 1

        def act():
            one, other = ApiClient(), ApiClient()
            return [client.post("events", {"topic": "a"}).status_code for client in (one, one, other)]

        assert in_one_second(act) == [202, 429, 202]

    def test_the_next_second_has_a_budget_of_its_own(self, settings):
        settings.PUSH_RATE_LIMIT = 2

        def act():
            client = ApiClient()
            return client, [client.post("events", {"topic": "a"}).status_code for _ in range(3)]

        client, statuses = in_one_second(act)
        assert statuses == [202, 202, 429]
        time.sleep(1 - time.time() % 1)
        assert client.post("events", {"topic": "a"}).status_code == 202

    def test_without_a_limit_it_costs_no_statement(self, settings):
        client = ApiClient()
        client.post("events", {"topic": "a"})
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.post("events", {"topic": "a"})
        assert not any("pushwindow" in query["sql"] for query in queries)
        assert not PushWindow.objects.exists()

    @pytest.fixture
    def asked(self, monkeypatch):
        """Each question to the database."""
        asked = []
        count = backend().count_pushes
        monkeypatch.setattr(backend(), "count_pushes", lambda *given: asked.append(given) or count(*given))
        return asked

    @pytest.mark.parametrize(("limit", "tries", "let_in", "most_asked"), [(5, 100, 5, 5), (10_000, 300, 300, 4)])
    def test_a_used_up_second_is_not_asked_for_again_and_a_large_limit_is_taken_in_slices(
        self, asked, limit, tries, let_in, most_asked
    ):
        def act():
            asked.clear()
            store = ApiClient().store.id
            return [push_rate.take_push(store, limit) for _ in range(tries)].count(None), len(asked)

        found, number = in_one_second(act)
        assert found == let_in and number <= most_asked

    def test_what_is_remembered_stays_small(self, monkeypatch):
        monkeypatch.setattr(push_rate, "MAX_STORES", 20)
        for _ in range(50):
            push_rate.take_push(uuid.uuid4(), 10)
        assert len(push_rate._slices) <= 20


@pytest.mark.django_db(transaction=True)
class TestManyProcesses:
    @pytest.mark.parametrize(
        ("processes", "seconds", "limits"),
        [
            (2, 2, [7, 450]),
            pytest.param(4, 10, [7, 40, 450], marks=pytest.mark.slow),  # a minute of both processors
        ],
    )
    def test_no_second_admits_more_than_the_limit(self, processes, seconds, limits, tmp_path):
        """Every process pushes to every store from two threads without a pause."""
        stores = {str(ApiClient().store.id): limit for limit in limits}
        environment = {"DATABASE_URL": self._url(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
        started = [
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, str(seconds), json.dumps(stores)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment,
            )
            for _ in range(processes)
        ]  # fmt: skip
        for process in started:
            assert process.stdout.readline() == "ready\n"
        for process in started:
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [json.loads(process.communicate(timeout=60)[0]) for process in started]
        assert all(process.returncode == 0 for process in started)
        for store, limit in stores.items():
            admitted = [tuple(pair) for answer in answers for pair in answer[store]]
            # A push that began in one second and ended in the next may belong to either.
            certain = Counter(int(begin) for begin, end in admitted if int(begin) == int(end))
            assert max(certain.values()) <= limit
            assert len(admitted) <= limit * len({int(time) for pair in admitted for time in pair})
            assert len(admitted) >= limit, "the budget of a whole second is used"

    def _url(self, folder):
        """The test's database, or a copy of it: SQLite's is in memory, where no other process can read it."""
        if connection.vendor == "postgresql":
            s = connection.settings_dict
            return f"postgres://{s['USER']}:{s['PASSWORD'] or ''}@{s['HOST']}:{s['PORT'] or 5432}/{s['NAME']}"
        with closing(sqlite3.connect(folder / "rate.sqlite3")) as copy:
            connection.connection.backup(copy)
        return f"sqlite:///{folder}/rate.sqlite3"
