"""What surrounds the API: its schema and page, unknown paths, health and metrics."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from config.observability import metrics
from deliveries.models import AttemptCount, Engine
from tests.api_client import ApiClient, only_error
from tests.factories import AttemptFactory, DeliveryFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_kept", None)


def engine(age: float = 0) -> Engine:
    now = timezone.now()
    return Engine.objects.create(
        host="here",
        slot=0,
        token="00000000-0000-4000-8000-000000000000",
        pid=1,
        started_at=now,
        beat_at=now - timedelta(seconds=age),
        sent_count=5,
    )


class TestSchema:
    @pytest.mark.parametrize("path", ["/api/v1/schema", "/api/v1/schema/", "/api/v1/schema/?format=json"])
    def test_is_json_for_everybody(self, path: str) -> None:
        response = Client().get(path)

        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("application/json")
        schema = response.json()
        assert schema["openapi"].startswith("3.")
        assert "/api/v1/push" in schema["paths"]
        assert not [path for path in schema["paths"] if path.endswith("/")]

    def test_describes_every_operation_with_its_errors_and_credentials(self) -> None:
        schema = Client().get("/api/v1/schema/").json()

        operations = [operation for path in schema["paths"].values() for operation in path.values()]
        assert len(operations) > 35
        assert len({operation["operationId"] for operation in operations}) == len(operations)
        for operation in operations:
            assert {"bearer": []} in operation["security"], operation["operationId"]
            if not operation["operationId"].startswith(("push", "events", "publish")):
                assert {"401", "403"} <= set(operation["responses"]), operation["operationId"]

    def test_its_page_runs_under_the_content_security_policy(self) -> None:
        response = Client().get("/api/v1/docs/")

        page = response.content.decode()
        assert response.status_code == 200
        assert "'unsafe-inline'" not in response.headers["Content-Security-Policy"]
        assert "<style" not in page
        scripts = re.findall("<script[^>]*>", page)
        assert all(each.startswith('<script src="') or 'type="application/json"' in each for each in scripts)
        own = page.replace("http://www.w3.org", "").replace("http://testserver/", "/")
        assert "://" not in own, "nothing comes from another server"

    def test_its_page_has_every_operation_with_a_command_to_paste(self) -> None:
        schema = Client().get("/api/v1/schema/").json()

        page = Client().get("/api/v1/docs/").content.decode()

        for path, methods in schema["paths"].items():
            for method, operation in methods.items():
                assert f'id="{operation["operationId"]}"' in page
                assert (
                    f"curl -i -X {method.upper()} &#x27;http://testserver{path}" in page
                    or f"curl -i -X {method.upper()} http://testserver{path}" in page
                )


class TestUnknownPaths:
    @pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v1/nosuch", "/api/v2/push", "/api/v1/push/x/y"])
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_are_errors_of_the_api(self, path: str, method: str) -> None:
        response = Client(enforce_csrf_checks=True).generic(method, path, b"{}")

        assert response.status_code == 404
        assert only_error(response)["code"] == "not_found"

    def test_a_wrong_method_is_named(self) -> None:
        response = ApiClient().call("PUT", "tokens", {})

        assert response.status_code == 405
        assert only_error(response)["code"] == "bad_request"
        assert "GET" in response.headers["Allow"]

    def test_a_strange_host_is_an_error_of_the_api(self) -> None:
        response = Client().get("/api/v1/tokens", headers={"Host": "evil.example.com"})

        assert response.status_code == 400
        assert only_error(response)["code"] == "bad_request"

    def test_a_body_past_the_limit_is_refused_before_it_is_read(self) -> None:
        client = ApiClient()

        response = client.call("POST", "topics", b"{}", **{"Content-Length": str(django_settings.MAX_BODY_BYTES + 1)})

        assert response.status_code == 413
        assert only_error(response)["code"] == "too_large"

    def test_a_database_that_does_not_answer_is_503(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = ApiClient()

        def fail(*args: Any, **values: Any) -> None:
            raise OperationalError("gone")

        monkeypatch.setattr("subscriptions.api.topics.create_topic", fail)
        response = client.post("topics", {"name": "a.b"})

        assert response.status_code == 503
        assert only_error(response)["code"] == "service_unavailable"
        assert response.headers["Retry-After"]


class TestHealth:
    def test_the_process_is_up(self) -> None:
        assert Client().get("/healthz").json() == {"status": "ok"}

    def test_ready_with_an_engine(self) -> None:
        engine()
        DeliveryFactory()

        response = Client().get("/readyz")

        body = response.json()
        assert response.status_code == 200
        assert (body["status"], body["database"], body["queue"], body["engines"]) == ("ok", "ok", "ok", "alive")
        assert 0 <= body["oldest_due_seconds"] < 10

    def test_without_an_engine_and_without_work_it_still_accepts(self) -> None:
        response = Client().get("/readyz")

        assert response.status_code == 200
        assert (response.json()["status"], response.json()["engines"]) == ("degraded", "none")

    def test_work_that_nobody_does_is_noticed(self) -> None:
        engine(age=600)
        past = timezone.now() - timedelta(minutes=5)
        DeliveryFactory(created_at=past, due_at=past)

        response = Client().get("/readyz")

        assert response.status_code == 503
        assert (response.json()["status"], response.json()["engines"]) == ("unavailable", "stale")
        assert response.json()["oldest_due_seconds"] >= 300

    def test_a_database_or_a_queue_that_is_gone_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any) -> None:
            raise OperationalError("gone")

        monkeypatch.setattr("config.observability.health._is_queue_reachable", lambda: False)
        assert Client().get("/readyz").status_code == 503
        assert Client().get("/readyz").json()["queue"] == "unreachable"
        monkeypatch.setattr("config.observability.health.engine_health", fail)
        assert Client().get("/readyz").status_code == 503
        assert Client().get("/readyz").json()["database"] == "unreachable"
        assert Client().get("/healthz").status_code == 200


class TestMetrics:
    def test_give_the_figures(self) -> None:
        engine()
        AttemptFactory(delivery=DeliveryFactory(status="failed", attempt_count=1))
        DeliveryFactory(due_at=timezone.now() - timedelta(seconds=90))

        response = Client().get("/metrics")

        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        found = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(response.content.decode())
            for sample in family.samples
        }
        assert found["hookdesk_events_accepted",] == 2
        assert found["hookdesk_deliveries", "failed"] == 1
        assert found["hookdesk_deliveries", "pending"] == 1
        assert found["hookdesk_deliveries", "succeeded"] == 0
        assert found["hookdesk_attempts_kept",] == 1
        assert found["hookdesk_in_flight",] == 0
        assert 90 <= found["hookdesk_oldest_due_seconds",] < 120
        assert found["hookdesk_engines_alive",] == 1

    def test_are_only_for_those_who_may(self, settings: Any) -> None:
        settings.METRICS_TOKEN = "s3cret"

        def status(**request: Any) -> int:
            return int(Client().get("/metrics", **request).status_code)

        assert status(REMOTE_ADDR="203.0.113.5") == 403
        assert status(REMOTE_ADDR="203.0.113.5", headers={"Authorization": "Bearer s3cret"}) == 200
        assert status(REMOTE_ADDR="203.0.113.5", headers={"Authorization": "Bearer wrong"}) == 403
        assert status(REMOTE_ADDR="127.0.0.1") == 200
        assert status(REMOTE_ADDR="127.0.0.1", headers={"X-Forwarded-For": "203.0.113.5"}) == 403
        assert status(REMOTE_ADDR="") == 403

    def test_share_the_gauges_for_a_while_but_never_give_an_old_counter(self) -> None:
        delivery = DeliveryFactory()
        first = Client().get("/metrics").text
        DeliveryFactory(subscription=delivery.subscription)
        AttemptCount.objects.create(
            slot=9, writer=9, integration_id=delivery.integration_id, kind=1, bin=3, number=5, milliseconds=9
        )
        second = Client().get("/metrics").text

        assert [line for line in second.splitlines() if line.startswith("hookdesk_backlog{")] == [
            line for line in first.splitlines() if line.startswith("hookdesk_backlog{")
        ]
        assert f'outcome="succeeded",store="{delivery.store_id}"}} 5.0' in second
