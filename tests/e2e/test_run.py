"""`manage.py run`: it starts, delivers, stops drained, and heals itself, with real processes on SQLite."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from config.server.tcp_ports import is_port_free
from tests.e2e.installation import ROOT, Installation
from tests.processes import children_of, eventually, name_of
from tests.receiver import Receiver, answer

#: What docs/contract.md#commands promises, in seconds.
STOP_SECONDS = 20


@pytest.fixture
def empty_installation(tmp_path: Path) -> Iterator[Installation]:
    """One without a database, as after a fresh clone."""
    installed = Installation(tmp_path, is_empty=True)
    yield installed
    installed.clean_up()


def is_gone(installation: Installation) -> bool:
    return not installation.left() and is_port_free("127.0.0.1", installation.port)


def stop(installation: Installation, signum: int, *, group: bool) -> int:
    """Send one signal; the exit status, once everything is gone."""
    process = installation.process
    assert process is not None
    installation.all_pids()
    (os.killpg if group else os.kill)(process.pid, signum)
    status = process.wait(STOP_SECONDS)
    eventually(lambda: is_gone(installation), STOP_SECONDS, "something was left behind")
    return status


def test_a_push_is_delivered_and_one_sigterm_to_the_group_stops_everything_drained(
    empty_installation: Installation, receiver: Receiver
) -> None:
    installation = empty_installation
    assert not installation.database.exists()
    installation.start()
    headers = installation.make_store(receiver.url("/hook"))
    receiver.script(answer(200, delay=1.5))

    assert installation.request("POST", "/api/v1/push", {"shipments": [{"id": "1"}]}, **headers)[0] == 202
    receiver.wait_for(1, 10)
    # In flight: it is waited for, recorded, and not sent twice.
    assert stop(installation, signal.SIGTERM, group=True) == 0

    assert installation.rows("SELECT status, attempt_count FROM deliveries_delivery") == [("succeeded", 1)]
    assert installation.rows("SELECT outcome FROM deliveries_attempt") == [("succeeded",)]
    assert len(receiver.requests) == 1
    assert installation.engine_pids() == []


def test_one_sigint_to_the_process_stops_everything_and_it_starts_again(installation: Installation) -> None:
    installation.start()
    assert stop(installation, signal.SIGINT, group=False) == 0
    installation.start()
    assert stop(installation, signal.SIGINT, group=True) == 0


def test_connections_that_say_nothing_keep_nobody_waiting(tmp_path: Path) -> None:
    installation = Installation(tmp_path, WEB_WORKERS="1", WEB_THREADS="2")
    with ExitStack() as stack:
        stack.callback(installation.clean_up)
        installation.start()
        # As browsers do, and as many as there are threads, and more.
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", installation.port), timeout=1)) for _ in range(8)
        ]
        with urlopen(f"http://127.0.0.1:{installation.port}/healthz", timeout=3) as answered:
            assert answered.status == 200
        # They have not been sent away either.
        silent[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert silent[0].recv(64).startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(shutil.which("make") is None, reason="needs GNU make")
def test_a_sigint_to_make_alone_stops_everything(installation: Installation, tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@exec {sys.executable} manage.py run --port {installation.port}\n")
    installation.start("make", "-f", str(makefile), "run")

    stop(installation, signal.SIGINT, group=False)


def test_when_the_supervisor_is_killed_its_children_go_and_it_can_be_started_at_once(
    installation: Installation,
) -> None:
    installation.start()
    installation.all_pids()
    assert installation.process is not None
    installation.process.kill()
    installation.process.wait()
    installation.start()

    old = installation.all_pids() - installation.left()
    assert len(old) >= 8
    assert stop(installation, signal.SIGTERM, group=False) == 0


def test_an_engine_that_is_killed_is_replaced(installation: Installation) -> None:
    installation.start()
    victim, other = installation.await_engines()
    os.kill(victim, signal.SIGKILL)

    assert other in installation.await_engines(but_not=(victim,))


def test_killing_a_worker_while_it_waits_is_noticed_and_the_cluster_replaced(
    installation: Installation, receiver: Receiver
) -> None:
    """It may have taken the lock of the task queue with it, after which nothing would be done any more."""
    installation.start()
    headers = installation.make_store(receiver.url("/hook"))
    engines = installation.await_engines()
    cluster = installation.cluster_pid()
    idle = [pid for pid in children_of(cluster) if name_of(pid) == "hookdesk worker"]
    assert idle
    for pid in idle:
        os.kill(pid, signal.SIGKILL)

    eventually(lambda: installation.cluster_pid() not in (cluster, 0), 30, "the cluster was not replaced")
    installation.await_engines(but_not=tuple(engines))
    assert "killed while it waited for work" in installation.said()
    assert installation.request("POST", "/api/v1/push", {"shipments": [{"id": "1"}]}, **headers)[0] == 202
    receiver.wait_for(1, 10)


def test_a_port_that_is_taken_is_said_without_a_traceback(installation: Installation, receiver: Receiver) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "manage.py", "run", "--port", str(receiver.port)],
        cwd=ROOT, env=installation.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"127.0.0.1:{receiver.port} is already in use" in done.stderr
    assert time.monotonic() - started < 20


def test_production_without_keys_is_refused_with_what_to_set(installation: Installation) -> None:
    environment = {name: value for name, value in installation.environment.items() if name != "ENCRYPTION_KEYS"}
    done = subprocess.run(
        [sys.executable, "manage.py", "run"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ENCRYPTION_KEYS is not set. Set it")
