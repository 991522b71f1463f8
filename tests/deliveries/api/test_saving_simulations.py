"""A change that was tried is made by API: alone, with a resend of what differs, or with a backfill."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery, Replay, Simulation
from deliveries.replay import runner as replays
from deliveries.simulation import runner
from integrations.models import AuditEntry
from tests.api_client import ApiClient, only_error
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, SubscriptionFactory, TopicFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queued")]


@pytest.fixture
def subscription(client: ApiClient) -> Any:
    mirror = IntegrationFactory(store=client.store, slug="mirror")
    return SubscriptionFactory(integration=mirror, filter="status == 'sent'", topics=["shipment.*"])


def tried(client: ApiClient, address: str, **change: Any) -> str:
    """The path of a simulation that has ended."""
    begun = client.post(f"{address}/simulate", change | {"background": True})
    assert begun.status_code == 200, begun.content
    assert runner.run(Simulation.objects.get().pk)
    return f"simulations/{begun.json()['id']}"


def of(subscription: Any) -> str:
    return f"subscriptions/nsub_{subscription.pk}"


def delivered(subscription: Any, *statuses: str) -> None:
    for number, status in enumerate(statuses):
        event = EventFactory(store=subscription.store, data={"status": "sent", "phone": f"+4917{number}"})
        DeliveryFactory(subscription=subscription, event=event, status=status)


def test_a_change_is_saved_and_nothing_is_sent(client: ApiClient, subscription: Any) -> None:
    delivered(subscription, "failed")
    simulation = tried(client, of(subscription), filter="status")
    assert client.get(simulation).json()["saved_at"] is None
    answer = client.post(f"{simulation}/save", {})
    assert (answer.status_code, answer.json()["bulk"]) == (200, None)
    shown = answer.json()["simulation"]
    assert shown["saved_at"] is not None
    assert shown["saved_by"] == f"token {client.token.name}"
    subscription.refresh_from_db()
    assert subscription.filter == "status"
    entry = AuditEntry.objects.get(target_type="subscription")
    assert (entry.actor, entry.store) == (f"token {client.token.name}", client.store)
    assert not Replay.objects.exists()


def test_exactly_what_differs_is_sent_again(client: ApiClient, subscription: Any) -> None:
    delivered(subscription, "failed", "succeeded")
    EventFactory(store=client.store, data={"status": "lost"})
    simulation = tried(client, of(subscription), transform="{phone: phone}")
    assert client.get(simulation).json()["resend"] == {"total": 2, "delivered": 1}

    refused = client.post(f"{simulation}/save", {"then": "resend"})
    assert refused.status_code == 409
    assert "Confirm by giving the number, 1." in only_error(refused)["message"]
    subscription.refresh_from_db()
    assert subscription.transform == ""

    body = {"then": "resend", "confirmed": 1, "rate": 50, "canary": False, "reason": "phones were missing"}
    bulk = client.post(f"{simulation}/save", body).json()["bulk"]
    assert (bulk["action"], bulk["status"], bulk["total"], bulk["reason"]) == (
        "retry",
        "running",
        2,
        "phones were missing",
    )
    replays.step(Replay.objects.get().pk, timezone.now())
    assert Delivery.objects.filter(status="pending").count() == 2
    assert client.get(f"bulk/{bulk['id']}").json()["status"] == "done"
    subscription.refresh_from_db()
    assert subscription.transform == "{phone: phone}"


def test_those_that_were_delivered_need_not_be_counted_by_whoever_wants_them_all(
    client: ApiClient, subscription: Any
) -> None:
    delivered(subscription, "succeeded", "succeeded")
    simulation = tried(client, of(subscription), transform="{phone: phone}")
    saved = client.post(f"{simulation}/save", {"then": "resend", "include_succeeded": True})
    assert saved.json()["bulk"]["total"] == 2


def test_what_a_subscription_has_missed_is_delivered(client: ApiClient, subscription: Any) -> None:
    EventFactory(store=client.store, data={"status": "lost"})
    simulation = tried(client, of(subscription), filter=None)
    bulk = client.post(f"{simulation}/save", {"then": "backfill"}).json()["bulk"]
    assert (bulk["action"], bulk["total"]) == ("backfill", 1)
    subscription.refresh_from_db()
    assert subscription.filter == ""


def test_integrations_and_topics_are_saved_too(client: ApiClient, subscription: Any) -> None:
    delivered(subscription, "failed")
    simulation = tried(client, "integrations/mirror", wire_format="flat")
    assert client.post(f"{simulation}/save", {"then": "resend"}).json()["bulk"]["total"] == 1
    assert client.get("integrations/mirror").json()["wire_format"] == "flat"

    Simulation.objects.all().delete()
    TopicFactory(store=client.store, name="shipment.updated")
    simulation = tried(client, "topics/shipment.updated", schema={"required": ["weight"]})
    refused = client.post(f"{simulation}/save", {"then": "backfill"})
    assert (refused.status_code, "Only a subscription" in only_error(refused)["message"]) == (409, True)
    assert client.post(f"{simulation}/save", {}).status_code == 200
    assert client.get("topics/shipment.updated").json()["schema"] == {"required": ["weight"]}


def test_what_was_changed_since_saved_or_deleted_is_a_conflict(client: ApiClient, subscription: Any) -> None:
    EventFactory(store=client.store, data={"status": "sent"})
    simulation = tried(client, of(subscription), filter="status")
    client.patch(of(subscription), {"transform": "{id: id}"})
    refused = client.post(f"{simulation}/save", {})
    assert (refused.status_code, "changed since" in only_error(refused)["message"]) == (409, True)

    Simulation.objects.all().delete()
    simulation = tried(client, of(subscription), filter="status")
    assert client.post(f"{simulation}/save", {}).status_code == 200
    again = client.post(f"{simulation}/save", {"then": "backfill"})
    assert (again.status_code, "saved already" in only_error(again)["message"]) == (409, True)
    assert not Replay.objects.exists()

    Simulation.objects.all().delete()
    simulation = tried(client, of(subscription), filter="id")
    client.delete(of(subscription))
    assert client.post(f"{simulation}/save", {}).status_code == 409


def test_while_it_runs_nobody_knows_what_differs(client: ApiClient, subscription: Any) -> None:
    delivered(subscription, "failed")
    begun = client.post(f"{of(subscription)}/simulate", {"transform": "{id: id}", "background": True}).json()
    assert begun["resend"] is None
    for then in ("resend", "backfill"):
        refused = client.post(f"simulations/{begun['id']}/save", {"then": then})
        assert (refused.status_code, "still running" in only_error(refused)["message"]) == (409, True)
    assert client.post(f"simulations/{begun['id']}/save", {}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"then": "celebrate"}, "then"),
        ({"then": "resend", "rate": 0}, "rate"),
        ({"then": "resend", "stop_above": 5}, "stop_above"),
        ({"then": "resend", "confirmed": True}, "confirmed"),
        ({"then": "resend", "canary": "yes"}, "canary"),
        ({"then": "resend", "include_succeeded": "yes"}, "include_succeeded"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field_and_saves_nothing(
    client: ApiClient, subscription: Any, body: Any, field: str
) -> None:
    delivered(subscription, "failed")
    simulation = tried(client, of(subscription), transform="{phone: phone}")
    answer = client.post(f"{simulation}/save", body)
    assert (answer.status_code, only_error(answer)["field"]) == (400, field)
    subscription.refresh_from_db()
    assert subscription.transform == ""


def test_whoever_may_try_a_change_may_not_save_it(client: ApiClient, subscription: Any) -> None:
    EventFactory(store=client.store, data={"status": "lost"})
    reader = ApiClient(client.store, scopes=("read",))
    simulation = tried(reader, of(subscription), filter="status")
    for scopes in (("read",), ("resolve",), ("propose",)):
        assert ApiClient(client.store, scopes=scopes).post(f"{simulation}/save", {}).status_code == 403
    assert ApiClient().post(f"{simulation}/save", {}).status_code == 404
    # One that only proposes sends nothing, whatever else it may.
    proposer = ApiClient(client.store, scopes=("manage", "propose"))
    assert proposer.post(f"{simulation}/save", {"then": "backfill"}).status_code == 403
    subscription.refresh_from_db()
    assert subscription.filter == "status == 'sent'"
    assert proposer.post(f"{simulation}/save", {}).status_code == 200
