"""The first page: within five seconds whoever is on call knows whether anything is wrong."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deliveries.models import Delivery, Engine
from tests.factories import AccessTokenFactory, DeliveryFactory, IntegrationFactory, StoreFactory, SubscriptionFactory


def alive() -> None:
    now = timezone.now()
    Engine.objects.create(host="here", slot=1, token=uuid.uuid4(), pid=1, started_at=now, beat_at=now)


def test_no_worker_is_the_first_thing_it_says_with_the_command(admin: Client, failed: Callable[..., Delivery]) -> None:
    failed()
    page = admin.get(reverse("admin:index")).text
    assert page.index("No worker is running") < page.index("accepted")
    assert "make run" in page
    alive()
    assert "No worker is running" not in admin.get(reverse("admin:index")).text


def test_a_worker_whose_heart_stopped_counts_as_none(admin: Client, db: None) -> None:
    alive()
    Engine.objects.update(beat_at=timezone.now() - timedelta(minutes=1))
    assert "no worker running" in admin.get(reverse("admin:desk_heartbeat")).text


def test_an_empty_house_shows_the_steps_in_order(admin: Client, db: None) -> None:
    page = admin.get(reverse("admin:index")).text
    assert "Five steps" in page
    assert "createstore" in page
    store = StoreFactory()
    AccessTokenFactory(store=store)
    integration = IntegrationFactory(store=store)
    SubscriptionFactory(integration=integration)
    page = admin.get(reverse("admin:index")).text
    assert page.count('<li class="done">') == 4
    assert f"X-Hub-Store: {store.pk}" in page


def test_what_fails_has_its_line_and_its_button(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed(others=4)
    page = admin.get(reverse("admin:index")).text
    assert "is not a phone number" in page
    assert f'group={delivery.failure_group_id}">5</a>' in page
    assert reverse("admin:deliveries_failuregroup_resolve", args=[delivery.failure_group_id]) in page


def test_figures_follow_the_window_and_the_store(admin: Client, db: None) -> None:
    now = timezone.now()
    alive()
    for ago in (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=5)):
        at = now - ago
        from integrations.foundation.identifiers import uuid7

        DeliveryFactory(
            id=uuid7(int(at.timestamp() * 1000)),
            status="succeeded",
            created_at=at,
            finished_at=at + timedelta(milliseconds=40),
        )
    one = Delivery.objects.order_by("-id").first()
    assert one is not None

    def delivered(**parameters: object) -> str:
        page = admin.get(reverse("admin:index"), parameters).text
        return page.split("<dt>delivered</dt><dd>")[1].split()[0].split("<")[0]

    assert delivered(window="1h") == "2"
    assert delivered(window="24h") == "3"
    assert delivered(window="7d") == "3"
    assert delivered(window="24h", store=str(one.store_id)) == "1"
    assert delivered(window="nonsense", store="nonsense") == "3"


def test_nothing_wrong_says_so(admin: Client, db: None) -> None:
    alive()
    DeliveryFactory(status="succeeded")
    assert "Everything due has been delivered" in admin.get(reverse("admin:index")).text


def test_a_disabled_integration_needs_somebody(admin: Client, db: None) -> None:
    delivery = DeliveryFactory(status="succeeded")
    delivery.integration.is_enabled = False
    delivery.integration.disabled_reason = "it answered 410"
    delivery.integration.save()
    assert "disabled: it answered 410" in admin.get(reverse("admin:index")).text
