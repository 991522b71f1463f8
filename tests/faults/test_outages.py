"""What Hookdesk stands on goes away for a while: database, disk, broker."""

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from tests.faults.conftest import KINDS
from tests.faults.installation import Installation, wait_until
from tests.faults.load import Pushers, judge
from tests.receiver import answer

pytestmark = pytest.mark.slow

EVENT = {"topic": "load.made", "data": {"id": "1"}}


def test_postgresql_may_crash_and_come_back_under_load(make_installation, postgresql, receiver, ledger):
    """503 while it is away, and everything that got a 202 before or after arrives."""
    installation = make_installation("postgresql")
    receiver.script(answer(200, delay=0.05))
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    installation.wait_for_engines()
    with Pushers(lambda: [host]) as pushers:
        for away in (0.0, 8.0):
            pushers.wait_for(80)
            postgresql.stop("immediate")
            if away:
                status, body = host.request("POST", "/api/v1/events", EVENT)
                assert (status, body["errors"][0]["code"]) == (503, "service_unavailable")
                assert host.request("GET", "/readyz")[0] == 503
                assert host.request("GET", "/healthz")[0] == 200
                time.sleep(away)
            postgresql.start()
            installation.reconnect()
            pushers.wait_for(80)
        installation.wait_for_engines(timeout=90)
    installation.wait_until_drained(timeout=90)
    verdict = judge(installation, ledger, pushers.accepted.values())
    assert not pushers.strange
    assert wait_until(lambda: host.request("GET", "/readyz")[0] == 200, timeout=30, what="ready again")
    print(f"two crashes of PostgreSQL: {verdict}, not answered with 202: {dict(pushers.refused)}")


@pytest.mark.parametrize(("seconds", "expected"), [(4, 202), (24, 503)], ids=["for a moment", "for too long"])
def test_a_locked_sqlite_file_makes_pushes_wait_and_then_refuses_them(
    make_installation, receiver, ledger, seconds, expected
):
    installation = make_installation("sqlite")
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    installation.wait_for_engines()
    answers = []
    pusher = threading.Thread(target=lambda: answers.append(host.request("POST", "/api/v1/events", EVENT, key="k")))
    blocker = sqlite3.connect(installation.database_url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
    blocker.execute("BEGIN IMMEDIATE")
    pusher.start()
    time.sleep(seconds)
    blocker.execute("ROLLBACK")
    blocker.close()
    pusher.join(60)
    ((status, answered),) = answers
    assert status == expected, answered
    if expected == 503:
        assert answered["errors"][0]["code"] == "service_unavailable"
        assert installation.value("SELECT count(*) FROM deliveries_event") == 0
        status, answered = host.request("POST", "/api/v1/events", EVENT, key="k")
        assert status == 202
    receiver.wait_for(1, timeout=60)
    installation.wait_until_drained()
    judge(installation, ledger, [answered["id"]])


def test_a_full_disk_answers_503_and_heals_by_itself(installation_on_small_disk, receiver, ledger):
    installation, folder = installation_on_small_disk
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    installation.wait_for_engines()
    with Pushers(lambda: [host], threads=2) as pushers:
        pushers.wait_for(20)
        fill(folder / "ballast")
        wait_until(lambda: pushers.refused[503], timeout=60, what="pushes are refused")
        (folder / "ballast").unlink()
        pushers.wait_for(20, timeout=60)
    installation.wait_until_drained(timeout=90)
    assert not pushers.strange
    verdict = judge(installation, ledger, pushers.accepted.values())
    print(f"full disk: {verdict}, not answered with 202: {dict(pushers.refused)}")


def fill(path):
    """Until nothing more fits on the disk."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


@pytest.fixture
def installation_on_small_disk(make_installation, tmp_path):
    """An SQLite installation whose file is alone on 16 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "hookdesk-faults", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here: that takes root")
    installation = None
    try:
        installation = make_installation("sqlite")
        source = installation.database_url.removeprefix("sqlite:///")
        shutil.move(source, folder / "hookdesk.sqlite3")
        for end in ("-wal", "-shm"):
            if os.path.exists(source + end):
                shutil.move(source + end, folder / f"hookdesk.sqlite3{end}")
        installation.database_url = f"sqlite:///{folder / 'hookdesk.sqlite3'}"
        yield installation, folder
    finally:
        if installation is not None:
            installation.close()
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def test_without_redis_pushes_are_taken_and_delivered_and_hosts_can_start(make_installation, redis, receiver, ledger):
    """django-q2's broker only serves tasks beside the engines."""
    installation = make_installation("postgresql")
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    installation.wait_for_engines()
    with Pushers(lambda: installation.hosts) as pushers:
        pushers.wait_for(50)
        redis.kill()
        seen = len(receiver.requests)
        pushers.wait_for(50)
        wait_until(lambda: len(receiver.requests) >= seen + 50, timeout=30, what="deliveries go on without a broker")
        assert host.request("GET", "/readyz")[0] == 503, "and it is told"
        host.kill()
        host.start()
        host.wait_until_up()
        installation.wait_for_engines(timeout=60)
        pushers.wait_for(20)
        redis.start()
        pushers.wait_for(20)
    installation.wait_until_drained(timeout=90)
    assert not pushers.strange
    judge(installation, ledger, pushers.accepted.values())


def test_a_redis_that_hangs_blocks_nothing_else(make_installation, redis, receiver, ledger):
    installation = make_installation("postgresql")
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    (engine,) = installation.wait_for_engines()
    redis.process.send_signal(signal.SIGSTOP)
    with Pushers(lambda: [host]) as pushers:
        pushers.wait_for(20)
        assert host.request("GET", "/readyz", timeout=20)[0] == 503
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: engine not in installation.wait_for_engines(timeout=60), timeout=60, what="a new engine")
        pushers.wait_for(20)
        redis.process.send_signal(signal.SIGCONT)
        pushers.wait_for(20)
    installation.wait_until_drained(timeout=90)
    assert not pushers.strange
    judge(installation, ledger, pushers.accepted.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_cluster_is_replaced_and_what_came_meanwhile_goes_out(kind, make_installation, receiver, ledger):
    installation: Installation = make_installation(kind)
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    installation.wait_for_engines()
    with Pushers(lambda: [host]) as pushers:
        pushers.wait_for(20)
        os.kill(host.children()["worker"], 9)
        pushers.wait_for(20)
        installation.wait_for_engines(timeout=60)
        pushers.wait_for(20)
    installation.wait_until_drained(timeout=90)
    judge(installation, ledger, pushers.accepted.values())
