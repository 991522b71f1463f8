"""Two questions of support in a browser: why did they get nothing, and how does what is missing get there."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery, Replay
from deliveries.replay import step
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import uuid7
from subscriptions.models import SubscriptionVersion
from subscriptions.services import create_subscription
from tests.e2e.desk.accessibility import violations
from tests.e2e.desk.conftest import picture
from tests.factories import EventFactory, IntegrationFactory, StoreFactory
from tests.receiver import Receiver

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADA = Actor(None, "ada")


@pytest.fixture
def shop(receiver: Receiver) -> Any:
    """Since yesterday, SMS go out for the status "ready" only, and the shop sends "shipped"."""
    store = StoreFactory(name="Flower shop")
    sms = IntegrationFactory(store=store, name="Twilio SMS", slug="sms", url=receiver.url("/sms"))
    erp = IntegrationFactory(store=store, name="ERP", slug="erp", url=receiver.url("/erp"))
    found = create_subscription(
        store=store, actor=ADA, integration=sms, topics=["shipment.*"], filter="status == 'ready'"
    )
    create_subscription(store=store, actor=ADA, integration=erp, topics=["order.*"])
    ago = timezone.now() - timedelta(days=2)
    type(found).objects.update(created_at=ago, updated_at=ago)
    SubscriptionVersion.objects.update(since=ago)
    for number in range(37):
        at = timezone.now() - timedelta(minutes=20 * number + 5)
        EventFactory(
            id=uuid7(int(at.timestamp() * 1000)), store=store, occurred_at=at, object_id=str(4_700 + number),
            data={"id": str(4_700 + number), "status": "shipped", "phone": f"+49171{number:05}"},
        )  # fmt: skip
    return found


def is_fit(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_a_customer_got_nothing_and_support_finds_out_why(
    visit: Callable[..., Any], shop: Any, theme: str, width: int
) -> None:
    page = visit("Operator", theme=theme, width=width, name="mia")
    page.goto("/admin/deliveries/event/")
    page.get_by_role("link", name="Events nobody got").click()
    page.get_by_label("Object or text").fill("+4917100007")
    page.get_by_role("button", name="Show").click()
    why = "Twilio SMS: It does not pass the filter: status == 'ready' is false"
    page.get_by_text(why).wait_for()
    assert page.locator("tr[data-rows], table[data-rows] tbody tr").count() == 1
    assert is_fit(page)
    assert violations(page) == []
    picture(page, f"nobody-{theme}-{width}")
    page.get_by_role("link", name="shipment.updated").click()
    page.get_by_role("heading", name="Who did not get it, and why").wait_for()
    assert page.get_by_text('status is "shipped"').count() == 1
    page.get_by_text("1 subscription about other topics").click()
    page.get_by_text("It wants the topic order.*; this event has the topic shipment.updated.").wait_for()
    assert is_fit(page)
    assert violations(page) == []
    picture(page, f"why-not-{theme}-{width}")


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_the_filter_was_wrong_and_what_is_missing_is_delivered_once(
    visit: Callable[..., Any], shop: Any, running: Callable[[], None], theme: str, width: int
) -> None:
    page = visit("Manager", theme=theme, width=width, name="mia")
    page.goto(f"/admin/subscriptions/subscription/{shop.pk}/change/")
    page.get_by_role("link", name="Turned away by its filter").click()
    page.get_by_text('status is "shipped"').first.wait_for()
    picture(page, f"turned-away-{theme}-{width}")
    page.goto(f"/admin/subscriptions/subscription/{shop.pk}/change/")
    page.locator("#id_filter").fill("status == 'shipped'")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Backfill…").click()
    page.get_by_text("37 deliveries missing").or_(page.get_by_role("button", name="Deliver 37 events")).first.wait_for()
    assert is_fit(page)
    assert violations(page) == []
    picture(page, f"backfill-{theme}-{width}")
    page.get_by_role("button", name="Deliver 37 events").click()
    page.get_by_text("events looked at").wait_for()
    replay, now = Replay.objects.get(), timezone.now()
    for _ in range(60):
        if step(replay.pk, now).is_over:
            break
        running()
        now += timedelta(seconds=1)
    running()
    page.reload()
    page.get_by_text(re.compile("Done|done")).first.wait_for()
    picture(page, f"backfilled-{theme}-{width}")
    assert Delivery.objects.filter(status="succeeded", backfilled_by="mia").count() == 37
    page.goto(f"/admin/deliveries/replay/backfill/{shop.pk}/")
    page.get_by_text("Nothing is missing in this period.").wait_for()
    page.goto(f"/admin/deliveries/delivery/{Delivery.objects.latest('id').pk}/change/")
    page.get_by_text("backfilled by mia").wait_for()


def test_one_event_is_delivered_to_another_subscription(visit: Callable[..., Any], shop: Any) -> None:
    page = visit("Operator", name="mia")
    event = shop.store and EventFactory(store=shop.store, object_id="9", data={"id": "9", "status": "lost"})
    page.goto(f"/admin/deliveries/event/{event.pk}/change/")
    page.get_by_role("link", name="Deliver to…").click()
    page.get_by_label("order.* → ERP").check()
    picture(page, "deliver-to-light")
    page.get_by_role("button", name="Deliver it").click()
    page.get_by_text("It is on its way to ERP.").wait_for()
    assert Delivery.objects.get().event_id == event.pk
