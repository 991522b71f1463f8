"""The SQL of docs/scaling.md does what it says, on an installation with history."""

import re

import pytest

from tests.faults.installation import ROOT, wait_until
from tests.faults.load import Pushers, judge
from tests.receiver import answer, read_ledger

pytestmark = pytest.mark.slow

CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)


def block(title):
    """The statements of the SQL block that begins with this comment."""
    (found,) = re.findall(rf"```sql\n-- {title}[^\n]*\n(.*?)```", (ROOT / "docs/scaling.md").read_text(), re.DOTALL)
    return found


def statements(text):
    """Apart, where they may not run in one transaction; `DO` and functions stay whole."""
    return [part for part in re.split(r";\n(?=[A-Z])", text) if part.strip()]


def test_attempts_by_month(make_installation, receiver, ledger):
    site = make_installation("postgresql")
    host = site.start_host()
    host.subscribe(receiver.url(), ["load.made"])
    site.wait_for_engines()
    with Pushers(lambda: [host]) as before:
        before.wait_for(30)
    site.wait_until_drained()
    print("connections of one host:", site.value(CONNECTIONS))
    host.terminate()
    wait_until(lambda: site.value(CONNECTIONS) == 0, timeout=5, what="nobody else is there")

    for title in ("vacuum", "prepare"):
        for statement in statements(block(title)):
            site.execute(statement)
    site.execute(block("convert"))
    assert site.value("SELECT count(*) FROM deliveries_attempt") == len(before.accepted)

    receiver.script(answer(500), answer(200))
    host.start()
    host.wait_until_up()
    site.wait_for_engines()
    with Pushers(lambda: [host]) as after:
        after.wait_for(30)
    site.wait_until_drained()
    judge(site, ledger, [*before.accepted.values(), *after.accepted.values()])

    for statement in statements(block("drop a month")):
        site.execute(statement)
    assert site.value("SELECT count(*) FROM deliveries_attempt") == 0
    count = len(read_ledger(ledger))
    event = {"topic": "load.made", "data": {"id": "no month"}}
    assert host.request("POST", "/api/v1/events", event)[0] == 202
    failed = "SELECT count(*) FROM deliveries_delivery WHERE status = 'failed'"
    wait_until(lambda: site.value(failed) == 1, timeout=10, what="without a partition it is sent once, and it is told")
    assert len(read_ledger(ledger)) == count + 1
    site.execute(
        "CREATE TABLE this_month PARTITION OF deliveries_attempt FOR VALUES FROM (MINVALUE) TO"
        " ('" + str(site.value("SELECT hookdesk_first_id(date_trunc('month', now()) + interval '1 month')")) + "')"
    )
    (delivery,) = host.request("GET", "/api/v1/deliveries?status=failed")[1]["items"]
    assert "failed to record the outcome" in delivery["last_error"]
    assert host.request("POST", f"/api/v1/deliveries/{delivery['id']}/resolve", {"action": "retry"})[0] == 200
    site.wait_until_drained()
    assert len(read_ledger(ledger)) == count + 2
    assert site.value("SELECT outcome FROM this_month ORDER BY number DESC LIMIT 1") == "succeeded"
