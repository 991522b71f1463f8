"""What the subscriptions API refuses: each wrong value by its field, more than there is room for, what is not there."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from deliveries.models import Delivery
from integrations.models import Integration
from subscriptions.models import Subscription
from subscriptions.services import OWN_LIMIT
from tests.api_client import ApiClient, only_error
from tests.factories import IntegrationFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db
URL = "http://14856885.ngrok.example/webhook"


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"url": None}, "missing_parameter", "url"),
        ({"url": ""}, "missing_parameter", "url"),
        ({"url": 5}, "parameter_invalid", "url"),
        ({"url": []}, "parameter_invalid", "url"),
        ({"url": "gopher://x.example.com"}, "parameter_invalid", "url"),
        ({"url": "http://10.0.0.1/"}, "parameter_invalid", "url"),
        ({"url": "http://[broken"}, "parameter_invalid", "url"),
        ({"topics": []}, "missing_parameter", "topics"),
        ({"topics": None}, "missing_parameter", "topics"),
        ({"topics": "user.created"}, "parameter_invalid", "topics"),
        ({"topics": [5]}, "parameter_invalid", "topics"),
        ({"topics": ["a..b"]}, "parameter_invalid", "topics"),
        ({"topics": ["*.created"]}, "parameter_invalid", "topics"),
        ({"topics": [""]}, "parameter_invalid", "topics"),
        ({"topics": ["x"] * 201}, "parameter_invalid", "topics"),
        ({"topics": ["x" * 256]}, "parameter_invalid", "topics"),
        ({"intents": [""]}, "parameter_invalid", "intents"),
        ({"intents": ["a\nb"]}, "parameter_invalid", "intents"),
        ({"intents": {}}, "parameter_invalid", "intents"),
        ({"metadata": []}, "parameter_invalid", "metadata"),
        ({"metadata": {"event_names": "x"}}, "parameter_invalid", "metadata.event_names"),
        ({"metadata": {"event_names": [5]}}, "parameter_invalid", "metadata.event_names"),
        ({"service_type": "email"}, "parameter_invalid", "service_type"),
        ({"service_type": 5}, "parameter_invalid", "service_type"),
        ({"active": "yes"}, "parameter_invalid", "active"),
        ({"ordered": 1}, "parameter_invalid", "ordered"),
        ({"filter": "a ="}, "parameter_invalid", "filter"),
        ({"filter": 5}, "parameter_invalid", "filter"),
        ({"transform": "nosuchfunction(@)"}, "parameter_invalid", "transform"),
        ({"parameters": []}, "parameter_invalid", "parameters"),
        ({"path": 5}, "parameter_invalid", "path"),
        ({"path": "a\r\nb"}, "parameter_invalid", "path"),
        ({"path": "x" * 501}, "parameter_invalid", "path"),
        ({"hub_secret": 5}, "parameter_invalid", "hub_secret"),
        ({"hub_secret": "a\nb"}, "parameter_invalid", "hub_secret"),
        ({"hub_secret": "   "}, "parameter_invalid", "hub_secret"),
        ({"poll_every": 59}, "parameter_invalid", "poll_every"),
        ({"poll_every": "60"}, "parameter_invalid", "poll_every"),
        ({"poll_every": 10**30}, "parameter_invalid", "poll_every"),
        ({"poll_every": 60}, "parameter_invalid", "poll_every"),
        ({"integration": "nosuch"}, "parameter_invalid", "integration"),
        ({"integration": 5}, "parameter_invalid", "integration"),
    ],
)
def test_a_wrong_subscription_is_refused_with_its_field_and_nothing_is_stored(
    client: ApiClient, given: dict[str, Any], code: str, field: str
) -> None:
    response = client.post("subscriptions", {"url": URL, "topics": ["user.created"]} | given)

    assert response.status_code == 400
    assert (only_error(response)["code"], only_error(response)["field"]) == (code, field)
    assert not Subscription.objects.exists()
    assert not Integration.objects.exists()
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"x"', b"true"])
def test_a_body_that_is_no_object_is_refused(client: ApiClient, body: bytes) -> None:
    response = client.call("POST", "subscriptions", body)

    assert response.status_code == 400
    assert only_error(response)["code"] == "bad_request"


def test_there_is_room_for_so_many_subscriptions_with_a_url(client: ApiClient) -> None:
    for _ in range(OWN_LIMIT):
        identity = uuid.uuid4()
        integration = IntegrationFactory(store=client.store, slug=f"nsub_{identity}", wire_format="notification")
        SubscriptionFactory(id=identity, integration=integration)

    response = client.post("subscriptions", {"url": URL, "topics": ["user.created"]})

    assert response.status_code == 400
    assert only_error(response)["field"] == "url"
    assert len(client.get("subscriptions").json()["items"]) == OWN_LIMIT
    shared = IntegrationFactory(store=client.store, slug="shared")
    assert client.post("subscriptions", {"integration": shared.slug, "topics": ["all"]}).status_code == 200


@pytest.mark.parametrize(
    "identity", ["nsub_x", "x", "nsub_", "0" * 32, "nsub_01033700-16ad-41e6-aa08-ed65c3040c0f", "%00", "nsub_%F0"]
)
def test_an_unknown_id_is_not_found(client: ApiClient, identity: str) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/ping"), ("GET", "/sent")):
        response = client.call(method, f"subscriptions/{identity}{path}", {} if method != "GET" else None)
        assert response.status_code == 404
        assert only_error(response)["code"] == "not_found"
