"""`/api/v1/tokens` and who may call at all."""

from __future__ import annotations

import base64

import pytest
import time_machine
from django.test import Client

from integrations.models import AccessToken, AuditEntry
from tests.api_client import ApiClient, only_error
from tests.factories import AccessTokenFactory

pytestmark = pytest.mark.django_db


def test_a_new_token_is_shown_once_and_works(client: ApiClient) -> None:
    response = client.post("tokens", {"name": "CI", "scopes": ["push"], "expires_at": "2100-01-31T08:00:00Z"})

    assert response.status_code == 201
    body = response.json()
    text = body.pop("token")
    assert text.startswith(f"{body['prefix']}_")
    assert set(body) == {"id", "name", "prefix", "scopes", "expires_at", "addresses", "last_used_at", "created_at"}
    assert (body["name"], body["scopes"], body["expires_at"]) == ("CI", ["push"], "2100-01-31T08:00:00Z")
    assert text not in client.get("tokens").content.decode()
    assert text not in str(list(AuditEntry.objects.values_list("before", "after")))
    assert not AccessToken.objects.filter(token_hash=text).exists()
    answer = Client().get("/api/v1/tokens", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 403
    assert only_error(answer)["code"] == "forbidden"


def test_a_token_may_do_everything_unless_told_otherwise(client: ApiClient) -> None:
    assert client.post("tokens", {"name": "All"}).json()["scopes"] == ["read", "push", "resolve", "manage"]


def test_a_deleted_token_stops_working_at_once(client: ApiClient) -> None:
    body = client.post("tokens", {"name": "CI"}).json()
    headers = {"Authorization": f"Bearer {body['token']}"}
    assert Client().get("/api/v1/tokens", headers=headers).status_code == 200

    assert client.delete(f"tokens/{body['id']}/").status_code == 204

    assert Client().get("/api/v1/tokens", headers=headers).status_code == 401
    assert client.get(f"tokens/{body['id']}").status_code == 404
    assert client.delete(f"tokens/{body['id']}").status_code == 404
    assert [item["name"] for item in client.get("tokens").json()["items"]] == [client.token.name]


def test_an_expired_token_stops_working() -> None:
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False):
        client = ApiClient()
        text = client.post("tokens", {"name": "Short", "expires_at": "2030-01-01T01:00:00"}).json()["token"]
    with time_machine.travel("2030-01-01T00:59:00Z", tick=False):
        assert Client().get("/api/v1/tokens", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    with time_machine.travel("2030-01-01T01:01:00Z", tick=False):
        assert Client().get("/api/v1/tokens", headers={"Authorization": f"Bearer {text}"}).status_code == 401


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_parameter", "name"),
        ({"name": ""}, "parameter_invalid", "name"),
        ({"name": 5}, "parameter_invalid", "name"),
        ({"name": "x" * 101}, "parameter_invalid", "name"),
        ({"name": "x", "scopes": []}, "parameter_invalid", "scopes"),
        ({"name": "x", "scopes": ["root"]}, "parameter_invalid", "scopes"),
        ({"name": "x", "scopes": "push"}, "parameter_invalid", "scopes"),
        ({"name": "x", "scopes": [["push"]]}, "parameter_invalid", "scopes"),
        ({"name": "x", "addresses": ["10.0.0.0/99"]}, "parameter_invalid", "addresses"),
        ({"name": "x", "addresses": ["10.0.0.1/8"]}, "parameter_invalid", "addresses"),
        ({"name": "x", "addresses": "10.0.0.1"}, "parameter_invalid", "addresses"),
        ({"name": "x", "addresses": [f"10.0.0.{n}" for n in range(51)]}, "parameter_invalid", "addresses"),
        ({"name": "x", "expires_at": "soon"}, "parameter_invalid", "expires_at"),
        ({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, "parameter_invalid", "expires_at"),
        ({"name": "x", "expires_at": "2024-13-45T00:00:00Z"}, "parameter_invalid", "expires_at"),
        ({"name": "x", "expires_at": 5}, "parameter_invalid", "expires_at"),
    ],
)
def test_a_wrong_token_is_refused(client: ApiClient, body: object, code: str, field: str) -> None:
    response = client.post("tokens", body)

    assert response.status_code == 400
    assert (only_error(response)["code"], only_error(response)["field"]) == (code, field)
    assert AccessToken.objects.count() == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Access-Token": "{token}"},
        {"X-Hub-Store": "{store}"},
        {"X-Hub-Store": "{store}", "X-Hub-Access-Token": "wrong"},
        {"X-Hub-Store": "not a uuid", "X-Hub-Access-Token": "{token}"},
        {"X-Hub-Store": "00000000-0000-0000-0000-000000000000", "X-Hub-Access-Token": "{token}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer {token}x"},
        {"Authorization": "Digest {token}"},
        {"Authorization": "Basic ???"},
        {"Authorization": "Bearer \x00"},
    ],
)
def test_wrong_credentials_answer_401_with_the_error_body(headers: dict[str, str]) -> None:
    token = AccessTokenFactory()
    filled = {name: value.format(token=token.text, store=token.store_id) for name, value in headers.items()}

    response = Client().get("/api/v1/tokens", headers=filled)

    assert response.status_code == 401
    assert only_error(response)["code"] == "unauthorized"
    assert response.headers["WWW-Authenticate"] == 'Basic realm="Hookdesk"'


def test_all_ways_of_naming_the_store_work() -> None:
    token = AccessTokenFactory()
    pairs = (f"{token.store_id}:{token.text}", f"{token.text}:")
    ways = [
        token.headers,
        token.headers | {"X-Hub-Timestamp": "2013-11-22T08:33:22Z"},
        {"Authorization": f"Bearer {token.text}"},
        *({"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()} for pair in pairs),
    ]

    assert [Client().get("/api/v1/tokens", headers=way).status_code for way in ways] == [200] * 5
