"""The lists: tabs, filters, pages by id; their queries do not grow with their rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from deliveries.admin import changelist
from deliveries.models import Delivery
from integrations.models import AuditEntry
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, NotificationFactory, SubscriptionFactory

LIST = "admin:deliveries_delivery_changelist"


def topics_on(page: str) -> list[str]:
    return re.findall(r'<span class="quiet words">([^<]+)</span>', page)


def made(number: int, **values: Any) -> list[Delivery]:
    subscription = SubscriptionFactory()
    return [
        DeliveryFactory(subscription=subscription, event=EventFactory(store=subscription.store), **values)
        for _ in range(number)
    ]


def test_the_first_tab_has_what_needs_somebody(admin: Client, db: None) -> None:
    failed, retrying, succeeded = (made(1, status=status)[0] for status in ("failed", "retrying", "succeeded"))
    page = admin.get(reverse(LIST)).text
    assert str(failed.pk) in page
    assert str(retrying.pk) not in page
    assert str(succeeded.pk) not in page
    assert str(retrying.pk) in admin.get(reverse(LIST), {"tab": "retrying"}).text
    assert str(succeeded.pk) in admin.get(reverse(LIST), {"tab": "all"}).text


def test_pages_go_by_id_forth_and_back(admin: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelist, "PAGE_SIZE", 3)
    rows = sorted(made(8, status="failed"), key=lambda row: row.pk, reverse=True)
    ids = [row.event.object_id for row in rows]
    first = admin.get(reverse(LIST)).text
    assert topics_on(first) == ids[:3]
    assert "← Newer" not in first
    second = admin.get(reverse(LIST), {"before": rows[2].pk}).text
    assert topics_on(second) == ids[3:6]
    assert topics_on(admin.get(reverse(LIST), {"after": rows[3].pk}).text) == ids[:3]
    last = admin.get(reverse(LIST), {"before": rows[5].pk}).text
    assert topics_on(last) == ids[6:]
    assert "Older →" not in last


@pytest.mark.parametrize("parameters", [{"q": "nothing like it"}, {"before": "no id"}, {"after": "\x01"}, {"tab": "?"}])
def test_odd_parameters_are_no_error(admin: Client, db: None, parameters: dict[str, str]) -> None:
    made(1, status="failed")
    assert admin.get(reverse(LIST), parameters).status_code == 200


@pytest.mark.parametrize("parameters", [{"integration": "none"}, {"since": "yesterday"}, {"store": "x"}])
def test_a_filter_that_is_wrong_says_so(admin: Client, db: None, parameters: dict[str, str]) -> None:
    made(1, status="failed")
    assert 'role="alert"' in admin.get(reverse(LIST), parameters).text


def test_search_finds_an_objects_id_and_a_topic(admin: Client, db: None) -> None:
    rows = made(2, status="failed")
    wanted = rows[0].event.object_id
    assert topics_on(admin.get(reverse(LIST), {"q": wanted}).text) == [wanted]
    assert len(topics_on(admin.get(reverse(LIST), {"q": "shipment"}).text)) == 2


def test_nothing_there_says_what_would_be(admin: Client, db: None) -> None:
    assert "Nothing needs attention" in admin.get(reverse(LIST)).text


def test_the_bulk_links_carry_the_filter_and_no_ids(admin: Client, db: None) -> None:
    row = made(1, status="failed")[0]
    page = admin.get(reverse(LIST), {"integration": row.integration_id, "since": "24h"}).text
    link = re.search(r'href="([^"]*replay/add[^"]*)"', page)
    assert link is not None
    assert f"integration={row.integration_id}" in link[1]
    assert "status=failed" in link[1]
    assert "since=20" in link[1]  # the moment, not "24h": the list does not grow while one reads


def test_selected_ones_are_discarded_after_a_question(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed(others=2)
    succeeded = made(1, status="succeeded")[0]
    ids = [str(delivery.pk), str(succeeded.pk)]
    asked = admin.post(reverse("admin:deliveries_delivery_selection"), {"id": ids, "action": "discard"})
    assert 'Discard <span data-sum="1">1</span> delivery' in asked.text
    assert "Skipped" in asked.text
    assert Delivery.objects.filter(status="discarded").count() == 0
    admin.post(reverse("admin:deliveries_delivery_selection"), {"id": ids, "action": "discard", "confirmed": "1"})
    assert Delivery.objects.filter(status="discarded").get() == delivery
    assert AuditEntry.objects.filter(action="discard", target_id=str(delivery.pk)).exists()


def test_selected_ones_that_were_delivered_are_resent_only_with_a_tick(
    admin: Client, failed: Callable[..., Delivery]
) -> None:
    delivery, succeeded = failed(), made(1, status="succeeded")[0]
    form: dict[str, Any] = {"id": [str(delivery.pk), str(succeeded.pk)], "action": "retry"}
    address = reverse("admin:deliveries_delivery_selection")
    assert "also 1 that was delivered: receivers get it twice" in admin.post(address, form).text
    admin.post(address, {**form, "confirmed": "1"})
    assert list(Delivery.objects.filter(status="pending")) == [delivery]
    admin.post(address, {**form, "confirmed": "1", "also": "on"})
    assert Delivery.objects.filter(status="pending").count() == 2


def test_selected_ones_go_into_the_wizard_together(admin: Client, failed: Callable[..., Delivery]) -> None:
    failed(others=2)
    rows = list(Delivery.objects.order_by("-id"))
    response = admin.post(
        reverse("admin:deliveries_delivery_selection"), {"id": [str(row.pk) for row in rows], "action": "resolve"}
    )
    assert response.headers["Location"] == reverse("admin:deliveries_delivery_resolve", args=[rows[0].pk])


def many(number: int) -> None:
    """`number` rows in every list, each of another integration and store."""
    for _ in range(number):
        for status in ("failed", "retrying", "succeeded"):
            delivery = DeliveryFactory(
                subscription=SubscriptionFactory(integration=IntegrationFactory()), status=status
            )
        from tests.factories import AttemptFactory, FailureGroupFactory, RecordFactory

        AttemptFactory(delivery=delivery, outcome="succeeded")
        FailureGroupFactory(integration=delivery.integration, sample=delivery)
        NotificationFactory(store=delivery.store, integration=delivery.integration)
        RecordFactory(store=delivery.store)


ADDRESSES = {
    "dashboard": "admin:index",
    "deliveries": LIST,
    "all deliveries": LIST,
    "failures": "admin:deliveries_failuregroup_changelist",
    "notifications": "admin:notifications_notification_changelist",
    "integrations": "admin:integrations_integration_changelist",
    "subscriptions": "admin:subscriptions_subscription_changelist",
    "events": "admin:deliveries_event_changelist",
    "records": "admin:deliveries_record_changelist",
    "attempts": "admin:deliveries_attempt_changelist",
    "stores": "admin:integrations_store_changelist",
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_queries_do_not_grow_with_the_rows(admin: Client, db: None, name: str) -> None:
    address = reverse(ADDRESSES[name]) + ("?tab=all" if name == "all deliveries" else "")
    many(2)
    admin.get(address)  # what is counted or cached once
    with CaptureQueriesContext(connection) as few:
        admin.get(address)
    many(6)
    with CaptureQueriesContext(connection) as more:
        admin.get(address)
    assert len(more) <= len(few)
    assert len(more) < 25


def test_the_pages_of_a_delivery_cost_the_same_with_many_attempts(admin: Client, db: None) -> None:
    from tests.factories import AttemptFactory

    delivery = DeliveryFactory(status="failed", attempt_count=30)
    address = reverse("admin:deliveries_delivery_change", args=[delivery.pk])
    for number in range(1, 5):
        AttemptFactory(delivery=delivery, number=number)
    with CaptureQueriesContext(connection) as few:
        admin.get(address)
    for number in range(5, 30):
        AttemptFactory(delivery=delivery, number=number)
    with CaptureQueriesContext(connection) as more:
        page = admin.get(address).text
    assert len(more) <= len(few)
    assert page.count('<div class="wire">') == 3  # the others are fetched when they are opened
    assert "data-src" in page
