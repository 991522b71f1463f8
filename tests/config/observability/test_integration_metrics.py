"""`/metrics` by integration, and what is built on it: the alert rules and the Grafana dashboard of `docs/monitoring`.

Each expression there must name metrics and labels that a real scrape has: a renamed one would leave an empty panel, or
an alert that never fires.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from config.observability import metrics
from deliveries.models import AttemptCount
from deliveries.stats import pushes
from deliveries.stats.compaction import compact
from deliveries.stats.rollups import slot_of
from deliveries.storage.rows import figures
from tests.factories import AccessTokenFactory, DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import Receiver, answer

pytestmark = pytest.mark.django_db
MONITORING = Path(__file__).parents[3] / "docs" / "monitoring"

Samples = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(metrics, "_kept", None)
    pushes._counts.clear()
    yield
    pushes._counts.clear()


def scrape() -> str:
    metrics._kept = None
    return Client().get("/metrics").content.decode()


def samples() -> Samples:
    """By name and values of the labels, store and integration first."""
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels, key=_place))): sample.value
        for family in text_string_to_metric_families(scrape())
        for sample in family.samples
    }


def _place(label: str) -> int:
    first = ("store", "integration")
    return first.index(label) if label in first else len(first)


@pytest.fixture
def busy(receiver: Receiver, deliver: Callable[..., int]) -> tuple[str, str]:
    """An integration after a push that arrived and one that failed; its labels."""
    integration = IntegrationFactory(slug="erp", url=receiver.url("/hook"), retry_policy="none")
    SubscriptionFactory(integration=integration, store=integration.store, topics=["order.created"])
    token = AccessTokenFactory(store=integration.store)
    client = Client(headers=token.headers)
    for status in (200, 500):
        receiver.script(answer(status))
        body = {"topic": "order.created", "data": {"n": 1}}
        assert client.post("/api/v1/events", body, content_type="application/json").status_code == 202
        deliver()
    assert client.post("/api/v1/events", "{", content_type="application/json").status_code == 400
    assert Client().post("/api/v1/events", "{", content_type="application/json").status_code == 401
    return str(integration.store_id), "erp"


def test_attempts_durations_and_pushes_are_counted_at_once(busy: tuple[str, str]) -> None:
    found, store = samples(), busy[0]
    assert found["hookdesk_attempts_total", *busy, "succeeded"] == 1
    assert found["hookdesk_attempts_total", *busy, "failed"] == 1
    assert found["hookdesk_attempts_total", *busy, "retrying"] == 0
    assert found["hookdesk_receiver_seconds_count", *busy] == 2
    assert found["hookdesk_push_to_delivered_seconds_count", *busy] == 1
    assert found["hookdesk_push_to_delivered_seconds_bucket", *busy, "60.0"] == 1
    assert 0 < found["hookdesk_receiver_seconds_sum", *busy] < 10
    assert found["hookdesk_failing_since_seconds", *busy] > 0
    assert found["hookdesk_pushes_total", store, "202"] == 2
    assert found["hookdesk_pushes_total", store, "400"] == 1
    assert found["hookdesk_pushes_total", "", "401"] == 1


def test_counters_stay_when_counts_are_moved_and_add_up_over_processes(
    busy: tuple[str, str], deliver: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = samples()
    AttemptCount.objects.update(slot=slot_of(timezone.now()) - 100)
    compact(timezone.now())
    assert not AttemptCount.objects.exists()
    moved = samples()
    for name in (
        "hookdesk_attempts_total",
        "hookdesk_receiver_seconds_count",
        "hookdesk_push_to_delivered_seconds_sum",
    ):
        assert {key: value for key, value in moved.items() if key[0] == name} == {
            key: value for key, value in before.items() if key[0] == name
        }
    monkeypatch.setattr(figures, "_writers", {})
    pushes.count_push(None, 401)
    assert samples()["hookdesk_pushes_total", "", "401"] == 2


def test_what_waits_is_told_by_integration_and_disabled_ones_are_not_late() -> None:
    now = timezone.now()
    late = DeliveryFactory(due_at=now - timedelta(minutes=10))
    DeliveryFactory(due_at=now + timedelta(hours=1), status="retrying", subscription=late.subscription)
    paused = DeliveryFactory(due_at=now - timedelta(hours=2))
    paused.integration.is_enabled = False
    paused.integration.save()
    found = samples()
    labels = [(str(one.store_id), one.integration.slug) for one in (late, paused)]
    assert [found["hookdesk_backlog", *pair] for pair in labels] == [2, 1]
    assert found["hookdesk_oldest_due_seconds", *labels[0]] == pytest.approx(600, abs=30)
    assert found["hookdesk_oldest_due_seconds", *labels[1]] == 0
    assert found["hookdesk_oldest_due_seconds",] == pytest.approx(600, abs=30)


def test_the_number_of_series_is_bounded(settings: Any) -> None:
    settings.METRICS_MAX_INTEGRATIONS = 2
    for number in range(5):
        AttemptCount.objects.create(
            slot=1, writer=1, integration_id=IntegrationFactory(slug=f"i{number}").pk, kind=1, bin=3, number=1,
            milliseconds=4,
        )  # fmt: skip
    found = samples()
    slugs = {key[2] for key in found if key[0] == "hookdesk_attempts_total"}
    assert slugs == {"i0", "i1", "other"}
    assert found["hookdesk_attempts_total", "other", "other", "succeeded"] == 3
    assert found["hookdesk_receiver_seconds_count", "other", "other"] == 3


def test_a_scrape_reads_no_table_that_grows_with_what_is_pushed(
    busy: tuple[str, str], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(45) as queries:
        scrape()
    for query in queries.captured_queries:
        text = query["sql"].lower()
        if "count(*)" in text and re.search(r"from \"?deliveries_(delivery|attempt|event)\"?\b", text):
            assert "limit" in text, text


# --- docs/monitoring -----------------------------------------------------------------------------------------------

#: A selector: name and, perhaps, matchers.
_SELECTOR = re.compile(r"(?<![\w:$\"])(hookdesk[\w:]*)(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")
_FUNCTIONS = {
    "rate", "increase", "sum", "max", "min", "count", "topk", "absent", "vector", "histogram_quantile", "by", "without",
    "and", "or",
}  # fmt: skip
#: Labels that Prometheus adds.
_ADDED = {"instance", "job", "le"}


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    return loaded


def panel_expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def problems_of(expression: str, labels_of: dict[str, set[str]]) -> list[str]:
    """What is wrong with a PromQL expression, as far as can be seen without Prometheus."""
    found = []
    bare = re.sub(r'"[^"]*"', '""', expression)
    for pair in ("()", "{}", "[]"):
        if bare.count(pair[0]) != bare.count(pair[1]):
            found.append(f"{pair} do not match")
    for function in re.findall(r"\b([a-z_]+)\s*\(", re.sub(r"\{[^}]*\}", "", bare)):
        if function not in _FUNCTIONS:
            found.append(f"unknown function {function}")
    known: set[str] = set(_ADDED)
    for name, matchers in _SELECTOR.findall(expression):
        if name not in labels_of:
            found.append(f"no metric {name} in a scrape")
            continue
        known |= labels_of[name]
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', matchers)):
            if label not in labels_of[name]:
                found.append(f"{name} has no label {label}")
    for group in _GROUPING.findall(expression):
        found += [f"no label {label}" for word in group.split(",") if (label := word.strip()) and label not in known]
    return found


@pytest.fixture
def labels_of(busy: tuple[str, str]) -> dict[str, set[str]]:
    """The labels of each metric of a scrape, and of what the rules record."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(scrape()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    for rule in rules():
        if "record" in rule:
            found[rule["record"]] = {"store", "integration"}
    return found


