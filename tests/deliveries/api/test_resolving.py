"""`/api/v1/deliveries/{id}/resolve`: retry, edit, discard (docs/contract.md#management-api)."""

from __future__ import annotations

from typing import Any

import pytest

from deliveries.models import Delivery, Record
from integrations.models import AuditEntry, Store
from tests.api_client import ApiClient, only_error
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    RecordFactory,
)

pytestmark = pytest.mark.django_db


def test_a_failed_delivery_is_sent_again(client: ApiClient, subscription: Any) -> None:
    delivery = DeliveryFactory(subscription=subscription, status="failed")

    response = client.post(f"deliveries/{delivery.public_id}/resolve", {"action": "retry", "reason": "repaired"})

    assert response.status_code == 200
    assert (response.json()["id"], response.json()["status"]) == (delivery.public_id, "pending")
    delivery.refresh_from_db()
    assert (delivery.trigger, delivery.due_at is not None) == ("manual", True)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.reason) == (f"token {client.token.name}", "retry", "repaired")


def test_an_edit_updates_the_record_and_makes_exactly_one_delivery(client: ApiClient, subscription: Any) -> None:
    record = RecordFactory(store=client.store, external_id="7", data={"id": "7", "phone": "0"})
    event = EventFactory(store=client.store, object_id="7", data=record.data)
    delivery = DeliveryFactory(subscription=subscription, event=event, status="failed")
    payload = {"id": "7", "phone": "+15551234567"}

    response = client.post(
        f"deliveries/{delivery.public_id}/resolve", {"action": "edit", "payload": payload, "update_record": True}
    )

    assert response.status_code == 200
    assert response.json()["event"]["data"] == {"id": "7", "phone": "0"}, "the event's own data never changes"
    assert Record.objects.get().data == payload
    assert Delivery.objects.count() == 1
    assert Delivery.objects.get().revision == 1


def test_a_delivery_is_discarded(client: ApiClient, subscription: Any) -> None:
    delivery = DeliveryFactory(subscription=subscription, status="failed")

    response = client.post(f"deliveries/{delivery.public_id}/resolve/", {"action": "discard"})

    assert response.status_code == 200
    assert response.json()["status"] == "discarded"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_parameter", "action"),
        ({"action": None}, "missing_parameter", "action"),
        ({"action": "explode"}, "parameter_invalid", "action"),
        ({"action": 5}, "parameter_invalid", "action"),
        ({"action": "retry", "reason": 5}, "parameter_invalid", "reason"),
        ({"action": "retry", "reason": "x" * 10_001}, "parameter_invalid", "reason"),
        ({"action": "edit"}, "missing_parameter", "payload"),
        ({"action": "edit", "payload": None}, "missing_parameter", "payload"),
        ({"action": "edit", "payload": []}, "parameter_invalid", "payload"),
        ({"action": "edit", "payload": "x"}, "parameter_invalid", "payload"),
        ({"action": "edit", "payload": {"a": 1}, "update_record": "yes"}, "parameter_invalid", "update_record"),
    ],
)
def test_a_wrong_request_changes_nothing(
    client: ApiClient, subscription: Any, body: Any, code: str, field: str
) -> None:
    delivery = DeliveryFactory(subscription=subscription, status="failed")

    response = client.post(f"deliveries/{delivery.public_id}/resolve", body)

    assert response.status_code == 400
    assert (only_error(response)["code"], only_error(response)["field"]) == (code, field)
    delivery.refresh_from_db()
    assert delivery.status == "failed"


def test_what_is_being_sent_is_left_alone(client: ApiClient, subscription: Any) -> None:
    lease = "00000000-0000-4000-8000-000000000000"
    delivery = DeliveryFactory(subscription=subscription, status="sending", lease=lease)

    for body in ({"action": "retry"}, {"action": "discard"}, {"action": "edit", "payload": {"a": 1}}):
        response = client.post(f"deliveries/{delivery.public_id}/resolve", body)
        assert response.status_code == 409
        assert only_error(response)["code"] == "conflict"


def test_a_store_that_wants_reasons_gets_them(client: ApiClient, subscription: Any) -> None:
    Store.objects.filter(id=client.store.id).update(is_reason_required=True)
    delivery = DeliveryFactory(subscription=subscription, status="failed")

    response = client.post(f"deliveries/{delivery.public_id}/resolve", {"action": "discard"})

    assert response.status_code == 400
    assert (only_error(response)["code"], only_error(response)["field"]) == ("missing_parameter", "reason")
