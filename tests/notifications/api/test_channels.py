"""`/api/v1/channels` (docs/contract.md#channels)."""

from __future__ import annotations

import json

import pytest

from integrations.models import AuditEntry
from notifications.models import Channel
from tests.api_client import ApiClient
from tests.receiver import Receiver, answer

pytestmark = pytest.mark.django_db

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def client() -> ApiClient:
    return ApiClient()


def test_a_channel_is_made_changed_tested_and_deleted_and_its_secret_never_shown(client: ApiClient) -> None:
    with Receiver() as receiver:
        receiver.script(answer(202, b""))
        url = receiver.url("/hook")
        made = client.post("channels", {"name": "Ops", "kind": "webhook", "options": {"url": url, "secret": SECRET}})
        assert made.status_code == 201, made.json()
        body = made.json()
        assert body["options"] == {"url": url, "secret": "***"}
        assert (body["min_severity"], body["integrations"], body["active"]) == ("error", [], True)
        path = f"channels/{body['id']}"
        changed = client.patch(path, {"name": "Night", "options": {"url": url, "secret": "***"}})
        assert changed.json()["name"] == "Night"
        assert Channel.objects.get().options == {"url": url, "secret": SECRET}
        assert client.post(f"{path}/test", {}).json() == {"sent": True, "status": 202}
        receiver.script(answer(500, b"down"))
        assert client.post(f"{path}/test", {}).status_code == 502
    assert SECRET not in json.dumps(list(AuditEntry.objects.values_list("before", "after")))
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_another_stores_channel_and_one_of_all_stores_are_not_found(client: ApiClient) -> None:
    made = ApiClient().post("channels", {"name": "Ops", "kind": "pagerduty", "options": {"routing_key": "R0"}}).json()
    everywhere = Channel.objects.create(name="All", kind="email", recipients=["a@example.com"])
    for number in (made["id"], everywhere.pk, "x"):
        assert client.get(f"channels/{number}").status_code == 404
        assert client.post(f"channels/{number}/test", {}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x", "kind": "pigeon"},
        {"name": "x", "kind": "teams", "options": {}},
        {"name": "x", "kind": "teams", "options": {"url": 5}},
        {"name": "x", "kind": "teams", "options": {"url": "https://example.com/", "colour": "red"}},
        {"name": "x", "kind": "email", "options": {"recipients": ["nobody"]}},
        {"name": "x", "kind": "pagerduty", "options": {"routing_key": "R0"}, "min_severity": "huge"},
        {"name": "x", "kind": "pagerduty", "options": {"routing_key": "R0"}, "integrations": ["none"]},
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_made(client: ApiClient, body: dict[str, object]) -> None:
    assert client.post("channels", body).status_code == 400
    assert not Channel.objects.exists()
