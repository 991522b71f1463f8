"""Whoever makes work due calls the engines: once, after the commit, and not at all where nothing became due."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from deliveries.models import Delivery
from deliveries.previews.ping import request_ping
from deliveries.resolution.actions import discard_delivery, release_hold, retry_delivery
from deliveries.storage import backend
from integrations.foundation.audit import HOOKDESK
from subscriptions.models import Subscription
from tests.conftest import Wakeups
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory

PUSH, EVENTS = "/api/v1/push", "/api/v1/events"


@pytest.fixture
def subscription(token: Any) -> Subscription:
    integration = IntegrationFactory(store=token.store)
    made: Subscription = SubscriptionFactory(integration=integration, topics=["shipment.*"])
    return made


@pytest.fixture
def send(token: Any) -> Callable[..., None]:
    def send(url: str, document: Any, *, status: int = 202, **headers: str) -> None:
        response = APIClient().generic(
            "POST", url, json.dumps(document), content_type="application/json", headers={**token.headers, **headers}
        )
        assert response.status_code == status, response.content

    return send


@pytest.mark.parametrize(
    ("url", "document", "deliveries"),
    [
        (PUSH, {"shipments": [{"id": "1"}]}, 1),
        (PUSH, {"shipments": [{"id": "1"}, {"id": "2"}, {"id": "3"}]}, 3),
        (EVENTS, {"topic": "shipment.lost", "data": {}}, 1),
        (EVENTS, [{"topic": "shipment.lost", "data": {}}, {"topic": "shipment.found", "data": {}}], 2),
    ],
    ids=["an object", "objects", "an event", "events"],
)
def test_a_push_wakes_once_however_much_it_makes_due(
    send: Callable[..., None], subscription: Subscription, wakeups: Wakeups, url: str, document: Any, deliveries: int
) -> None:
    send(url, document)
    assert (Delivery.objects.count(), wakeups.count) == (deliveries, 1)


@pytest.mark.parametrize(
    ("url", "document", "status"),
    [
        (PUSH, {"orders": [{"id": "1"}]}, 202),
        (EVENTS, {"topic": "order.lost", "data": {}}, 202),
        (PUSH, {"shipments": []}, 202),
        (PUSH, {"shipments": [{"no": "id"}]}, 400),
    ],
    ids=["objects nobody wants", "an event nobody wants", "nothing", "what is refused"],
)
def test_a_push_that_makes_nothing_due_wakes_nobody(
    send: Callable[..., None], subscription: Subscription, wakeups: Wakeups, url: str, document: Any, status: int
) -> None:
    send(url, document, status=status)
    assert (Delivery.objects.count(), wakeups.count) == (0, 0)


def test_what_changes_nothing_wakes_nobody(
    send: Callable[..., None], subscription: Subscription, wakeups: Wakeups
) -> None:
    send(PUSH, {"shipments": [{"id": "1", "status": "ready"}]})
    assert wakeups.take() == 1
    send(PUSH, {"shipments": [{"id": "1", "status": "ready"}]})
    assert (Delivery.objects.count(), wakeups.count) == (1, 0)


def test_a_repeated_push_with_its_key_wakes_nobody(
    send: Callable[..., None], subscription: Subscription, wakeups: Wakeups
) -> None:
    for expected in (1, 0):
        send(PUSH, {"shipments": [{"id": "1"}]}, **{"Idempotency-Key": "k"})
        assert (Delivery.objects.count(), wakeups.take()) == (1, expected)


ACTS: dict[str, Callable[[Subscription], object]] = {
    "retrying": lambda s: retry_delivery(delivery=DeliveryFactory(subscription=s, status="failed"), actor=HOOKDESK),
    "releasing": lambda s: release_hold(
        delivery=DeliveryFactory(subscription=s, status="pending", order_key="1", due_at=None), actor=HOOKDESK
    ),
    "discarding what others wait for": lambda s: discard_delivery(
        delivery=DeliveryFactory(subscription=s, status="failed", order_key="1"), actor=HOOKDESK
    ),
    "a test": lambda s: request_ping(subscription=s, now=timezone.now()),
}


@pytest.mark.parametrize("name", ACTS)
def test_what_staff_make_due_wakes_once_and_after_the_commit(
    subscription: Subscription, wakeups: Wakeups, django_capture_on_commit_callbacks: Any, name: str
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        ACTS[name](subscription)
        assert wakeups.count == 0, "whoever is woken before the commit finds nothing"
    assert wakeups.count == 1


def test_discarding_what_nobody_waits_for_wakes_nobody(
    subscription: Subscription, wakeups: Wakeups, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        discard_delivery(delivery=DeliveryFactory(subscription=subscription, status="failed"), actor=HOOKDESK)
    assert wakeups.count == 0


@pytest.mark.django_db(transaction=True)
def test_an_engine_that_waits_hears_of_a_push(
    send: Callable[..., None], subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notice itself: on PostgreSQL in the push's own statement, since nothing was pushed for a while."""
    if connection.vendor != "postgresql":
        pytest.skip("on SQLite an engine sees the commit, which tests/deliveries/runtime/test_notify.py is about")
    waiter = backend().make_waiter()
    try:
        monkeypatch.setattr("deliveries.runtime.notify.INLINE_AFTER", 0.0)
        assert not waiter.wait(0.1)
        send(PUSH, {"shipments": [{"id": "1"}]})
        assert waiter.wait(20)
        assert not waiter.wait(0.1), "once"
    finally:
        waiter.close()
