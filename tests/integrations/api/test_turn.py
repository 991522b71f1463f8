"""Handshake, context and actions with a Turn.io integration that answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.models import Integration
from tests.api_client import ApiClient, only_error
from tests.receiver import Receiver, answer, raw_answer

CAPABILITIES = {
    "actions": True,
    "suggested_responses": True,
    "context_objects": [{"title": "Language", "code": "language", "type": "table", "icon": "none"}],
}
CONTEXT = {
    "version": "1.0.0-alpha",
    "context_objects": {"language": {"Language": "English"}},
    "suggested_responses": [{"type": "TEXT", "title": "Hello", "body": "Hi there", "confidence": 0.4}],
    "actions": {
        "change_language": {
            "description": "Change Language",
            "url": "/actions/language?x=1",
            "payload": {"really": "anything"},
            "options": {"eng": "English"},
        }
    },
}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def service() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    return answer(status, json.dumps(value).encode(), headers)


def make(client: ApiClient, service: Receiver, **values: Any) -> Any:
    body = {"name": "Weather", "url": service.url("/turn/hook"), "wire_format": "turn", "auth_type": "token"}
    return client.post("integrations", body | {"token": "123"} | values)


def test_a_new_integration_is_asked_for_its_handshake_and_shows_the_answer(
    client: ApiClient, service: Receiver
) -> None:
    service.script(as_json({"version": "1.0.0-alpha", "capabilities": CAPABILITIES}))

    body = make(client, service).json()

    request = service.requests[0]
    assert json.loads(request.body) == {"handshake": True, "name": "Weather"}
    assert request.header("Authorization") == "Token 123"
    digest = hmac.new(body["secret"].encode(), request.body, hashlib.sha256).digest()
    assert request.header("X-Turn-Hook-Signature") == base64.b64encode(digest).decode()
    at = body["handshake"].pop("at")
    assert at.endswith("Z")
    assert body["handshake"] == {"ok": True, "error": None, "version": "1.0.0-alpha", "capabilities": CAPABILITIES}


def test_a_handshake_that_fails_says_why_and_the_integration_is_there_all_the_same(
    client: ApiClient, service: Receiver
) -> None:
    service.script(answer(401, b"who are you?"), as_json({}))

    response = make(client, service)

    assert response.status_code == 201
    assert response.json()["handshake"]["ok"] is False
    assert response.json()["handshake"]["error"] == "The integration answered 401: who are you?"
    again = client.post("integrations/weather/handshake").json()
    assert (again["ok"], again["error"], again["version"], again["capabilities"]) == (True, None, None, {})
    assert client.get("integrations/weather").json()["handshake"] == again


def test_nobody_answering_is_an_outcome_too(client: ApiClient) -> None:
    body = {"name": "Gone", "url": "http://127.0.0.1:1/", "wire_format": "turn"}

    handshake = client.post("integrations", body).json()["handshake"]

    assert handshake["ok"] is False
    assert handshake["error"]


def test_context_is_forwarded_and_its_actions_can_be_run(client: ApiClient, service: Receiver) -> None:
    service.script(as_json({}), as_json(CONTEXT))
    make(client, service)
    chat = {"owner": "+27820000000", "state": "OPEN"}
    messages = [{"type": "text", "text": {"body": "hi"}}]

    answered = client.post("integrations/weather/context", {"chat": chat, "messages": messages})

    assert json.loads(service.requests[1].body) == {"chat": chat, "messages": messages}
    assert answered.status_code == 200
    assert answered.json() == {name: CONTEXT[name] for name in ("context_objects", "suggested_responses", "actions")}

    service.script(as_json({"done": True}, headers={"X-Turn-Integration-Refresh": "true"}))
    given = {"address": "+27820000000", "message": {"id": "abc"}, "option": "eng"}
    response = client.post("integrations/weather/actions/change_language", given)

    assert response.status_code == 200
    assert response.json() == {"ok": True, "status": 200, "refresh": True, "body": {"done": True}}
    assert response.headers["X-Turn-Integration-Refresh"] == "true"
    request = service.requests[2]
    assert request.target == "/actions/language?x=1"
    sent = json.loads(request.body)
    assert sent.pop("integration_action_uuid")
    assert sent == given | {
        "integration_uuid": str(Integration.objects.get().uuid),
        "payload": {"really": "anything"},
    }
    client.post("integrations/weather/actions/change_language", given | {"payload": {"mine": 1}})
    assert json.loads(service.requests[3].body)["payload"] == {"mine": 1}


def test_an_action_that_was_not_offered_is_not_found(client: ApiClient, service: Receiver) -> None:
    service.script(as_json({}), as_json(CONTEXT))
    make(client, service)

    before = client.post("integrations/weather/actions/change_language", {})
    client.post("integrations/weather/context", {"chat": {}, "messages": []})
    other = client.post("integrations/weather/actions/delete_everything%00", {})

    assert (before.status_code, other.status_code) == (404, 404)
    assert only_error(other)["code"] == "not_found"
    assert len(service.requests) == 2


def test_an_action_reaches_no_address_that_is_not_allowed(client: ApiClient, service: Receiver, settings: Any) -> None:
    offered = {"actions": {"steal": {"url": "http://169.254.169.254/latest/meta-data/"}, "odd": {"url": "file:///x"}}}
    service.script(as_json({}), as_json(offered))
    make(client, service)
    client.post("integrations/weather/context", {})

    for code in ("steal", "odd"):
        response = client.post(f"integrations/weather/actions/{code}", {})
        assert response.status_code == 502
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "behaviour",
    [answer(500, b"no"), answer(200, b"not json"), answer(200, b"[1]"), raw_answer(b"nonsense\r\n\r\n")],
)
def test_an_integration_that_does_not_answer_properly_is_502(
    client: ApiClient, service: Receiver, behaviour: Any
) -> None:
    service.script(as_json({}), behaviour)
    make(client, service)

    response = client.post("integrations/weather/context", {"chat": {}})

    assert response.status_code == 502
    assert only_error(response)["code"] == "service_unavailable"


@pytest.mark.parametrize("body", [{"chat": []}, {"messages": {}}, {"chat": "x"}])
def test_a_wrong_context_request_is_not_forwarded(client: ApiClient, service: Receiver, body: Any) -> None:
    service.script(as_json({}))
    make(client, service)

    assert client.post("integrations/weather/context", body).status_code == 400
    assert len(service.requests) == 1


@pytest.mark.parametrize("path", ["handshake", "context", "actions/x"])
def test_other_formats_have_none_of_this(client: ApiClient, path: str) -> None:
    client.post("integrations", {"name": "One", "url": "https://shop.example.com/"})

    response = client.post(f"integrations/one/{path}", {})

    assert response.status_code == 400
    assert only_error(response)["code"] == "bad_request"
