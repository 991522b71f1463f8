"""`/api/v1/topics` (docs/contract.md#management-api)."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import AuditEntry
from subscriptions.models import Topic
from tests.api_client import ApiClient, only_error
from tests.factories import TopicFactory

pytestmark = pytest.mark.django_db
SCHEMA = {"type": "object", "properties": {"id": {"$ref": "#/$defs/id"}}, "$defs": {"id": {"pattern": "^[0-9]+$"}}}


def test_a_topic_is_described_changed_and_deleted(client: ApiClient) -> None:
    given = {"name": "order.paid", "description": "Paid.", "schema": SCHEMA, "condition": "new.status == 'paid'"}

    created = client.post("topics", given)

    assert created.status_code == 201
    body = created.json()
    assert set(body) == {"name", "description", "schema", "condition", "is_searchable", "created_at", "updated_at"}
    assert {name: body[name] for name in given} == given
    assert client.get("topics/order.paid/").json() == body
    changed = client.patch("topics/order.paid", {"schema": None}).json()
    assert (changed["schema"], changed["description"]) == (None, "Paid.")
    assert client.delete("topics/order.paid").status_code == 204
    assert client.get("topics/order.paid").status_code == 404
    assert [entry.action for entry in AuditEntry.objects.all()] == ["delete", "change", "create"]


def test_the_list_is_by_name_and_paged(client: ApiClient) -> None:
    for name in ("b.b", "a.a", "c.c"):
        TopicFactory(store=client.store, name=name)
    TopicFactory(name="not.mine")

    first = client.get("topics?limit=2").json()
    second = client.get(first["pages"]["next"].removeprefix("http://testserver")).json()

    assert [item["name"] for item in first["items"] + second["items"]] == ["a.a", "b.b", "c.c"]
    assert second["pages"]["next"] is None


def test_a_name_is_described_once(client: ApiClient) -> None:
    client.post("topics", {"name": "order.paid"})

    response = client.post("topics", {"name": "order.paid"})

    assert response.status_code == 409
    assert only_error(response)["field"] == "name"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "order.*"}, "name"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"description": 5}, "description"),
        ({"schema": []}, "schema"),
        ({"schema": "object"}, "schema"),
        ({"schema": {"type": "thing"}}, "schema"),
        ({"schema": {"properties": []}}, "schema"),
        ({"schema": {"$ref": "http://169.254.169.254/schema.json"}}, "schema"),
        ({"schema": {"properties": {"a": {"$ref": "other.json"}}}}, "schema"),
        ({"schema": {"$ref": "#/nowhere"}}, "schema"),
        ({"schema": {"$ref": "#"}}, "schema"),
        ({"schema": {"$id": "http://x.example.com/"}}, "schema"),
        ({"schema": {"properties": {"a": {"pattern": "("}}}}, "schema"),
        ({"schema": {"patternProperties": {"(": {}}}}, "schema"),
        ({"condition": "new.status =="}, "condition"),
        ({"condition": 5}, "condition"),
    ],
)
def test_a_wrong_topic_is_refused(client: ApiClient, given: dict[str, Any], field: str) -> None:
    response = client.post("topics", {"name": "order.paid"} | given)

    assert response.status_code == 400
    assert (only_error(response)["code"], only_error(response)["field"]) == ("parameter_invalid", field)
    assert not Topic.objects.exists()


def test_a_property_may_be_called_like_a_keyword(client: ApiClient) -> None:
    schema = {"properties": {"$id": {"type": "string"}, "$ref": {"type": "string"}, "pattern": {"type": "string"}}}

    assert client.post("topics", {"name": "a.b", "schema": schema}).status_code == 201


def test_a_name_is_required(client: ApiClient) -> None:
    assert only_error(client.post("topics", {}))["code"] == "missing_parameter"


@pytest.mark.parametrize("name", ["nosuch", "%00", "a%2Fb", "x" * 500])
def test_an_unknown_topic_is_not_found(client: ApiClient, name: str) -> None:
    response = client.get(f"topics/{name}")

    assert response.status_code == 404
    assert only_error(response)["code"] == "not_found"
