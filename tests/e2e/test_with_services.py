"""PostgreSQL as the database and Redis as the broker, chosen by two variables."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import services
from tests.e2e.installation import Installation
from tests.processes import children_of, connections_of, descendants_of, eventually, name_of
from tests.receiver import Receiver

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    import psycopg
    import redis

    redis.Redis.from_url(services.REDIS_URL).flushdb()
    name = f"hookdesk_e2e_{os.getpid()}"
    address = services.POSTGRESQL_URL.replace("postgres://", "postgresql://", 1)
    with psycopg.connect(address, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
    installed = Installation(
        tmp_path,
        DATABASE_URL=services.own_database(services.POSTGRESQL_URL, name),
        REDIS_URL=services.REDIS_URL,
    )
    try:
        installed.manage("migrate", "--verbosity", "0")
        yield installed
    finally:
        installed.clean_up()
        with psycopg.connect(address, autocommit=True) as server:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_push_is_delivered_and_sigterm_drains(installation: Installation, receiver: Receiver) -> None:
    installation.start()
    headers = installation.make_store(receiver.url("/hook"))

    assert installation.request("POST", "/api/v1/push", {"shipments": [{"id": "1"}]}, **headers)[0] == 202
    receiver.wait_for(1, 10)
    eventually(lambda: installation.rows("SELECT status FROM deliveries_delivery") == [("succeeded",)])

    assert installation.process is not None
    os.killpg(installation.process.pid, signal.SIGTERM)
    assert installation.process.wait(20) == 0
    assert installation.rows("SELECT count(*) FROM deliveries_engine") == [(0,)]


def test_a_cluster_whose_idle_workers_were_killed_is_replaced(installation: Installation, receiver: Receiver) -> None:
    """Redis hands each task out once: one that the dead cluster had taken is lost, and nothing must depend on it."""
    installation.start()
    headers = installation.make_store(receiver.url("/hook"))
    engines, cluster = installation.await_engines(), installation.cluster_pid()
    idle = [pid for pid in children_of(cluster) if name_of(pid) == "hookdesk worker"]
    assert idle
    for pid in idle:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: installation.cluster_pid() not in (cluster, 0), 30, "the cluster was not replaced")
    installation.await_engines(but_not=tuple(engines))

    assert installation.request("POST", "/api/v1/push", {"shipments": [{"id": "1"}]}, **headers)[0] == 202
    receiver.wait_for(1, 10)


def test_no_two_processes_share_a_connection(installation: Installation, receiver: Receiver) -> None:
    installation.start()
    headers = installation.make_store(receiver.url("/hook"))
    assert installation.request("POST", "/api/v1/push", {"shipments": [{"id": "1"}]}, **headers)[0] == 202
    receiver.wait_for(1, 10)

    assert installation.process is not None
    pids = [installation.process.pid, *descendants_of(installation.process.pid)]
    owners = Counter(socket for pid in pids for socket in connections_of(pid))
    assert len(owners) >= 4
    assert [socket for socket, count in owners.items() if count > 1] == []
    assert connections_of(installation.process.pid) == set(), "the supervisor's would be its children's too"
