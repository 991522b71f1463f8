"""Events to read and explain, and backfills, by API; of the own store only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from deliveries.models import Delivery
from deliveries.replay import runner
from integrations.foundation.identifiers import public_id
from tests.api_client import ApiClient, only_error
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, SubscriptionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queued")]


@pytest.fixture
def subscription(client: ApiClient) -> Any:
    return SubscriptionFactory(
        integration=IntegrationFactory(store=client.store, slug="mirror"), filter="status == 'sent'"
    )


def test_events_are_listed_newest_first_in_pages(client: ApiClient) -> None:
    events = [EventFactory(store=client.store) for _ in range(3)]
    EventFactory()
    EventFactory(store=client.store, origin="test")
    first = client.get("events?limit=2").json()
    assert [item["id"] for item in first["items"]] == [events[2].public_id, events[1].public_id]
    second = client.get(first["pages"]["next"].removeprefix("http://testserver")).json()
    assert [item["id"] for item in second["items"]] == [events[0].public_id]
    assert second["pages"]["next"] is None
    assert first["items"][0]["data"] == {"id": events[2].object_id, "status": "sent"}


def test_events_are_found_by_topic_object_text_and_by_going_to_nobody(client: ApiClient, subscription: Any) -> None:
    lost = EventFactory(store=client.store, object_id="7", data={"phone": "+4917112345"})
    got = EventFactory(store=client.store, topic="order.created")
    DeliveryFactory(subscription=subscription, event=got)

    def found(query: str) -> list[str]:
        return [item["id"] for item in client.get(f"events?{query}").json()["items"]]

    assert found("topic=shipment.*") == found("object=7") == found("contains=%2B4917112345") == [lost.public_id]
    assert found("delivered=false") == [lost.public_id]
    assert found("topic=order.created") == [got.public_id]
    assert found("until=2020-01-01") == []


@pytest.mark.parametrize("query", ["delivered=x", "since=x", "cursor=x", "limit=0", "contains=a&since=2020-01-01"])
def test_what_makes_no_sense_is_refused(client: ApiClient, query: str) -> None:
    assert client.get(f"events?{query}").status_code == 400


def test_reading_events_takes_another_scope_than_sending_them() -> None:
    till = ApiClient(scopes=("push",))
    assert till.get("events").status_code == 403
    assert till.post("events", {"topic": "a.b", "data": {}}).status_code == 202
    staff = ApiClient(scopes=("manage",))
    assert staff.get("events").status_code == 200
    assert staff.post("events", {"topic": "a.b", "data": {}}).status_code == 403


def test_a_revoked_token_reads_nothing(client: ApiClient) -> None:
    assert client.get("events").status_code == 200
    client.token.delete()
    assert client.get("events").status_code == 401


def test_an_event_is_explained_exactly_so(client: ApiClient, subscription: Any) -> None:
    event = EventFactory(store=client.store, data={"status": "lost"}, occurred_at=timezone.now() + timedelta(seconds=1))
    (item,) = client.get(f"events/{event.public_id}/explain").json()["items"]
    assert item.pop("message").startswith("It does not pass the filter: status == 'sent' is false")
    assert item == {
        "subscription": public_id("nsub", subscription.pk),
        "integration": "mirror",
        "reason": "filter",
        "certain": True,
        "delivery": None,
        "status": None,
    }
    assert client.get(f"events/{EventFactory().public_id}/explain").status_code == 404


def test_an_event_is_delivered_to_another_subscription_once(client: ApiClient, subscription: Any) -> None:
    event, body = EventFactory(store=client.store), {"subscription": public_id("nsub", subscription.pk)}
    made = client.post(f"events/{event.public_id}/deliver", body).json()
    assert (made["status"], made["backfilled_by"]) == ("pending", f"token {client.token.name}")
    assert "already" in only_error(client.post(f"events/{event.public_id}/deliver", body))["message"]
    assert client.post(f"events/{event.public_id}/deliver", body | {"again": True}).status_code == 200
    other = {"subscription": public_id("nsub", SubscriptionFactory().pk)}
    assert client.post(f"events/{event.public_id}/deliver", other).status_code == 400


def test_a_backfill_is_previewed_started_watched_and_stopped(client: ApiClient, subscription: Any) -> None:
    event = EventFactory(store=client.store)
    EventFactory(store=client.store, topic="order.created")
    body = {"subscription": public_id("nsub", subscription.pk), "since": "2026-01-01T00:00:00Z"}
    body["since"] = (timezone.now() - timedelta(hours=1)).isoformat()
    seen = client.post("backfills/preview", body).json()
    assert (seen["events"], seen["looked_at"], seen["missing"], seen["counts"]) == (2, 2, 1, {"missing": 1, "topic": 1})
    assert [sample["event"] for sample in seen["sample"]] == [event.public_id]
    made = client.post("backfills", body | {"canary": False}).json()
    assert (made["status"], made["events"], made["made"]) == ("running", 2, 0)
    address = f"backfills/{made['id']}"
    assert client.post(f"{address}/pause").json()["status"] == "paused"
    assert client.post(f"{address}/resume").json()["status"] == "running"
    runner.step(UUID(made["id"].removeprefix("bf_")), timezone.now() + timedelta(seconds=1))
    assert client.get(address).json()["made"] == 1
    assert Delivery.objects.get().event_id == event.pk
    assert client.post(f"{address}/cancel").status_code == 409, "it is done"
    assert [item["id"] for item in client.get("backfills").json()["items"]] == [made["id"]]
    assert ApiClient().get(address).status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [({"since": None}, 400), ({"since": "x"}, 400), ({"subscription": "x"}, 400), ({"per_second": 0}, 409),
     ({"per_second": "x"}, 400), ({"until": "2020-01-01T00:00:00Z"}, 409), ({"since": "2001-01-01T00:00:00Z"}, 409)],
)  # fmt: skip
def test_a_backfill_that_makes_no_sense_is_refused(
    client: ApiClient, subscription: Any, change: Any, status: int
) -> None:
    body = {"subscription": public_id("nsub", subscription.pk), "since": timezone.now().isoformat()} | change
    assert client.post("backfills", body).status_code == status
