"""`GET /api/v1/integrations/{id}/stats` and `…/objectives`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.foundation.identifiers import uuid7
from tests.api_client import ApiClient, only_error
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> ApiClient:
    """Of a store whose integration `erp` got a delivery and failed another."""
    made = ApiClient()
    integration = IntegrationFactory(store=made.store, slug="erp")
    subscription = SubscriptionFactory(store=made.store, integration=integration)
    at = timezone.now() - timedelta(minutes=20)
    for status in ("succeeded", "failed"):
        DeliveryFactory(
            id=uuid7(int(at.timestamp() * 1000)), subscription=subscription, status=status, created_at=at,
            finished_at=at + timedelta(milliseconds=45),
        )  # fmt: skip
    return made


def test_stats_give_figures_history_and_no_budget_without_an_objective(client: ApiClient) -> None:
    found = client.get("integrations/erp/stats?window=1h").json()
    assert (found["accepted"], found["delivered"], found["retried"], found["failed"]) == (2, 1, 0, 1)
    assert 40 <= found["push_to_delivered"]["p50"] <= 50
    assert found["receiver"] == {"p50": None, "p95": None, "p99": None}
    assert (found["budget"], found["failing_since"], found["backlog"]) == (None, None, 0)
    assert len(found["history"]) == 12
    assert sum(one["failed"] for one in found["history"]) == 1
    assert client.get("integrations/erp/stats").json()["window"] == "24h"


def test_an_objective_that_is_set_has_its_budget_in_the_stats(client: ApiClient) -> None:
    body = {"target": 75, "within": 60, "days": 7, "max_backlog": 100}
    assert client.patch("integrations/erp/objectives", body).json() == {**body, "max_wait": None}
    assert client.patch("integrations/erp/objectives", {"max_backlog": None}).json()["target"] == 75
    assert client.get("integrations/erp/objectives").json()["max_backlog"] is None
    budget = client.get("integrations/erp/stats").json()["budget"]
    assert (budget["total"], budget["bad"], budget["allowed"]) == (2, 1, 0.5)
    assert (budget["spent"], budget["left"], budget["kept"], budget["burn_rate"]) == (2, 0, 0.5, 2)


def test_what_cannot_be_is_refused_by_name(client: ApiClient) -> None:
    assert only_error(client.get("integrations/erp/stats?window=2h"))["field"] == "window"
    assert only_error(client.patch("integrations/erp/objectives", {"target": 100}))["field"] == "target"
    assert client.get("integrations/erp/objectives").json()["target"] is None
    for path in ("stats", "objectives"):
        assert client.get(f"integrations/unknown/{path}").status_code == 404
        assert ApiClient().get(f"integrations/erp/{path}").status_code == 404
