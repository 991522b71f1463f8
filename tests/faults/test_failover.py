"""The primary database dies under load and its synchronous replica takes over."""

import time
import uuid

import pytest

from tests.faults.installation import Installation, wait_until
from tests.faults.load import Pushers, judge
from tests.faults.servers import Forwarder, PrivatePostgresql
from tests.receiver import answer

pytestmark = pytest.mark.slow

EVENT = {"topic": "load.made", "data": {"id": "1"}}
#: "Within seconds", with room for a machine that does other things too.
BACK_WITHIN = 30
#: A push during the outage waits for no longer than connecting may take, twice.
ANSWERED_WITHIN = 15


@pytest.fixture
def pair(workshop):
    """A primary, and the replica that its commits wait for."""
    if why := PrivatePostgresql.trouble():
        pytest.skip(f"no PostgreSQL of our own: {why}")
    number = uuid.uuid4().hex[:8]
    primary, replica = (
        PrivatePostgresql(workshop, f"primary-{number}"),
        PrivatePostgresql(workshop, f"replica-{number}"),
    )
    primary.make()
    # Processes die here and not the machine, whose disk need not be waited for; the replica still is.
    primary.configure("fsync = off\n")
    primary.start()
    try:
        primary.execute("CREATE DATABASE hookdesk")
        replica.make_standby_of(primary)
        follows = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_until(lambda: primary.value(follows), timeout=30, what="the replica follows synchronously")
        yield primary, replica
    finally:
        primary.kill_if_running()
        replica.kill_if_running()


@pytest.fixture
def forwarder(pair):
    address = Forwarder(pair[0].port)
    yield address
    address.close()


@pytest.fixture(params=["two hosts in DATABASE_URL, with Redis", "an address that moves, without Redis"])
def site(request, pair, tmp_path):
    """The installation, and what has to be done beside promoting the replica."""
    primary, replica = pair
    if "two hosts" in request.param:
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{replica.port}"
        url = f"postgres://postgres@{hosts}/hookdesk?target_session_attrs=read-write"
        broker, move = request.getfixturevalue("redis").url, lambda: None
    else:
        address = request.getfixturevalue("forwarder")
        url = f"postgres://postgres@127.0.0.1:{address.port}/hookdesk"
        broker, move = "", lambda: address.move(replica.port)
    made = Installation(request.param, url, tmp_path, broker)
    made.run("manage.py", "migrate", "--verbosity", "0")
    made.make_store()
    yield made, move
    made.close()


def test_a_replica_that_takes_over_under_load_has_everything_that_was_accepted(site, pair, receiver, ledger):
    installation, move = site
    primary, replica = pair
    receiver.script(answer(200, delay=0.05))
    host = installation.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    installation.wait_for_engines()
    with Pushers(lambda: [host], threads=4) as pushers:
        pushers.wait_for(150, timeout=120)
        primary.kill()
        waited = [refused_within(host) for _ in range(3)]
        assert host.request("GET", "/healthz")[0] == 200
        assert host.request("GET", "/readyz")[0] == 503
        replica.promote()
        move()
        promoted_at, seen = time.monotonic(), len(receiver.requests)
        pushers.wait_for(1, timeout=BACK_WITHIN)
        accepted_after = time.monotonic() - promoted_at
        wait_until(lambda: len(receiver.requests) > seen, timeout=BACK_WITHIN, what="engines send again")
        sent_after = time.monotonic() - promoted_at
        pushers.wait_for(150, timeout=120)
    installation.reconnect()
    installation.wait_until_drained(timeout=120)
    verdict = judge(installation, ledger, pushers.accepted.values())
    assert not pushers.strange
    assert set(pushers.refused) == {503}, "neither a 500 nor a connection that breaks"
    assert verdict.duplicates <= verdict.unknown + verdict.late
    assert wait_until(lambda: host.request("GET", "/readyz")[0] == 200, timeout=30, what="ready again")
    print(
        f"{installation.name}: {verdict}, not answered with 202: {dict(pushers.refused)}, each 503 after at most"
        f" {max(waited):.1f} s; accepted again {accepted_after:.1f} s and sent again {sent_after:.1f} s after promotion"
    )


def refused_within(host):
    """Seconds until a push was answered 503; None of them may hang, none be a 500."""
    begun = time.monotonic()
    status, body = host.request("POST", "/api/v1/events", EVENT)
    seconds = time.monotonic() - begun
    assert (status, body["errors"][0]["code"]) == (503, "service_unavailable")
    assert seconds < ANSWERED_WITHIN
    return seconds
