"""`/api/v1/integrations`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from integrations.endpoint import endpoint_of
from integrations.models import AuditEntry, Integration
from tests.api_client import ApiClient, only_error
from tests.factories import IntegrationFactory, SecretFactory

pytestmark = pytest.mark.django_db
URL = "https://shop.example.com/hook"


def test_a_new_integration_has_every_default_and_shows_its_secret_once(client: ApiClient) -> None:
    response = client.post("integrations", {"name": "Shop mirror", "url": URL})

    assert response.status_code == 201
    body = response.json()
    integration = Integration.objects.get()
    secret = body.pop("secret")
    assert Webhook(secret)
    assert endpoint_of(integration, timezone.now()).secrets == (secret,)
    assert body.pop("health")["state"] == "healthy"
    assert body.pop("created_at").endswith("Z")
    assert body.pop("updated_at").endswith("Z")
    assert body == {
        "slug": "shop-mirror",
        "uuid": str(integration.uuid),
        "name": "Shop mirror",
        "url": URL,
        "connector": None,
        "wire_format": "standard",
        "auth_type": "none",
        "auth_header": "",
        "parameters": {},
        "headers": {},
        "additional_data": "",
        "retry_policy": "standard",
        "timeout": 30.0,
        "max_in_flight": 512,
        "rate_limit": None,
        "permanent_statuses": [400, 410, 413, 422],
        "is_enabled": True,
        "keeps_bodies": True,
        "disabled_reason": "",
        "handshake": None,
    }
    assert "secret" not in client.get("integrations/shop-mirror").json()


def test_credentials_are_never_in_an_answer_nor_in_the_history(client: ApiClient) -> None:
    given = {
        "name": "Hub",
        "url": URL,
        "wire_format": "hub",
        "auth_type": "hub",
        "token": "tok-canary",
        "parameters": {"account": {"key": "par-canary", "empty": None}, "list": ["par-canary"]},
        "additional_data": "add-canary",
    }
    created = client.post("integrations", given)
    client.patch("integrations/hub", {"token": "tok-canary-2", "parameters": {"account": {"key": "par-canary-2"}}})

    shown = client.get("integrations/hub")
    assert created.json()["parameters"] == {"account": {"key": "***", "empty": None}, "list": ["***"]}
    assert created.json()["additional_data"] == "***"
    assert created.json()["secret"] is None
    entries = list(AuditEntry.objects.values_list("before", "after"))
    assert len(entries) == 2
    for text in (created.content.decode(), shown.content.decode(), str(entries)):
        assert "canary" not in text


@pytest.mark.parametrize(
    ("wire_format", "policy", "timeout", "statuses"),
    [
        ("hub", "hub", 30.0, []),
        ("notification", "once", 5.0, [410]),
        ("xml", "patient", 30.0, []),
        ("turn", "standard", 30.0, [400, 410, 413, 422]),
    ],
)
def test_each_format_brings_its_own_defaults(
    client: ApiClient, wire_format: str, policy: str, timeout: float, statuses: list[int]
) -> None:
    body = client.post("integrations", {"name": "One", "url": URL, "wire_format": wire_format}).json()

    assert (body["retry_policy"], body["timeout"], body["permanent_statuses"]) == (policy, timeout, statuses)
    assert (body["secret"] is None) == (wire_format in ("hub", "xml"))


def test_a_connector_needs_no_url(client: ApiClient) -> None:
    body = client.post("integrations", {"name": "SMS", "connector": "twilio_sms"}).json()

    assert (body["connector"], body["url"], body["secret"]) == ("twilio_sms", "", None)


def test_what_is_given_is_kept(client: ApiClient) -> None:
    given = {
        "slug": "Mine_1",
        "auth_type": "header",
        "auth_header": "X-Api-Key",
        "headers": {"X-Team": "shipping"},
        "retry_policy": [5, 300.5],
        "timeout": 12,
        "max_in_flight": 3,
        "rate_limit": 0.5,
        "permanent_statuses": [422, 400, 400],
        "is_enabled": False,
        "disabled_reason": "not yet",
    }
    body = client.post("integrations", {"name": "One", "url": URL, "token": "t", **given}).json()

    assert {name: body[name] for name in given} == given | {"permanent_statuses": [400, 422]}


def test_a_slug_is_made_from_the_name_and_numbered(client: ApiClient) -> None:
    slugs = [
        client.post("integrations", {"name": name, "url": URL}).json()["slug"] for name in ("Ünï 1", "Uni 1", "雪")
    ]

    assert slugs == ["uni-1", "uni-1-2", "integration"]


def test_a_taken_slug_is_a_conflict_but_that_of_a_deleted_one_is_free(client: ApiClient) -> None:
    client.post("integrations", {"name": "One", "slug": "one", "url": URL})

    response = client.post("integrations", {"name": "Two", "slug": "one", "url": URL})
    assert response.status_code == 409
    assert (only_error(response)["code"], only_error(response)["field"]) == ("conflict", "slug")
    assert client.delete("integrations/one").status_code == 204
    assert client.get("integrations/one").status_code == 404
    assert client.post("integrations", {"name": "Two", "slug": "one", "url": URL}).status_code == 201


def test_a_change_leaves_the_rest_alone_and_is_in_the_history(client: ApiClient) -> None:
    client.post("integrations", {"name": "One", "url": URL, "token": "t"})

    body = client.patch("integrations/one/", {"timeout": 7, "unknown": "ignored"}).json()

    assert (body["timeout"], body["url"]) == (7.0, URL)
    integration = Integration.objects.get()
    assert integration.token == "t"
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.target_type, entry.target_id) == ("change", "integration", str(integration.id))
    assert (entry.before, entry.after) == ({"timeout": 30.0}, {"timeout": 7.0})
    assert entry.actor == f"token {client.token.name}"


def test_an_answer_can_be_sent_back_without_losing_what_it_masks(client: ApiClient) -> None:
    parameters = {"a": "secret", "b": {"c": ["x", "y"]}}
    given = {"name": "One", "url": URL, "wire_format": "hub", "parameters": parameters, "additional_data": "key"}
    client.post("integrations", given)

    body = client.get("integrations/one").json()
    body["parameters"]["b"]["c"][1] = "new"
    body["parameters"]["d"] = "added"
    assert client.patch("integrations/one", body).status_code == 200

    integration = Integration.objects.get()
    assert integration.parameters == {"a": "secret", "b": {"c": ["x", "new"]}, "d": "added"}
    assert integration.additional_data == "key"


def test_a_new_format_brings_its_defaults_but_what_is_given_wins(client: ApiClient) -> None:
    client.post("integrations", {"name": "One", "url": URL, "wire_format": "xml"})

    body = client.patch("integrations/one", {"wire_format": "standard", "timeout": 9}).json()

    assert (body["retry_policy"], body["timeout"]) == ("standard", 9.0)
    assert len(Integration.objects.get().active_secrets(timezone.now())) == 1


def test_null_asks_for_the_default_again(client: ApiClient) -> None:
    client.post("integrations", {"name": "One", "url": URL, "timeout": 9, "retry_policy": "none", "rate_limit": 5})

    body = client.patch("integrations/one", {"timeout": None, "retry_policy": None, "rate_limit": None}).json()

    assert (body["timeout"], body["retry_policy"], body["rate_limit"]) == (30.0, "standard", None)


def test_both_secrets_sign_for_a_day_after_a_rotation(client: ApiClient) -> None:
    old = client.post("integrations", {"name": "One", "url": URL}).json()["secret"]

    body = client.post("integrations/one/rotate_secret").json()

    integration = Integration.objects.get()
    now = timezone.now()
    assert set(body) == {"secret", "old_secret_expires_at"}
    assert endpoint_of(integration, now).secrets == (body["secret"], old)
    assert endpoint_of(integration, now + timedelta(hours=23, minutes=59)).secrets == (body["secret"], old)
    assert endpoint_of(integration, now + timedelta(hours=24, minutes=1)).secrets == (body["secret"],)
    assert body["secret"] not in str(list(AuditEntry.objects.values_list("before", "after")))


def test_a_format_that_does_not_sign_has_no_secret_to_rotate(client: ApiClient) -> None:
    client.post("integrations", {"name": "One", "url": URL, "wire_format": "flat"})

    response = client.post("integrations/one/rotate_secret")

    assert response.status_code == 400
    assert "does not sign" in only_error(response)["message"]


def test_a_given_secret_replaces_the_old_one_as_a_rotation_does(client: ApiClient) -> None:
    integration = IntegrationFactory(store=client.store, slug="one")
    SecretFactory(integration=integration)

    assert client.patch("integrations/one", {"secret": "whsec_" + "QUJD" * 10}).status_code == 200

    assert endpoint_of(integration, timezone.now()).secrets == (
        "whsec_" + "QUJD" * 10,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )


def test_an_integration_can_be_disabled_and_enabled(client: ApiClient) -> None:
    client.post("integrations", {"name": "One", "url": URL})

    disabled = client.patch("integrations/one", {"is_enabled": False, "disabled_reason": "moving"}).json()
    enabled = client.patch("integrations/one", {"is_enabled": True}).json()

    assert (disabled["is_enabled"], disabled["disabled_reason"]) == (False, "moving")
    assert (enabled["is_enabled"], enabled["disabled_reason"]) == (True, "")


def test_the_list_is_paged_by_whole_urls(client: ApiClient) -> None:
    for number in range(5):
        IntegrationFactory(store=client.store, slug=f"s{number}")

    seen, url = [], "/api/v1/integrations?limit=2"
    while url:
        body = client.get(url).json()
        assert set(body) == {"items", "pages"}
        seen += [item["slug"] for item in body["items"]]
        url = body["pages"]["next"]
        assert url is None or url.startswith("http://testserver/api/v1/integrations?limit=2&cursor=")
        url = url and url.removeprefix("http://testserver")

    assert seen == ["s4", "s3", "s2", "s1", "s0"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=٣", "cursor=x", "cursor=W10", "cursor=%00"]
)
def test_a_strange_page_is_refused(client: ApiClient, query: str) -> None:
    response = client.get(f"integrations?{query}")

    assert response.status_code == 400
    assert only_error(response)["field"] == query.partition("=")[0]
