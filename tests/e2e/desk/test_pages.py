"""Every page in a browser: light and dark, wide and narrow, accessible, inert, and as pictures for the docs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Engine, FailureGroup
from integrations.foundation.identifiers import uuid7
from integrations.models import IntegrationHealth
from notifications.models import Notification
from tests.e2e.desk.accessibility import is_focus_seen, problems
from tests.e2e.desk.conftest import picture
from tests.e2e.desk.morning import SmsApp, failing_morning, shipment
from tests.factories import (
    AccessTokenFactory,
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    IntegrationFactory,
    RecordFactory,
    SecretFactory,
    SubscriptionFactory,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Names, payloads and answers as an attacker would choose them (promise 22).
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "'-alert(4)-'",
    "javascript:alert(5)",
    "{{ 7*7 }}{% debug %}",
    "</textarea><script>alert(6)</script>",
    "</title><script>alert(7)</script>",
    '=HYPERLINK("http://x")',
    "\u202etxt.exe",
]

#: Elements that only a hostile text can have made.
ALIVE = "document.querySelectorAll('img[src=x], svg[onload], script:not([src]), a[href^=javascript]').length"


def addresses(delivery: Any, integration: Any) -> dict[str, str]:
    at = f"/admin/deliveries/delivery/{delivery.pk}"
    return {
        "dashboard": "/admin/",
        "deliveries": "/admin/deliveries/delivery/",
        "all-deliveries": "/admin/deliveries/delivery/?tab=all",
        "delivery": f"{at}/change/",
        "diagnose": f"{at}/resolve/",
        "editor": f"{at}/resolve/edit/",
        "discard": f"{at}/resolve/confirm/?action=discard",
        "watch": f"{at}/resolve/watch/",
        "failures": "/admin/deliveries/failuregroup/",
        "failure": f"/admin/deliveries/failuregroup/{delivery.failure_group_id}/change/",
        "bulk-resend": "/admin/deliveries/replay/add/?status=failed",
        "notifications": "/admin/notifications/notification/",
        "channels": "/admin/notifications/channel/add/",
        "integrations": "/admin/integrations/integration/",
        "kinds": "/admin/integrations/integration/add/",
        "new-integration": "/admin/integrations/integration/add/?kind=hub",
        "integration": f"/admin/integrations/integration/{integration.pk}/change/",
        "test": f"/admin/deliveries/delivery/test/{integration.pk}/",
        "subscriptions": "/admin/subscriptions/subscription/",
        "subscription": f"/admin/subscriptions/subscription/{delivery.subscription_id}/change/",
        "topic": "/admin/subscriptions/topic/add/",
        "store": f"/admin/integrations/store/{delivery.store_id}/change/",
        "audit": "/admin/integrations/auditentry/",
        "events": "/admin/deliveries/event/",
        "event": f"/admin/deliveries/event/{delivery.event_id}/change/",
        "users": "/admin/auth/user/",
    }


@pytest.fixture
def busy_day(receiver: Any, running: Callable[..., None]) -> Any:
    """A day of deliveries on three integrations, one of which refuses."""
    now = timezone.now()
    receiver.script(SmsApp())
    morning = failing_morning(receiver.url(""), 12)
    running()
    delivery = morning.deliveries[0]
    delivery.refresh_from_db()
    AccessTokenFactory(store=morning.store, name="shop plugin")
    SecretFactory(integration=delivery.integration)
    RecordFactory(store=morning.store, external_id=delivery.event.object_id, data=delivery.event.data)
    erp = IntegrationFactory(store=morning.store, name="ERP", slug="erp")
    subscription = SubscriptionFactory(integration=erp, topics=["order.*"])
    for position in range(240):
        at = now - timedelta(minutes=position * 5 + (position * 7) % 11)
        event = EventFactory(
            id=uuid7(int(at.timestamp() * 1000)), store=morning.store, topic="order.created", object_type="order",
            occurred_at=at, data={"id": str(position)},
        )  # fmt: skip
        for copy in range(1 + position % 3):
            DeliveryFactory(
                id=uuid7(int(at.timestamp() * 1000) + copy), subscription=subscription, event=event, status="succeeded",
                created_at=at, finished_at=at + timedelta(milliseconds=40 + position * 3 % 400), attempt_count=1,
            )  # fmt: skip
    slow = FailureGroupFactory(integration=erp, kind="timeout", message="No answer within 30 s", occurrences=5)
    for _ in range(5):
        DeliveryFactory(
            subscription=subscription, status="retrying", due_at=now + timedelta(minutes=4), failure_group=slow,
            last_error="No answer within 30 s", attempt_count=2,
        )  # fmt: skip
    IntegrationHealth.objects.update_or_create(
        integration=erp, defaults={"breaker": "half_open", "probe_at": now + timedelta(seconds=12)}
    )
    Engine.objects.all().delete()
    Engine.objects.create(host="desk", slot=9, token=uuid.uuid4(), pid=1, started_at=now, beat_at=now)
    return delivery


PICTURES = {"dashboard", "deliveries", "delivery", "failures", "integration", "kinds", "subscription", "store"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible_and_fit_wide_and_narrow(visit: Callable[..., Any], busy_day: Any, theme: str) -> None:
    page = visit(theme=theme, name="anna")
    found: dict[str, Any] = {}
    for name, address in addresses(busy_day, busy_day.integration).items():
        page.set_viewport_size({"width": 1280, "height": 800})
        assert page.goto(address).status == 200, name
        if name in PICTURES:
            picture(page, f"{name}-{theme}")
        found[name] = problems(page)
        page.set_viewport_size({"width": 390, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            found[name] = [*found[name], f"{wide} px wider than a phone"]
        if name == "dashboard":
            picture(page, f"{name}-phone-{theme}")
    lines = [f"{name}: {problem}" for name, problems_of in found.items() for problem in problems_of]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("name", ["dashboard", "deliveries", "delivery", "editor", "integration"])
def test_the_focus_is_always_seen(visit: Callable[..., Any], busy_day: Any, name: str) -> None:
    page = visit()
    page.goto(addresses(busy_day, busy_day.integration)[name])
    assert is_focus_seen(page)


@pytest.mark.parametrize("text", ["".join(HOSTILE[:4]), "".join(HOSTILE[4:7]), "".join(HOSTILE[7:])])
def test_what_others_wrote_is_inert_everywhere(
    visit: Callable[..., Any], receiver: Any, running: Any, text: str
) -> None:
    """No dialog opens and the policy is not asked once: `visit` fails on any complaint of the browser."""
    receiver.script(SmsApp())
    morning = failing_morning(receiver.url(""), 1)
    delivery = morning.deliveries[0]
    data = {**shipment(1, text), text: [text], "note": text}
    type(delivery.event).objects.filter(pk=delivery.event_id).update(data=data, object_id=text, topic=text)
    type(delivery).objects.filter(pk=delivery.pk).update(topic=text)
    type(delivery.integration).objects.filter(pk=delivery.integration_id).update(name=text)
    type(delivery.store).objects.filter(pk=delivery.store_id).update(name=text)
    running()
    delivery.refresh_from_db()
    FailureGroup.objects.update(message=text, kind="x")
    Notification.objects.update(summary=text)
    page = visit()
    for name, address in addresses(delivery, delivery.integration).items():
        assert page.goto(address).status == 200, name
        page.wait_for_timeout(60)
        assert page.evaluate(ALIVE) == 0, name
