"""What an integration looks like while it refuses everything, and once it does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deliveries.dispatch import pacing
from deliveries.models import Delivery
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import answer


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    """A process of its own: ids of earlier tests come again."""
    pacing.written_health.clear()
    pacing.unwritten_successes.clear()


def pages_of(client: Client, integration: Any) -> dict[str, str]:
    return {
        "dashboard": client.get(reverse("admin:index")).text,
        "fragment": client.get(reverse("admin:desk_fragment")).text,
        "list": client.get(reverse("admin:integrations_integration_changelist")).text,
        "detail": client.get(reverse("admin:integrations_integration_change", args=[integration.pk])).text,
    }


def test_one_that_refuses_everything_is_failing_everywhere_until_a_success(
    admin: Client, receiver: Any, deliver: Callable[..., int]
) -> None:
    integration = IntegrationFactory(name="ERP", url=receiver.url("/hook"), retry_policy=[60, 60])
    subscription = SubscriptionFactory(integration=integration)
    receiver.script(answer(401))
    for _ in range(15):
        DeliveryFactory(subscription=subscription)
    deliver()
    for name, page in pages_of(admin, integration).items():
        assert "failing since" in page, name
        assert "15 of the last 15 refused with 401" in page, name
        assert "healthy" not in page, name
    page = admin.get(reverse("admin:index")).text
    assert page.index("Nothing gets through to") < page.index("<dt>accepted</dt>")
    assert f'href="{reverse("admin:integrations_integration_change", args=[integration.pk])}">ERP' in page
    integration.refresh_from_db()
    assert integration.state == "failing"

    receiver.script(answer(200))
    Delivery.objects.filter(pk=Delivery.objects.earliest("id").pk).update(due_at=timezone.now())
    deliver()
    for name, page in pages_of(admin, integration).items():
        assert "failing since" not in page, name
        assert "Nothing gets through" not in page, name
        assert "failing often" in page, name
        assert "healthy" not in page, name


def test_what_is_retried_is_not_delivered(admin: Client, db: None) -> None:
    subscription = SubscriptionFactory()
    now = timezone.now()
    for status in ("succeeded", "retrying", "retrying", "retrying"):
        values = {"finished_at": now} if status == "succeeded" else {"due_at": now + timedelta(hours=1)}
        DeliveryFactory(subscription=subscription, status=status, **values)
    page = admin.get(reverse("admin:index")).text
    assert "<dt>delivered</dt><dd>1 <small>25 %</small>" in page
    assert 'data-label="delivered">25 %' in page
    detail = admin.get(reverse("admin:integrations_integration_change", args=[subscription.integration_id])).text
    assert "1 delivered (25 %)" in detail


def test_another_engines_trouble_ends_with_the_first_success(receiver: Any, deliver: Callable[..., int]) -> None:
    integration = IntegrationFactory(url=receiver.url("/hook"))
    subscription = SubscriptionFactory(integration=integration)
    DeliveryFactory(subscription=subscription)
    deliver()  # this engine has just noted that all is well
    assert pacing.written_health[integration.pk][1]
    type(integration.health).objects.filter(pk=integration.pk).update(first_failure_at=timezone.now())
    DeliveryFactory(subscription=subscription)
    deliver()
    integration.health.refresh_from_db()
    assert integration.health.first_failure_at is None


def test_successes_cost_no_statement_of_their_own_and_are_not_forgotten(
    receiver: Any, deliver: Callable[..., int]
) -> None:
    integration = IntegrationFactory(url=receiver.url("/hook"))
    subscription = SubscriptionFactory(integration=integration)
    for _ in range(4):
        DeliveryFactory(subscription=subscription)
        deliver()
    integration.health.refresh_from_db()
    assert integration.health.latest.total == 1  # the others wait in memory
    receiver.script(answer(500, b"busy"))
    DeliveryFactory(subscription=subscription)
    deliver()
    integration.health.refresh_from_db()
    assert integration.health.recent == [["ok", 4], ["500", 1]]


def test_the_api_shows_it(receiver: Any, deliver: Callable[..., int]) -> None:
    integration = IntegrationFactory(url=receiver.url("/hook"))
    receiver.script(answer(401))
    DeliveryFactory(subscription=SubscriptionFactory(integration=integration))
    deliver()
    from integrations.api.views import integration_json

    integration.refresh_from_db()
    shown = integration_json(integration)["health"]
    assert (shown["state"], shown["failures_in_a_row"], shown["last_failure"]) == ("failing", 1, "401")
    assert shown["failing_since"] is not None
