"""Feeds of a subscription as Intercom showed them, and pings."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from deliveries.models import Attempt, Delivery
from notifications.models import Notification
from tests.api_client import ApiClient, only_error
from tests.factories import AttemptFactory, DeliveryFactory, EventFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import Receiver, answer

AT = datetime(2016, 5, 10, 13, 52, 35, tzinfo=UTC)


@pytest.fixture
def client(db: None) -> ApiClient:
    return ApiClient()


def subscription_with_deliveries(client: ApiClient) -> Any:
    integration = IntegrationFactory(store=client.store, wire_format="notification")
    subscription = SubscriptionFactory(integration=integration)
    event = EventFactory(
        store=client.store, topic="user.created", object_type="user", data={"id": "5731"}, occurred_at=AT
    )
    for status in ("succeeded", "failed", "retrying", "pending"):
        delivery = DeliveryFactory(
            subscription=subscription, event=event, status=status, created_at=AT, first_sent_at=AT, attempt_count=2
        )
        AttemptFactory(delivery=delivery, number=1, response_body=b"first")
        AttemptFactory(delivery=delivery, number=2)
    return subscription


def test_what_was_sent_is_listed_in_intercoms_envelope(client: ApiClient) -> None:
    subscription = subscription_with_deliveries(client)

    body = client.get(f"subscriptions/nsub_{subscription.id}/sent").json()

    delivery = Delivery.objects.get(status="succeeded")
    assert body == {
        "type": "notification.list",
        "notifications": [
            {
                "type": "notification_event",
                "app_id": str(client.store.id),
                "data": {"type": "notification_event_data", "item": {"type": "user", "id": "5731"}},
                "links": {},
                "id": f"notif_{delivery.id}",
                "topic": "user.created",
                "delivery_status": "succeeded",
                "delivery_attempts": 2,
                "delivered_at": int(AT.timestamp()),
                "first_sent_at": int(AT.timestamp()),
                "created_at": int(AT.timestamp()),
                "self": None,
            }
        ],
        "pages": {"next": None},
    }


@pytest.mark.parametrize("name", ["error", "errors", "error/", "errors/"])
def test_errors_come_with_the_last_request(client: ApiClient, name: str) -> None:
    subscription = subscription_with_deliveries(client)

    body = client.get(f"subscriptions/nsub_{subscription.id}/{name}").json()

    assert [item["delivery_status"] for item in body["notifications"]] == ["retrying", "failed"]
    assert [item["delivered_at"] for item in body["notifications"]] == [0, 0]
    assert body["notifications"][0]["http_request"] == {
        "method": "POST",
        "url": "http://127.0.0.1:9/hook",
        "headers": {"Content-Type": "application/json"},
        "body": '{"type":"shipment.updated"}',
        "response": {"status": 500, "headers": {"Content-Type": "text/plain"}, "body": "out of paper"},
        "error": {"kind": "http_500", "message": "The receiver answered 500: out of paper"},
    }


def test_what_is_tried_again_has_a_feed_too_and_links_name_all_three(client: ApiClient) -> None:
    subscription = subscription_with_deliveries(client)
    links = client.get(f"subscriptions/nsub_{subscription.id}").json()["links"]

    found = {
        name: [
            item["delivery_status"]
            for item in client.get(url.removeprefix("http://testserver")).json()["notifications"]
        ]
        for name, url in links.items()
    }

    assert found == {"sent": ["succeeded"], "retry": ["retrying"], "errors": ["retrying", "failed"]}


def test_a_ping_of_a_subscription_is_delivered_signed_in_its_envelope(
    client: ApiClient, receiver: Receiver, deliver: Callable[..., int]
) -> None:
    body = client.post(
        "subscriptions", {"url": receiver.url(), "topics": ["user.created"], "hub_secret": "HELLO"}
    ).json()
    deliver()
    pinged = client.call("POST", f"subscriptions/{body['id']}/ping", b'""')
    deliver()

    assert pinged.status_code == 200
    assert pinged.json()["id"] == body["id"]
    assert len(receiver.requests) == 2
    for request in receiver.requests:
        sent = json.loads(request.body)
        assert (sent["topic"], sent["id"], sent["data"]["item"]["type"]) == ("ping", None, "ping")
        signature = hmac.new(b"HELLO", request.body, hashlib.sha1).hexdigest()
        assert request.header("X-Hub-Signature") == f"sha1={signature}"
    assert set(Attempt.objects.values_list("trigger", flat=True)) == {"test"}


def test_a_ping_of_an_integration_is_sent_at_once_and_answers_its_attempt(
    client: ApiClient, receiver: Receiver
) -> None:
    receiver.script(answer(500, b"not now"))
    IntegrationFactory(store=client.store, slug="mirror", url=receiver.url())

    response = client.post("integrations/mirror/ping")

    assert response.status_code == 200
    body = response.json()
    assert (body["number"], body["trigger"], body["request"]["url"]) == (1, "test", receiver.url())
    assert body["response"]["status"] == 500
    assert body["response"]["body"] == "not now"
    assert body["error"]["kind"] == "http_500"
    assert json.loads(receiver.requests[0].body)["type"] == "ping"
    assert not Delivery.objects.exclude(due_at=None).exists(), "a ping is never retried"
    assert not Notification.objects.exists()


def test_a_connector_without_a_way_to_check_says_so(client: ApiClient) -> None:
    integration = IntegrationFactory(store=client.store, slug="mail", connector="email", url="")
    subscription = SubscriptionFactory(integration=integration)

    for path in ("integrations/mail/ping", f"subscriptions/nsub_{subscription.id}/ping"):
        response = client.post(path)
        assert response.status_code == 400
        assert only_error(response)["code"] == "bad_request"
