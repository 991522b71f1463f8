"""The history and the watch page say what was really sent, and lists do not pretend to have counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deliveries.dispatch.types import LEASE_GRACE
from deliveries.models import Delivery, Event
from deliveries.results.attempts import interrupted
from deliveries.storage import backend
from integrations.admin import lists
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import uuid7
from integrations.services import update_integration
from subscriptions.services import update_subscription
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, SubscriptionFactory, UserFactory
from tests.receiver import answer


@pytest.fixture
def refused(receiver: Any, deliver: Callable[..., int]) -> Delivery:
    integration = IntegrationFactory(url=receiver.url("/hook"), permanent_statuses=[422])
    receiver.script(answer(422), answer(200))
    event = EventFactory(store=integration.store, data={"id": "1", "phone": "0"})
    delivery: Delivery = DeliveryFactory(subscription=SubscriptionFactory(integration=integration), event=event)
    deliver()
    return delivery


def resent(admin: Client, delivery: Delivery, deliver: Callable[..., int]) -> str:
    admin.post(reverse("admin:deliveries_delivery_confirm", args=[delivery.pk]), {"action": "retry"})
    waiting = admin.get(reverse("admin:deliveries_delivery_change", args=[delivery.pk])).text
    assert "resent the same payload" in waiting
    deliver()
    page = admin.get(reverse("admin:deliveries_delivery_change", args=[delivery.pk])).text
    return page[page.index('<ol class="timeline">') :]


def test_the_same_request_again_is_unchanged(admin: Client, refused: Delivery, deliver: Callable[..., int]) -> None:
    assert "resent it unchanged" in resent(admin, refused, deliver)


def test_a_transform_that_was_changed_in_between_is_told(
    admin: Client, refused: Delivery, deliver: Callable[..., int]
) -> None:
    ada = Actor.of_user(UserFactory(username="ada"))
    update_subscription(subscription=refused.subscription, actor=ada, transform="{id: id, phone: '555'}")
    history = resent(admin, refused, deliver)
    assert "unchanged" not in history
    assert "the request differed" in history
    assert "555" in history
    assert "ada had changed the subscription: transform" in history


def test_a_url_and_headers_that_were_changed_in_between_are_told(
    admin: Client, refused: Delivery, deliver: Callable[..., int], receiver: Any
) -> None:
    ada = Actor.of_user(UserFactory(username="ada"))
    update_integration(integration=refused.integration, actor=ada, url=receiver.url("/moved"), headers={"X-Shop": "7"})
    history = resent(admin, refused, deliver)
    assert "unchanged" not in history
    assert "/moved" in history and "x-shop" in history
    assert "ada had changed the integration" in history


def test_the_header_of_the_watch_page_changes_with_what_is_below_it(
    admin: Client, refused: Delivery, deliver: Callable[..., int]
) -> None:
    admin.post(reverse("admin:deliveries_delivery_confirm", args=[refused.pk]), {"action": "retry"})
    page = admin.get(reverse("admin:deliveries_delivery_watch", args=[refused.pk])).text
    assert 'id="delivery-status"' in page
    live = reverse("admin:deliveries_delivery_watch_live", args=[refused.pk])
    before = admin.get(live)
    assert "X-Desk-Over" not in before.headers
    deliver()
    after = admin.get(live)
    header = after.text[after.text.index('<template data-into="delivery-status">') : after.text.index("</template>")]
    assert "succeeded" in header
    assert "Delivered." in after.text
    assert after.headers["X-Desk-Over"] == "1"


def test_the_watch_page_goes_on_while_anything_is_retried(admin: Client, refused: Delivery) -> None:
    live = reverse("admin:deliveries_delivery_watch_live", args=[refused.pk])
    Delivery.objects.filter(pk=refused.pk).update(status="retrying", due_at=timezone.now(), finished_at=None)
    answered = admin.get(live)
    assert "X-Desk-Over" not in answered.headers
    assert answered.headers["X-Desk-Every"] == "5"


@pytest.mark.parametrize("search", ["", "?q=42"])
def test_a_count_that_was_cut_off_says_so(
    admin: Client, db: None, monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    monkeypatch.setattr(lists, "LISTED_ROWS", 3)
    address = reverse("admin:deliveries_event_changelist") + search
    store = EventFactory(object_id="42").store
    for _ in range(2):
        EventFactory(store=store, object_id="42")
    page = admin.get(address).text
    assert "more than" not in page and "3 " in page
    EventFactory(store=store, object_id="42")
    assert Event.objects.count() == 4
    page = admin.get(address).text
    assert "more than 3" in page


def test_the_attempt_under_way_is_shown_and_one_whose_worker_died_says_what_is_not_known(
    admin: Client, db: None
) -> None:
    delivery = DeliveryFactory()
    since = timezone.now() - timedelta(seconds=3)
    until = since + timedelta(seconds=delivery.integration.timeout + LEASE_GRACE)
    Delivery.objects.filter(id=delivery.id).update(
        status="sending", lease=uuid7(), attempt_count=3, due_at=until, first_sent_at=since
    )
    backend().interrupt_attempts([interrupted(delivery.id, 2, "manual", 0, since)])
    page = admin.get(reverse("admin:deliveries_delivery_change", args=[delivery.pk])).text
    assert page.index("#3") < page.index("In progress.") < page.index("#2") < page.index("the worker died before")
    assert "Shown as soon as the attempt has ended." in page
    raw = reverse("admin:deliveries_delivery_raw", args=[delivery.pk, 3])
    assert raw not in page, "nothing to download yet"
