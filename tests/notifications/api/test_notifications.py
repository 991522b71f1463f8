"""`/api/v1/notifications` (docs/contract.md#management-api)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deliveries.models import FailureGroup
from notifications.models import Notification
from tests.api_client import ApiClient, only_error
from tests.factories import DeliveryFactory, FailureGroupFactory, IntegrationFactory, NotificationFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> ApiClient:
    return ApiClient()


def test_a_notification_is_shown_exactly_so(client: ApiClient) -> None:
    group = FailureGroupFactory(integration=IntegrationFactory(store=client.store, slug="mirror"), occurrences=37)
    delivery = DeliveryFactory(subscription__integration=group.integration)
    notification = NotificationFactory(
        store=client.store,
        integration=group.integration,
        failure_group=group,
        delivery=delivery,
        occurrences=36,
        created_at=datetime(2026, 1, 31, 8, tzinfo=UTC),
    )

    body = client.get(f"notifications/{notification.public_id}").json()

    assert body == {
        "id": f"notif_{notification.id}",
        "level": "error",
        "summary": "The receiver answered 500: out of paper",
        "status": "open",
        "resolved_by": None,
        "occurrences": 37,
        "delivery": delivery.public_id,
        "integration": "mirror",
        "case": f"case_{group.pk}",
        "created_at": "2026-01-31T08:00:00Z",
        "resolved_at": None,
    }
    assert client.get("notifications/").json() == {"items": [body], "pages": {"next": None}}


def test_resolving_says_who_and_resolves_the_failure_group(client: ApiClient) -> None:
    group = FailureGroupFactory(integration=IntegrationFactory(store=client.store))
    notification = NotificationFactory(store=client.store, failure_group=group)
    plain = NotificationFactory(store=client.store)

    for each in (notification, plain):
        body = client.post(f"notifications/{each.public_id}/resolve").json()
        assert (body["status"], body["resolved_by"]) == ("resolved", f"token {client.token.name}")
        assert body["resolved_at"] is not None
        assert (body["integration"], body["delivery"]) == (None, None)
    assert FailureGroup.objects.get().status == "resolved"
    again = client.post(f"notifications/{plain.public_id}/resolve/")
    assert again.status_code == 200
    assert Notification.objects.open().count() == 0


def test_the_list_is_filtered_by_status(client: ApiClient) -> None:
    NotificationFactory(store=client.store)
    resolved = NotificationFactory(store=client.store, status="resolved", resolved_by="auto")
    NotificationFactory()

    items = client.get("notifications?status=resolved").json()["items"]

    assert [item["id"] for item in items] == [resolved.public_id]
    assert len(client.get("notifications").json()["items"]) == 2
    refused = client.get("notifications?status=lost")
    assert refused.status_code == 400
    assert only_error(refused)["field"] == "status"


@pytest.mark.parametrize("identity", ["notif_x", "x", "%00", "notif_00000000-0000-4000-8000-000000000000"])
def test_an_unknown_id_is_not_found(client: ApiClient, identity: str) -> None:
    assert client.get(f"notifications/{identity}").status_code == 404
    assert client.post(f"notifications/{identity}/resolve").status_code == 404
