"""What a change would do to past events, by API: nothing is stored or sent, unless it runs in the background."""

from __future__ import annotations

from typing import Any

import pytest

from deliveries.models import Delivery, Simulation
from deliveries.simulation import runner
from subscriptions.models import SubscriptionVersion
from tests.api_client import ApiClient, only_error
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    IntegrationFactory,
    SubscriptionFactory,
    TopicFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queued")]


@pytest.fixture
def subscription(client: ApiClient) -> Any:
    mirror = IntegrationFactory(store=client.store, slug="mirror", auth_type="bearer", token="hush-hush")
    return SubscriptionFactory(integration=mirror, filter="status == 'sent'")


@pytest.fixture
def address(subscription: Any) -> str:
    return f"subscriptions/nsub_{subscription.pk}/simulate"


def test_what_would_change_is_answered_at_once_with_both_requests(client: ApiClient, address: str) -> None:
    kept = EventFactory(store=client.store, data={"status": "sent", "phone": "+49171"})
    lost = EventFactory(store=client.store, data={"status": "lost"})
    found = client.post(address, {"filter": "status", "transform": "{status: status}", "events": {"last": 10}}).json()
    assert (found["looked_at"], found["complete"], found["id"]) == (2, True, None)
    assert found["newly_matched"]["count"] == 1
    assert found["newly_matched"]["sample"][0]["event"] == lost.public_id
    assert found["changed"]["groups"] == [{"kind": "body.data.phone removed", "count": 1}]
    sample = found["changed"]["sample"][0]
    assert sample["event"] == kept.public_id
    assert "+49171" in sample["before"]["body"] and "+49171" not in sample["after"]["body"]
    assert "hush-hush" not in str(found)
    assert not Simulation.objects.exists()
    assert not Delivery.objects.exists()


def test_in_the_background_the_answer_grows_under_an_id(client: ApiClient, address: str) -> None:
    EventFactory(store=client.store, data={"status": "lost"})
    begun = client.post(address, {"filter": None, "background": True}).json()
    assert (begun["status"], begun["complete"], begun["looked_at"]) == ("running", False, 0)
    assert runner.run(Simulation.objects.get().pk)
    found = client.get(f"simulations/{begun['id']}").json()
    assert (found["status"], found["complete"], found["newly_matched"]["count"]) == ("done", True, 1)
    assert found["newly_matched"]["sample"][0]["before"] is None
    assert ApiClient().get(f"simulations/{begun['id']}").status_code == 404


def test_a_wire_format_and_a_schema_are_simulated_too(client: ApiClient, subscription: Any) -> None:
    EventFactory(store=client.store)
    TopicFactory(store=client.store, name="shipment.updated")
    found = client.post("integrations/mirror/simulate", {"wire_format": "flat"}).json()
    assert found["changed"]["count"] == 1
    found = client.post("topics/shipment.updated/simulate", {"schema": {"required": ["weight"]}}).json()
    assert (found["violations"]["count"], found["violations"]["sample"][0]["before"]) == (1, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"events": {"last": 0}}, "events.last"),
        ({"events": {"last": True}}, "events.last"),
        ({"events": {"ids": ["x"]}}, "events.ids"),
        ({"events": {"ids": [], "since": None}}, "events"),
        ({"events": {"latest": 5}}, "events"),
        ({"events": {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}}, "events.until"),
        ({"filter": "status =="}, "filter"),
        ({"url": "https://a.example"}, "url"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(client: ApiClient, address: str, body: Any, field: str) -> None:
    answer = client.post(address, body)
    assert answer.status_code == 400
    assert only_error(answer)["field"] == field


def test_a_background_run_of_no_change_is_refused(client: ApiClient, address: str) -> None:
    assert client.post(address, {"background": True}).status_code == 409


def test_versions_are_listed_and_put_back_and_attempts_name_theirs(client: ApiClient, subscription: Any) -> None:
    address = f"subscriptions/nsub_{subscription.pk}"
    attempt = AttemptFactory(delivery=DeliveryFactory(subscription=subscription, attempt_count=1))
    client.patch(address, {"filter": "id"})
    versions = client.get(f"{address}/versions").json()["items"]
    assert [(each["number"], each["filter"], each["current"]) for each in versions] == [
        (2, "id", True),
        (1, "status == 'sent'", False),
    ]
    assert versions[0]["changed"] == ["filter"]
    attempts = client.get(f"deliveries/{attempt.delivery.public_id}/attempts").json()["items"]
    assert attempts[0]["subscription_version"] == 1
    assert client.post(f"{address}/versions/1/restore", {}).json()["filter"] == "status == 'sent'"
    assert SubscriptionVersion.objects.filter(subscription=subscription).count() == 3
    for number in ("9", "x"):
        assert client.post(f"{address}/versions/{number}/restore", {}).status_code == 404
