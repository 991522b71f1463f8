"""Several hosts on one PostgreSQL and one Redis: each with a web server and a worker, each a process tree of its own."""

import threading
import time

import pytest

from tests.faults.installation import wait_until
from tests.faults.load import Pushers, judge
from tests.receiver import answer

pytestmark = pytest.mark.slow


@pytest.fixture
def site(make_installation):
    return make_installation("postgresql")


def start_hosts(site, names):
    threads = [threading.Thread(target=site.start_host, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        site.wait_for_engines(1, host=name)
    return {host.name: host for host in site.hosts}


def test_a_host_that_dies_whole_loses_nothing_the_others_go_on_and_a_new_one_joins(site, receiver, ledger):
    receiver.script(answer(200, delay=0.05))
    hosts = start_hosts(site, ["a", "b", "c"])
    hosts["a"].subscribe(receiver.url(), ["load.made"])
    alive = list(hosts.values())
    with Pushers(lambda: alive, threads=6) as pushers:
        pushers.wait_for(150)
        in_flight = site.value("SELECT count(*) FROM deliveries_delivery WHERE status = 'sending'")
        hosts["b"].kill()
        alive.remove(hosts["b"])
        killed_at, seen = time.time(), len(receiver.requests)
        pushers.wait_for(150)
        wait_until(lambda: len(receiver.requests) > seen + 100, timeout=20, what="the other hosts go on sending")
        alive.append(site.start_host("d"))
        site.wait_for_engines(1, host="d")
        pushers.wait_for(150)
    site.wait_until_drained(timeout=60)
    verdict = judge(site, ledger, pushers.accepted.values())
    assert not pushers.strange
    assert verdict.duplicates <= verdict.unknown + verdict.late
    late = [row[0].timestamp() - killed_at for row in site.rows(
        "SELECT max(a.started_at) FROM deliveries_attempt a JOIN deliveries_attempt b USING (delivery_id)"
        " WHERE b.outcome = 'unknown' GROUP BY delivery_id")]  # fmt: skip
    assert all(seconds < 2 + 60 for seconds in late), "again within timeout + 60 s"
    print(f"{verdict}, about {in_flight} in dispatch when the host died; again after {[round(s) for s in late]} s")


def test_each_host_keeps_its_engines_however_often_the_others_start_and_stop(site, receiver):
    hosts = start_hosts(site, ["a", "b"])
    for _ in range(3):
        assert hosts["b"].terminate() < 20
        hosts["b"].start()
        hosts["b"].wait_until_up()
        site.wait_for_engines(1, host="b")
        site.wait_for_engines(1, host="a", timeout=1)


def test_a_revoked_token_and_a_changed_subscription_count_at_once_in_every_process(site, receiver):
    hosts = list(start_hosts(site, ["a", "b"]).values())
    subscription = hosts[0].subscribe(receiver.url(), ["order.*"])
    event = {"topic": "order.made", "data": {"id": "1"}}
    for turn in range(20):
        one, other = hosts[turn % 2], hosts[1 - turn % 2]
        count = site.value("SELECT count(*) FROM deliveries_delivery")
        is_wanted = turn % 4 < 2
        topics = ["order.*"] if is_wanted else ["shipment.*"]
        assert one.request("PATCH", f"/api/v1/subscriptions/{subscription}", {"topics": topics})[0] == 200
        assert other.request("POST", "/api/v1/events", event)[0] == 202
        assert one.request("POST", "/api/v1/events", event)[0] == 202
        added = site.value("SELECT count(*) FROM deliveries_delivery") - count
        assert added == (2 if is_wanted else 0), f"turn {turn}: a process went by the old subscription"

    manager = site.token
    for turn in range(6):
        one, other = hosts[turn % 2], hosts[1 - turn % 2]
        status, made = one.request("POST", "/api/v1/tokens", {"name": f"short-lived {turn}", "scopes": ["push"]})
        assert status == 201, made
        site.token = made["token"]
        assert [host.request("POST", "/api/v1/events", event)[0] for host in hosts] == [202, 202]
        site.token = manager
        assert one.request("DELETE", f"/api/v1/tokens/{made['id']}")[0] == 204
        site.token = made["token"]
        count = site.value("SELECT count(*) FROM deliveries_event")
        assert [host.request("POST", "/api/v1/events", event)[0] for host in (other, one)] == [401, 401]
        assert site.value("SELECT count(*) FROM deliveries_event") == count, "nothing was stored"
        site.token = manager