def test_alert_rules_name_only_what_a_scrape_has(labels_of: dict[str, set[str]]) -> None:
    assert {rule.get("alert", rule.get("record")): problems_of(rule["expr"], labels_of) for rule in rules()} == {
        rule.get("alert", rule.get("record")): [] for rule in rules()
    }
    for rule in rules():
        for text in rule.get("annotations", {}).values():
            for label in re.findall(r"\$labels\.(\w+)", text):
                assert label in {"store", "integration"}, (rule["alert"], label)


def test_the_dashboard_names_only_what_a_scrape_has(labels_of: dict[str, set[str]]) -> None:
    assert {text: found for text in panel_expressions() if (found := problems_of(text, labels_of))} == {}
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            name, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
            assert label in labels_of[name]


def test_the_dashboard_can_be_imported() -> None:
    loaded = dashboard()
    assert {"title", "uid", "schemaVersion", "panels", "templating"} <= loaded.keys()
    ids = [panel["id"] for panel in loaded["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in loaded["panels"]:
        grid = panel["gridPos"]
        cells = {
            (column, row)
            for column in range(grid["x"], grid["x"] + grid["w"])
            for row in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] + grid["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize(
    "broken",
    ["rate(hookdesk_attempts[5m])", "sum by (shop) (hookdesk_backlog)", "max(hookdesk_backlog", "frob(hookdesk_backlog)",
     'hookdesk_backlog{status="x"}'],
)  # fmt: skip
def test_the_check_of_expressions_finds_what_is_wrong(broken: str, labels_of: dict[str, set[str]]) -> None:
    assert problems_of(broken, labels_of)


def test_prometheus_itself_takes_the_expressions(tmp_path: Path) -> None:
    """Where its tool is installed; the checks above hold everywhere."""
    tool = shutil.which("promtool")
    if tool is None:
        return
    records = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", text)}
        for number, text in enumerate(panel_expressions())
    ]
    panels = tmp_path / "panels.yaml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    for path in (MONITORING / "alerts.yaml", panels):
        checked = subprocess.run([tool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
