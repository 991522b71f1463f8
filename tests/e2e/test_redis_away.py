"""Redis dies under a running installation: the log says so now and then, and stopping is as quick as ever."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Installation
from tests.faults.servers import PrivateRedis
from tests.processes import eventually
from tests.receiver import Receiver

pytestmark = pytest.mark.skipif(bool(PrivateRedis.trouble()), reason="redis-server is not installed")
#: Within which django-q2 would have said it several times.
AWAY_SECONDS = 8


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    server = PrivateRedis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def installation(tmp_path: Path, redis: PrivateRedis) -> Iterator[Installation]:
    installed = Installation(tmp_path, REDIS_URL=redis.url)
    yield installed
    installed.clean_up()


def about_redis(installation: Installation) -> list[str]:
    words = ("redis", "connect", "broker", "task queue", "traceback")
    return [line for line in installation.said().splitlines() if any(word in line.lower() for word in words)]


def test_it_is_said_once_a_minute_deliveries_go_on_and_a_stop_waits_for_nothing(
    installation: Installation, redis: PrivateRedis, receiver: Receiver
) -> None:
    process = installation.start()
    headers = installation.make_store(receiver.url("/hook"))
    assert about_redis(installation) == []

    redis.kill()
    until = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < until:
        installation.request("GET", "/readyz")
        time.sleep(0.5)
    assert installation.request("POST", "/api/v1/push", {"shipments": [{"id": "1"}]}, **headers)[0] == 202
    receiver.wait_for(1, 10)

    installation.all_pids()
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    took = time.monotonic() - started

    said = about_redis(installation)
    # Once by the worker, once by each of the two web processes that are asked whether they are ready.
    assert 1 <= len(said) <= 3, said
    # django-q2 alone sleeps ten seconds before it looks whether it should stop.
    assert took < 8, f"{took:.1f} s"


def test_what_comes_back_is_used_again(installation: Installation, redis: PrivateRedis) -> None:
    installation.start()
    redis.kill()
    eventually(lambda: about_redis(installation), 20, "nobody noticed")
    redis.start()
    eventually(lambda: "responds again" in installation.said(), 20, "nobody noticed that it is back")
