"""`/api/v1/deliveries` and their attempts (docs/contract.md#management-api)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.dispatch.types import LEASE_GRACE
from deliveries.models import Delivery
from integrations.foundation.identifiers import uuid7
from integrations.security.encryption import encrypt_bytes
from tests.api_client import ApiClient, only_error
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    IntegrationFactory,
    SubscriptionFactory,
)

pytestmark = pytest.mark.django_db


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["items"]]


def test_a_delivery_is_shown_exactly_so(client: ApiClient, subscription: Any) -> None:
    at = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
    delivery = DeliveryFactory(
        subscription=subscription,
        status="retrying",
        created_at=at,
        due_at=at + timedelta(minutes=5),
        attempt_count=1,
        last_status=500,
        last_error="The receiver answered 500: out of paper",
    )

    body = client.get(f"deliveries/{delivery.public_id}").json()

    assert body == {
        "id": f"dlv_{delivery.id.hex}",
        "status": "retrying",
        "event": {
            "id": f"evt_{delivery.event_id.hex}",
            "topic": "shipment.updated",
            "intent": None,
            "data": {"id": delivery.event.object_id, "status": "sent"},
        },
        "subscription": f"nsub_{subscription.id}",
        "integration": "mirror",
        "request_id": delivery.id.hex,
        "attempts": 1,
        "next_attempt_at": "2026-01-31T08:05:00Z",
        "last_status": 500,
        "last_error": "The receiver answered 500: out of paper",
        "created_at": "2026-01-31T08:00:00Z",
        "finished_at": None,
        "backfilled_by": None,
        "erased_at": None,
    }
    assert client.get(f"deliveries/{delivery.request_id}/").json() == body
    assert client.get("deliveries").json() == {"items": [body], "pages": {"next": None}}


def test_a_finished_delivery_of_an_intent_has_no_next_attempt(client: ApiClient, subscription: Any) -> None:
    event = EventFactory(store=client.store, topic=None, intent="order_pizza", object_type="order_pizza")
    DeliveryFactory(subscription=subscription, event=event, status="succeeded", last_status=204)

    item = client.get("deliveries").json()["items"][0]

    assert (item["event"]["topic"], item["event"]["intent"]) == (None, "order_pizza")
    assert (item["next_attempt_at"], item["last_error"]) == (None, None)
    assert item["finished_at"] is not None


def test_attempts_are_shown_in_their_order_with_request_and_answer(client: ApiClient, subscription: Any) -> None:
    at = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
    delivery = sending(subscription, at)
    AttemptFactory(delivery=delivery, number=1, started_at=at, response_headers=[["A", "1"], ["A", "2"]])
    AttemptFactory(
        delivery=delivery,
        number=2,
        started_at=at,
        response_status=None,
        response_headers=None,
        response_body=None,
        error_kind="timeout",
        error_message="No answer within 30 s.",
    )

    first, second, third = client.get(f"deliveries/{delivery.public_id}/attempts").json()["items"]
    assert client.get(f"deliveries/{delivery.public_id}/attempts?order=desc").json()["items"] == [second, first]
    assert client.get(f"deliveries/{delivery.public_id}/attempts?order=x").status_code == 400

    request = {
        "method": "POST",
        "url": "http://127.0.0.1:9/hook",
        "headers": {"Content-Type": "application/json"},
        "body": '{"type":"shipment.updated"}',
    }
    assert first == {
        "number": 1,
        "trigger": "scheduled",
        "outcome": "failed",
        "started_at": "2026-01-31T08:00:00Z",
        "duration_ms": 12,
        "subscription_version": None,
        "request": request,
        "response": {"status": 500, "headers": {"A": "1, 2"}, "body": "out of paper"},
        "error": {"kind": "http_500", "message": "The receiver answered 500: out of paper"},
    }
    assert (second["response"], second["error"]) == (None, {"kind": "timeout", "message": "No answer within 30 s."})
    assert third == {
        "number": 3,
        "trigger": "manual",
        "outcome": "running",
        "started_at": "2026-01-31T08:00:00Z",
        "duration_ms": None,
        "subscription_version": None,
        "request": None,
        "response": None,
        "error": None,
    }


def sending(subscription: Any, since: datetime) -> Delivery:
    """In its third attempt."""
    return DeliveryFactory(
        subscription=subscription,
        status="sending",
        lease=uuid7(),
        attempt_count=3,
        trigger="manual",
        first_sent_at=since - timedelta(hours=1),
        due_at=since + timedelta(seconds=subscription.integration.timeout + LEASE_GRACE),
    )


def test_pages_of_attempts_end_with_the_one_that_is_under_way(client: ApiClient, subscription: Any) -> None:
    delivery = sending(subscription, datetime(2026, 1, 31, 8, 0, tzinfo=UTC))
    for number in (1, 2):
        AttemptFactory(delivery=delivery, number=number)
    for limit in (1, 2, 3):
        numbers, url = [], f"deliveries/{delivery.public_id}/attempts?limit={limit}"
        while url:
            body = client.get(url).json()
            numbers += [item["number"] for item in body["items"]]
            url = body["pages"]["next"] and body["pages"]["next"].partition("/api/v1/")[2]
        assert numbers == [1, 2, 3]


def test_an_attempt_that_ended_while_it_was_looked_at_is_listed_once(client: ApiClient, subscription: Any) -> None:
    delivery = sending(subscription, datetime(2026, 1, 31, 8, 0, tzinfo=UTC))
    for number in (1, 2, 3):
        AttemptFactory(delivery=delivery, number=number)
    items = client.get(f"deliveries/{delivery.public_id}/attempts").json()["items"]
    assert [(item["number"], item["outcome"]) for item in items] == [(1, "failed"), (2, "failed"), (3, "failed")]


def test_parameters_in_a_stored_body_are_masked(client: ApiClient) -> None:
    integration = IntegrationFactory(store=client.store, wire_format="hub", parameters={"key": "par-canary"})
    delivery = DeliveryFactory(subscription=SubscriptionFactory(integration=integration))
    body = b'{"request_id":"1","parameters":{"key":"par-canary","old":"old-canary"},"shipment":{}}'
    AttemptFactory(delivery=delivery, number=1, request_body=encrypt_bytes(body), is_body_encrypted=True)

    response = client.get(f"deliveries/{delivery.public_id}/attempts")

    assert "canary" not in response.content.decode()
    shown = response.json()["items"][0]["request"]["body"]
    assert shown == '{"request_id":"1","parameters":{"key":"***","old":"***"},"shipment":{}}'


def test_bytes_that_are_no_text_are_shown_as_far_as_they_are(client: ApiClient, subscription: Any) -> None:
    delivery = DeliveryFactory(subscription=subscription)
    AttemptFactory(delivery=delivery, number=1, response_body=b"\xff\x00ok")

    response = client.get(f"deliveries/{delivery.public_id}/attempts").json()["items"][0]["response"]

    assert response["body"] == "\ufffd\x00ok"


class TestFilters:
    def test_by_status(self, client: ApiClient, subscription: Any) -> None:
        failed = DeliveryFactory(subscription=subscription, status="failed")
        retrying = DeliveryFactory(subscription=subscription, status="retrying")
        DeliveryFactory(subscription=subscription)

        assert ids(client.get("deliveries?status=failed")) == [failed.public_id]
        assert ids(client.get("deliveries?status=failed,retrying")) == [retrying.public_id, failed.public_id]

    def test_by_integration_topic_and_subscription(self, client: ApiClient, subscription: Any) -> None:
        mine = DeliveryFactory(subscription=subscription)
        other = SubscriptionFactory(integration=IntegrationFactory(store=client.store, slug="other"))
        event = EventFactory(store=client.store, topic="order.paid")
        theirs = DeliveryFactory(subscription=other, event=event)

        assert ids(client.get("deliveries?integration=mirror")) == [mine.public_id]
        assert ids(client.get("deliveries?topic=order.paid")) == [theirs.public_id]
        assert ids(client.get("deliveries?topic=shipment.*")) == [mine.public_id]
        assert ids(client.get(f"deliveries?subscription=nsub_{other.id}")) == [theirs.public_id]

    def test_by_time(self, client: ApiClient, subscription: Any) -> None:
        DeliveryFactory(subscription=subscription)
        past = (timezone.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")

        assert len(ids(client.get(f"deliveries?since={past}Z"))) == 1
        assert len(ids(client.get(f"deliveries?since={past}+00:00"))) == 1
        assert ids(client.get(f"deliveries?until={past}Z")) == []

    def test_by_what_people_look_for(self, client: ApiClient, subscription: Any) -> None:
        delivery = DeliveryFactory(subscription=subscription)
        DeliveryFactory(subscription=subscription)

        looked_for = (
            delivery.public_id,
            delivery.request_id,
            f"notif_{delivery.id}",
            delivery.event.public_id,
            delivery.event.object_id,
        )
        for text in looked_for:
            assert ids(client.get(f"deliveries?q={text}")) == [delivery.public_id]

    @pytest.mark.parametrize(
        "query",
        [
            "status=lost",
            "status=failed,lost",
            "integration=nosuch",
            "integration=%00",
            "subscription=x",
            "since=yesterday",
            "until=2026-99-99",
            "since=0001-01-01T00:00:00%2B23:59",
            "until=9999-12-31T23:59:59-12:00",
            f"q={'x' * 1001}",
            "q=%00",
        ],
    )
    def test_a_strange_value_is_refused_with_the_filters_name(self, client: ApiClient, query: str) -> None:
        response = client.get(f"deliveries?{query}")

        assert response.status_code == 400
        assert only_error(response)["field"] == query.partition("=")[0]

    def test_another_stores_integration_is_unknown(self, client: ApiClient) -> None:
        other = IntegrationFactory(slug="theirs")

        for value in ("theirs", other.uuid, other.id):
            assert client.get(f"deliveries?integration={value}").status_code == 400

    def test_pages_meet_without_overlap_while_new_ones_come(self, client: ApiClient, subscription: Any) -> None:
        made = [DeliveryFactory(subscription=subscription).public_id for _ in range(5)]
        first = client.get("deliveries?limit=3&status=pending").json()
        DeliveryFactory(subscription=subscription)

        second = client.get(first["pages"]["next"].removeprefix("http://testserver")).json()

        assert "status=pending" in first["pages"]["next"]
        assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
        assert second["pages"]["next"] is None


@pytest.mark.parametrize("identity", ["dlv_x", "x", "0" * 32, "dlv_" + "0" * 32, "%00", "9" * 400])
def test_an_unknown_id_is_not_found(client: ApiClient, identity: str) -> None:
    for method, path in (("GET", ""), ("GET", "/attempts"), ("POST", "/resolve")):
        response = client.call(
            method, f"deliveries/{identity}{path}", {"action": "retry"} if method == "POST" else None
        )
        assert response.status_code == 404
        assert only_error(response)["code"] == "not_found"
