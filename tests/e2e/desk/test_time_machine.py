"""A field is renamed in a browser: first tried on past events, then saved, and what differs is sent again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery, Replay, Simulation
from deliveries.simulation import runner
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import uuid7
from subscriptions.models import SubscriptionVersion
from subscriptions.services import create_subscription, update_subscription
from tests.e2e.desk.accessibility import violations
from tests.e2e.desk.conftest import picture
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, StoreFactory
from tests.receiver import Receiver

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADA = Actor(None, "ada")


@pytest.fixture
def shop(receiver: Receiver) -> Any:
    store = StoreFactory(name="Flower shop")
    sms = IntegrationFactory(store=store, name="Twilio SMS", slug="sms", url=receiver.url("/sms"))
    found = create_subscription(
        store=store, actor=ADA, integration=sms, topics=["shipment.*"], filter="status == 'ready'",
        transform="{id: id, phone: phone, parcels: parcels}",
    )  # fmt: skip
    SubscriptionVersion.objects.update(since=timezone.now() - timedelta(days=9))
    update_subscription(subscription=found, actor=ADA, path="send_sms")
    for number in range(40):
        at = timezone.now() - timedelta(minutes=20 * number + 5)
        event = EventFactory(
            id=uuid7(int(at.timestamp() * 1000)), store=store, occurred_at=at, object_id=str(4_700 + number),
            data={"id": str(4_700 + number), "status": "ready" if number % 4 else "shipped",
                  "phone": f"+49171{number:05}", "parcels": [{"sku": "rose"}] if number % 3 else "none"},
        )  # fmt: skip
        if number % 4:
            DeliveryFactory(subscription=found, event=event, status="succeeded")
    return found


def is_fit(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_a_field_is_renamed_and_what_differs_is_sent_again(
    visit: Callable[..., Any], shop: Any, theme: str, width: int
) -> None:
    page = visit("Manager", theme=theme, width=width, name="mia")

    def look(name: str) -> None:
        assert is_fit(page), name
        assert violations(page) == [], name
        picture(page, f"{name}-{theme}-{width}")

    page.goto(f"/admin/subscriptions/subscription/{shop.pk}/change/")
    page.get_by_text("✓ would be sent.").wait_for()
    page.get_by_label("Event id, topic, object or text; empty: the latest").fill("4700")
    page.get_by_text("– would not be sent.").wait_for()
    look("subscription-form")
    page.locator("#id_filter").fill("status != 'lost'")
    page.locator("#id_transform").fill("{id: id, mobile: phone, parcels: parcels[].sku}")
    page.get_by_role("button", name="Try on past events…").click()
    page.get_by_text("events compared").or_(page.get_by_role("progressbar")).first.wait_for()
    assert runner.run(Simulation.objects.get().pk)
    page.get_by_role("heading", name="Requests that differ").wait_for()
    look("time-machine")
    page.get_by_role("link", name="side by side").first.click()
    page.get_by_role("heading", name="One event, both ways").wait_for()
    look("time-machine-event")
    page.go_back()
    page.get_by_role("link", name="Save and resend the 30 that differ…").click()
    page.get_by_label("To resend: type 30").fill("30")
    look("time-machine-save")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("0 of 30").or_(page.get_by_text("Saved.")).first.wait_for()
    assert Replay.objects.get().total == 30
    assert Delivery.objects.count() == 30
    page.goto(f"/admin/subscriptions/subscription/{shop.pk}/versions/")
    page.get_by_role("heading", name="Compare any two").wait_for()
    look("versions")
    page.get_by_role("link", name="Put version 1 back").click()
    page.get_by_role("heading", name="What changes").wait_for()
    look("version-back")
