"""Intercom's subscriptions API (docs/contract.md#subscriptions-api), with our own fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery
from integrations.endpoint import endpoint_of
from integrations.models import AuditEntry, Integration, Store
from subscriptions.models import Subscription
from tests.api_client import ApiClient, only_error
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db
URL = "http://14856885.ngrok.example/webhook"


def create(client: ApiClient, **values: Any) -> Any:
    response = client.post("subscriptions", {"url": URL, "topics": ["users.created"]} | values)
    assert response.status_code == 200, response.content
    return response.json()


def test_the_seeds_subscription_is_made_exactly_so(client: ApiClient) -> None:
    body = create(client)

    subscription = Subscription.objects.get()
    here = f"http://testserver/api/v1/subscriptions/nsub_{subscription.id}"
    assert isinstance(body["created_at"], int)
    assert isinstance(body["updated_at"], int)
    assert body == {
        "type": "notification_subscription",
        "id": f"nsub_{subscription.id}",
        "service_type": "web",
        "app_id": str(client.store.id),
        "url": URL,
        "self": here,
        "topics": ["user.created"],
        "intents": [],
        "active": True,
        "metadata": {},
        "hub_secret": None,
        "mode": "point",
        "links": {"sent": f"{here}/sent", "retry": f"{here}/retry", "errors": f"{here}/error"},
        "notes": [],
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
        "integration": f"nsub_{subscription.id}",
        "path": "",
        "filter": None,
        "transform": None,
        "parameters": {},
        "ordered": False,
        "poll_every": None,
        "inactive_reason": None,
    }


def test_a_ping_is_made_at_once_in_the_same_transaction(client: ApiClient) -> None:
    create(client)

    delivery = Delivery.objects.select_related("event").get()
    assert (delivery.topic, delivery.trigger, delivery.status) == ("ping", "test", "pending")
    assert delivery.event.data["message"]


def test_its_own_integration_speaks_intercoms_format_and_signs_only_with_a_secret(client: ApiClient) -> None:
    create(client)
    create(client, hub_secret="HELLO")

    unsigned, signed = Integration.objects.order_by("id")
    assert (unsigned.wire_format, unsigned.name) == ("notification", "14856885.ngrok.example/webhook")
    assert (unsigned.retry_policy, unsigned.timeout) == ("once", 5.0)
    assert endpoint_of(unsigned, timezone.now()).secrets == ()
    assert endpoint_of(signed, timezone.now()).secrets == ("HELLO",)


def test_a_secret_is_masked_and_the_mask_sent_back_changes_nothing(client: ApiClient) -> None:
    body = create(client, hub_secret="HELLO-canary")
    assert body["hub_secret"] == "***"

    again = client.put(f"subscriptions/{body['id']}", body)

    assert again.status_code == 200
    assert endpoint_of(Integration.objects.get(), timezone.now()).secrets == ("HELLO-canary",)
    assert "canary" not in again.content.decode()
    assert "canary" not in str(list(AuditEntry.objects.values_list("before", "after")))
    assert client.put(f"subscriptions/{body['id']}", {"hub_secret": None}).json()["hub_secret"] is None
    assert endpoint_of(Integration.objects.get(), timezone.now()).secrets == ()


def test_the_list_is_under_both_names_newest_first(client: ApiClient) -> None:
    first, second = create(client), create(client, topics=["user.deleted"])
    SubscriptionFactory()

    body = client.get("subscriptions/").json()

    assert [item["id"] for item in body["items"]] == [second["id"], first["id"]]
    assert body["subscriptions"] == body["items"]
    assert body["pages"]["next"] is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_update_changes_what_is_given_and_arrays_replace(client: ApiClient, method: str) -> None:
    identity = create(client)["id"]

    response = client.call(
        method, f"subscriptions/{identity}", {"url": "http://1234.ngrok.example", "topics": ["user.created", "all"]}
    )

    assert response.status_code == 200
    body = response.json()
    assert (body["url"], body["topics"], body["active"]) == (
        "http://1234.ngrok.example",
        ["user.created", "all"],
        True,
    )
    assert Integration.objects.get().url == "http://1234.ngrok.example"
    assert client.get(f"subscriptions/{identity}/").json() == body


def test_the_seeds_event_subscription_keeps_its_names(client: ApiClient) -> None:
    names = ["wrote-fear-and-trembling", "invited-philosopher"]
    body = create(client, service_type="web", topics=["event.created"], metadata={"event_names": names})
    assert (body["topics"], body["metadata"]) == (["event.created"], {"event_names": names})

    update = {"topics": ["event.created"], "url": URL, "metadata": {"event_names": names[1:]}}
    assert client.post(f"subscriptions/{body['id']}", update).json()["metadata"] == {"event_names": names[1:]}
    missing = client.post("subscriptions", {"url": URL, "topics": ["event.created"]})
    assert missing.status_code == 400
    assert only_error(missing)["field"] == "metadata.event_names"
    assert only_error(missing)["code"] == "missing_parameter"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("users.created", "user.created"),
        ("shipments.update", "shipment.updated"),
        ("shipment.new", "shipment.created"),
        ("shipments.*", "shipment.*"),
        ("conversation", "conversation"),
        ("conversation.user.created", "conversation.user.created"),
        ("all", "all"),
        ("*", "*"),
        ("sms.created", "sms.created"),
        ("kudos.created", "kudo.created"),
        (" user.created ", "user.created"),
    ],
)
def test_topics_are_kept_in_one_spelling(client: ApiClient, given: str, kept: str) -> None:
    assert create(client, topics=[given, given])["topics"] == [kept]


def test_a_stores_own_words_are_respected(client: ApiClient) -> None:
    Store.objects.filter(id=client.store.id).update(singular_overrides={"kudos": "kudos"})

    assert create(client, topics=["kudos.created"])["topics"] == ["kudos.created"]


def test_a_deleted_subscription_is_answered_and_gone_with_all_that_it_wanted(
    client: ApiClient, django_capture_on_commit_callbacks: Any
) -> None:
    identity = create(client)["id"]
    subscription = Subscription.objects.get()
    failed = DeliveryFactory(subscription=subscription, status="failed")
    done = DeliveryFactory(subscription=subscription, status="succeeded")

    with django_capture_on_commit_callbacks(execute=True):
        response = client.call("DELETE", f"subscriptions/{identity}", b'""')

    assert response.status_code == 200
    assert (response.json()["id"], response.json()["active"]) == (identity, False)
    assert client.get(f"subscriptions/{identity}").status_code == 404
    assert client.get("subscriptions").json()["items"] == []
    assert not Integration.objects.alive().exists()
    statuses = dict(Delivery.objects.values_list("id", "status"))
    assert statuses.pop(done.id) == "succeeded"
    assert statuses.pop(failed.id) == "discarded"
    assert list(statuses.values()) == ["discarded"]
    assert not Delivery.objects.exclude(due_at=None).exists()


def test_deleting_one_of_two_subscriptions_of_an_integration_leaves_the_other_alone(
    client: ApiClient, django_capture_on_commit_callbacks: Any
) -> None:
    integration = IntegrationFactory(store=client.store)
    gone, stays = SubscriptionFactory.create_batch(2, integration=integration)
    DeliveryFactory(subscription=gone)
    DeliveryFactory(subscription=stays)

    with django_capture_on_commit_callbacks(execute=True):
        client.delete(f"subscriptions/nsub_{gone.id}")

    assert Integration.objects.alive().count() == 1
    assert Delivery.objects.get(subscription=gone).status == "discarded"
    assert Delivery.objects.get(subscription=stays).status == "pending"


def test_deleting_an_integration_ends_its_subscriptions_and_deliveries(
    client: ApiClient, django_capture_on_commit_callbacks: Any
) -> None:
    integration = IntegrationFactory(store=client.store, slug="one")
    subscription = SubscriptionFactory(integration=integration)
    DeliveryFactory(subscription=subscription, status="retrying")

    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete("integrations/one").status_code == 204

    assert client.get(f"subscriptions/nsub_{subscription.id}").status_code == 404
    assert Delivery.objects.get().status == "discarded"


def test_an_existing_integration_can_be_used_with_our_own_fields(client: ApiClient) -> None:
    IntegrationFactory(store=client.store, slug="hub", wire_format="hub", url="https://hub.example.com")
    given = {
        "integration": "hub",
        "topics": ["shipments.updated"],
        "intents": ["order_pizza"],
        "path": "send_sms",
        "filter": "status == 'sent'",
        "transform": "{phone: phone}",
        "parameters": {"from": "+1555"},
        "ordered": True,
        "poll_every": 60,
    }

    response = client.post("subscriptions", given)

    assert response.status_code == 200
    body = response.json()
    assert {name: body[name] for name in given} == given | {
        "topics": ["shipment.updated"],
        "parameters": {"from": "***"},
    }
    subscription = Subscription.objects.get()
    assert subscription.next_poll_at is not None
    assert not Delivery.objects.exists(), "only a subscription of notification format is pinged by itself"
    client.patch(f"subscriptions/{body['id']}", {"parameters": {"from": "***", "to": "x"}, "poll_every": None})
    subscription.refresh_from_db()
    assert subscription.parameters == {"from": "+1555", "to": "x"}
    assert subscription.next_poll_at is None


def test_a_shared_integration_is_not_changed_through_a_subscription(client: ApiClient) -> None:
    integration = IntegrationFactory(store=client.store, slug="one")
    subscription = SubscriptionFactory(integration=integration)

    for given in ({"url": "https://other.example.com"}, {"hub_secret": "x"}):
        response = client.post(f"subscriptions/nsub_{subscription.id}", given)
        assert response.status_code == 400
        assert only_error(response)["field"] in given
    same = client.post(f"subscriptions/nsub_{subscription.id}", {"url": integration.url, "hub_secret": None})
    assert same.status_code == 200


def test_a_subscription_can_move_to_another_integration(client: ApiClient) -> None:
    IntegrationFactory(store=client.store, slug="shared")
    identity = create(client)["id"]

    body = client.patch(f"subscriptions/{identity}", {"integration": "shared"}).json()

    assert body["integration"] == "shared"
    assert list(Integration.objects.alive().values_list("slug", flat=True)) == ["shared"]
    assert client.get(f"subscriptions/{identity}").status_code == 200


def test_activity_can_be_switched(client: ApiClient) -> None:
    identity = create(client)["id"]
    Subscription.objects.update(is_active=False, inactive_reason="answered 410")
    assert client.get(f"subscriptions/{identity}").json()["inactive_reason"] == "answered 410"

    body = client.put(f"subscriptions/{identity}", {"active": True}).json()

    assert (body["active"], body["inactive_reason"]) == (True, None)


def test_a_body_that_is_an_empty_text_is_an_empty_body(client: ApiClient) -> None:
    identity = create(client)["id"]

    assert client.call("POST", f"subscriptions/{identity}", b'""').status_code == 200
    assert client.call("POST", f"subscriptions/{identity}", b"").status_code == 200


def test_a_form_type_is_read_as_json_all_the_same(client: ApiClient) -> None:
    response = client.call(
        "POST",
        "subscriptions/",
        json.dumps({"url": URL, "topics": ["all"]}).encode(),
        **{"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert response.status_code == 200
