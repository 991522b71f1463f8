"""The search by API: of the own store only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.search import indexing
from tests.api_client import ApiClient, only_error
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, RecordFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db
DATA = {"phone": "+49 171 2345678"}


@pytest.fixture
def delivery(client: ApiClient) -> Any:
    subscription = SubscriptionFactory(integration=IntegrationFactory(store=client.store, slug="sms"))
    made = DeliveryFactory(
        subscription=subscription, status="failed", attempt_count=1, last_error="Nope", event__data=DATA
    )
    RecordFactory(store=client.store, external_id="7", data=DATA)
    EventFactory(data=DATA)
    RecordFactory(data=DATA)
    fill()
    return made


def fill() -> None:
    indexing.state_of_index(timezone.now() - timedelta(hours=1))
    indexing.run(timezone.now() + timedelta(seconds=10), seconds=30)


def found(client: ApiClient, query: str) -> list[str]:
    return [item["id"] for item in client.get(f"search?{query}").json()["items"]]


def test_deliveries_events_and_records_are_found_together(client: ApiClient, delivery: Any) -> None:
    answer = client.get("search?q=%2B491712345678").json()

    assert {(item["kind"], item["id"]) for item in answer["items"]} == {
        ("delivery", delivery.public_id), ("event", delivery.event.public_id), ("record", "shipment/7"),
    }  # fmt: skip
    assert answer["totals"] == [
        {"kind": kind, "number": 1, "is_exact": True} for kind in ("delivery", "event", "record")
    ]
    one = next(item for item in answer["items"] if item["kind"] == "delivery")
    assert one["match"] == "phone:491712345678"
    assert (one["status"], one["integration"], one["topic"]) == ("failed", "sms", "shipment.updated")
    assert answer["notes"] == [] and answer["pages"] == {"next": None}


def test_what_is_found_can_be_narrowed(client: ApiClient, delivery: Any) -> None:
    assert found(client, "q=2345678&kind=event") == [delivery.event.public_id]
    assert found(client, "q=phone:2345678+nope") == [delivery.public_id]
    assert found(client, "q=2345678&status=failed,retrying&integration=sms") == [delivery.public_id]
    assert found(client, "q=2345678&status=succeeded") == []
    assert found(client, "q=2345678&topic=order.*") == []
    assert found(client, "q=2345678&until=2026-01-01") == []


def test_the_pages_go_through_all_kinds_once(client: ApiClient, delivery: Any) -> None:
    ids, address = [], "search?q=2345678&limit=1"
    while address:
        page = client.get(address.removeprefix("http://testserver")).json()
        ids += [item["id"] for item in page["items"]]
        address = page["pages"]["next"]
    assert sorted(ids) == sorted([delivery.public_id, delivery.event.public_id, "shipment/7"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "q"), ("q=", "q"), ("q=x&kind=attempt", "kind"), ("q=x&status=lost", "status"),
        ("q=x&integration=no", "integration"), ("q=x&since=then", "since"), ("q=x&cursor=%21", "cursor"),
        ("q=x&cursor=MjAyNi0wMS0wMVQwMDowMDowMCswMDowMCByZWNvcmQgeA", "cursor"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said(client: ApiClient, query: str, field: str) -> None:
    answer = client.get(f"search?{query}")
    assert answer.status_code == 400
    assert only_error(answer)["field"] == field


def test_a_token_that_may_only_push_does_not_search() -> None:
    assert ApiClient(scopes=("push",)).get("search?q=x").status_code == 403
