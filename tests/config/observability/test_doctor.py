"""What doctor finds, and that a healthy installation has no problem."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from config.observability.doctor import Finding, _reporting, examine
from deliveries.models import Engine
from tests.factories import AccessTokenFactory, DeliveryFactory, IntegrationFactory, StoreFactory, UserFactory

pytestmark = pytest.mark.django_db


def problems() -> dict[str, Finding]:
    return {finding.check: finding for finding in examine() if finding.level == "problem"}


def warnings() -> dict[str, Finding]:
    return {finding.check: finding for finding in examine() if finding.level == "warning"}


@pytest.fixture
def healthy(settings):
    settings.OUTBOUND_ALLOW = []
    now = timezone.now()
    Engine.objects.create(host="h", slot=0, token="0" * 32, pid=1, started_at=now, beat_at=now)
    token = AccessTokenFactory()
    UserFactory()
    return IntegrationFactory(store=token.store)


def test_a_healthy_installation_has_nothing_to_complain_about(healthy):
    assert [finding for finding in examine() if finding.level != "ok"] == []
    call_command("doctor", stdout=io.StringIO())


def test_an_empty_one_lacks_worker_and_store():
    assert {"worker", "stores"} <= set(problems())
    assert "make run" in problems()["worker"].advice


def test_problems_exit_1_and_are_there_as_json():
    out = io.StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("doctor", "--json", stdout=out)

    document = json.loads(out.getvalue())
    assert stopped.value.code == 1
    assert document["ok"] is False
    assert {"check", "level", "message", "advice"} == set(document["findings"][0])


def test_a_worker_that_went_silent_is_a_problem(healthy):
    Engine.objects.update(beat_at=timezone.now() - timedelta(minutes=2))
    assert "last heartbeat" in problems()["worker"].message


def test_a_delivery_that_waits_is_a_problem(healthy):
    DeliveryFactory(due_at=timezone.now() - timedelta(minutes=5))
    assert "due" in problems()


def test_a_disabled_integration_is_told_with_its_reason(healthy):
    IntegrationFactory(store=healthy.store, name="Old mirror", is_enabled=False, disabled_reason="410 Gone")
    assert warnings()["integration"].message == "Old mirror is disabled: 410 Gone"


def test_a_store_without_a_token_is_a_problem(healthy):
    healthy.store.tokens.all().delete()
    StoreFactory()
    assert "tokens" in problems()


@pytest.mark.parametrize(("value", "level"), [("10.0.0.0/33", "problem"), ("0.0.0.0/0", "warning")])
def test_odd_outbound_networks_are_told(settings, value, level):
    settings.OUTBOUND_ALLOW = [value]
    found = problems() if level == "problem" else warnings()
    assert value in found["outbound"].message


def test_an_encryption_key_that_is_too_short_is_a_problem(settings):
    settings.ENCRYPTION_KEYS = ["short"]
    assert "16" in problems()["encryption"].message


def test_redis_that_does_not_answer_is_a_problem(healthy, settings, monkeypatch):
    def broken():
        raise ConnectionError("refused")

    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("django_q.brokers.get_broker", broken)
    assert "Redis" in problems()["queue"].message


def test_missing_migrations_are_a_problem(healthy, monkeypatch):
    from django.db.migrations.executor import MigrationExecutor
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(None)
    plan = [(loader.disk_migrations["deliveries", "0001_initial"], False)]
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: plan)
    assert "manage.py migrate" in problems()["migrations"].advice


@pytest.mark.parametrize("name", ["otel", "sentry"])
def test_an_extra_that_is_asked_for_and_not_there_is_named(
    name: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(_reporting()) == []
    settings.SENTRY_DSN = "https://key@sentry.example.com/1" if name == "sentry" else ""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318" if name == "otel" else "")
    (finding,) = _reporting()
    assert (finding.check, finding.level) == (name, "warning")
    assert f"hookdesk[{name}]" in finding.advice
