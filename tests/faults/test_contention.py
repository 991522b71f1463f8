"""Engines and web processes that get in each other's way as much as they can: nobody waits for each other in a circle."""

import json
import random

import pytest

from tests.faults.load import Pushers
from tests.receiver import Receiver, answer

pytestmark = pytest.mark.slow


def talkative(exchange):
    """A `hub` receiver that says something and pushes objects back, always the same few."""
    body = json.loads(exchange.request.body)
    number = int(body["load"]["number"])
    things = [{"id": str(n % 5), "seen": number} for n in random.sample(range(5), 3)]
    said = {"request_id": body["request_id"], "summary": f"Load {number % 3} is on its way", "things": things}
    return answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})(exchange)


def moody(exchange):
    """Fails in twenty different ways, each a failure group of its own, now and then as if it were down."""
    mood = random.random()
    if mood < 0.3:
        said = json.dumps({"error": f"bin {'abcdefghijklmnopqrst'[random.randrange(20)] * 3} is full"}).encode()
        return answer(500, said, {"Content-Type": "application/json"})(exchange)
    return answer(503 if mood < 0.35 else 200)(exchange)


def test_engines_never_wait_for_each_other_in_a_circle(make_installation, postgresql):
    site = make_installation("postgresql")
    log = postgresql.folder / "log"
    seen = len(log.read_text())
    with Receiver() as receiver:
        receiver.script(talkative, path="/talkative/loads")
        receiver.script(moody, path="/moody")
        receiver.script(moody, path="/ordered")
        host = site.start_host(ENGINE_PROCESSES="3", WEB_WORKERS="2")
        policy = {"retry_policy": [0.2] * 100}
        host.subscribe(receiver.url("/talkative"), ["load.made"], name="t", path="loads", wire_format="hub", **policy)
        host.subscribe(receiver.url("/moody"), ["load.made"], name="m", rate_limit=150, **policy)
        host.subscribe(receiver.url("/ordered"), ["load.made", "thing.*"], name="o", ordered=True, **policy)
        host.subscribe(receiver.url("/plain"), ["load.made", "thing.*"], name="p", rate_limit=400, **policy)
        site.wait_for_engines(3)
        document = {"id": "0", "number": 0}
        make = lambda number: document | {"id": str(number % 6), "number": number}  # noqa: E731
        with Pushers(lambda: [host], threads=6, pause=0.0, document=make) as pushers:
            pushers.wait_for(600, timeout=120)
        site.wait_until_drained(timeout=180)
        requests = len(receiver.requests)
    assert not pushers.strange
    assert dict(pushers.refused) == {}
    counted = site.rows("SELECT status, count(*) FROM deliveries_delivery GROUP BY 1")
    assert [row[0] for row in counted] == ["succeeded"], counted
    assert site.value("SELECT count(*) FROM deliveries_attempt") == requests
    assert site.value("SELECT count(*) FROM deliveries_failuregroup WHERE status = 'open'") == 0
    assert "deadlock detected" not in log.read_text()[seen:]
    assert "ERROR" not in host.log()
    print(f"{len(pushers.accepted)} events, {counted[0][1]} deliveries, {requests} requests")
