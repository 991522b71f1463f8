"""The page of an integration's figures and objectives; and that no page calls healthy what delivers nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from deliveries.models import Delivery
from integrations.foundation.identifiers import uuid7
from integrations.models import AuditEntry, Integration, IntegrationHealth, Objectives
from tests.factories import DeliveryFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def integration() -> Integration:
    made: Integration = SubscriptionFactory(integration__name="ERP").integration
    return made


def ended(integration: Integration, status: str, ago: timedelta = timedelta(minutes=20)) -> Delivery:
    at = timezone.now() - ago
    made: Delivery = DeliveryFactory(
        id=uuid7(int(at.timestamp() * 1000)),
        subscription=integration.subscriptions.get(),
        status=status,
        created_at=at,
        finished_at=at + timedelta(milliseconds=40),
    )
    return made


def address(integration: Integration, name: str = "figures") -> str:
    return reverse(f"admin:deliveries_delivery_{name}", args=[integration.pk])


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d", "2y"])
def test_each_bar_opens_the_deliveries_that_it_counts(admin: Any, integration: Integration, window: str) -> None:
    wanted = {ended(integration, status).pk for status in ("succeeded", "succeeded", "failed")}
    ended(integration, "succeeded", timedelta(days=40))
    page = admin.get(address(integration), {"window": window}).text
    bars = re.findall(r'<a href="([^"]+)" aria-label="([^"]+)"', page.split('id="times"')[0])
    (full,) = [unescape(link) for link, title in bars if ": 0 delivered" not in title]
    listed = admin.get(full).text
    assert set(re.findall(r'name="id" value="([^"]+)"', listed)) == {str(pk) for pk in wanted}
    assert "succeeded or failed" in listed


def test_figures_of_an_integration_that_refuses_everything_say_so(admin: Any, integration: Integration) -> None:
    ended(integration, "failed")
    for page in (
        admin.get(address(integration)).text,
        admin.get(reverse("admin:integrations_integration_change", args=[integration.pk])).text,
        admin.get(reverse("admin:index")).text,
    ):
        assert "delivers nothing" in page
        assert "healthy" not in page
    assert "Nothing has been delivered in the last 24 hours" in admin.get(address(integration)).text


def test_one_that_fails_more_often_than_not_is_not_healthy_either(admin: Any, integration: Integration) -> None:
    IntegrationHealth.objects.create(integration=integration, recent=[["500", 150], ["ok", 3]])
    page = admin.get(reverse("admin:integrations_integration_changelist")).text
    assert "failing often" in page and "150 of the last 153 failed" in page
    assert "healthy" not in page


def test_no_open_case_is_not_called_well_while_deliveries_fail_or_wait(admin: Any, integration: Integration) -> None:
    index = reverse("admin:index")
    ended(integration, "succeeded")
    assert "Everything due has been delivered" in admin.get(index).text
    DeliveryFactory(subscription=integration.subscriptions.get(), due_at=timezone.now() - timedelta(minutes=9))
    assert "The oldest due delivery has waited" in admin.get(index).text
    ended(integration, "failed")
    page = admin.get(index).text
    assert "1 delivery is still failing" in page
    assert "Everything due has been delivered" not in page


def test_objectives_are_set_by_a_form_and_shown_with_their_budget(admin: Any, integration: Integration) -> None:
    for status in ("succeeded", "failed"):
        ended(integration, status)
    values = {"target": "99,9", "within": "60", "days": "7", "max_backlog": "", "max_wait": "300"}
    page = admin.post(address(integration, "objectives"), values, follow=True).text
    assert "99.9 % within 1 minute, 7 days" in page
    assert "spent: 1 failed or late" in page
    found = Objectives.objects.get()
    assert (found.target, found.within, found.days, found.max_backlog, found.max_wait) == (99.9, 60, 7, None, 300)
    assert AuditEntry.objects.filter(action="set objectives").count() == 1


def test_what_is_wrong_is_said_beside_its_field_and_nothing_typed_is_lost(admin: Any, integration: Integration) -> None:
    values = {"target": "all", "within": "60", "days": "7", "max_backlog": "-1", "max_wait": ""}
    response = admin.post(address(integration, "objectives"), values)
    assert response.status_code == 400
    assert "A target is a number from 50 to 99.999" in response.text and 'value="all"' in response.text
    assert not Objectives.objects.exists()
