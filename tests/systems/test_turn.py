"""Turn.io: handshake with its outcome, context of a chat, actions, refresh, signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from tests.api_client import only_error
from tests.receiver import answer, hang
from tests.systems.stories import deliveries, integrate, made, publish, service, subscribe

pytestmark = pytest.mark.django_db(transaction=True)

CHAT = {"owner": "+27820001001", "state": "OPEN"}
MESSAGES = [{"id": "m1", "type": "text", "text": {"body": "hi"}}]


class Weather:
    """A custom integration that trusts nothing but its secret."""

    def __init__(self):
        self.secret = None
        self.language = "English"
        self.handshakes = []
        self.actions = []

    def __call__(self, request):
        body = json.loads(request.body)
        if request.header("Authorization") != "Bearer 123":
            return 401, {"error": "Bearer 123, please"}
        if body.get("handshake"):
            self.handshakes.append(body)
            return 200, {"version": "1.0.0-alpha", "capabilities": self.capabilities}
        digest = hmac.new(self.secret.encode(), request.body, hashlib.sha256).digest()
        if request.header("X-Turn-Hook-Signature") != base64.b64encode(digest).decode():
            return 403, {"error": "not signed with my secret"}
        if request.target == "/actions/language":
            self.actions.append(body)
            self.language = body["option"]
            return 200, {"done": True}, {"X-Turn-Integration-Refresh": "true"}
        return 200, self.context if "chat" in body else {}

    capabilities = {
        "actions": True,
        "suggested_responses": True,
        "context_objects": [
            {"title": "Language", "code": "language", "type": "table", "icon": "none"},
            {"title": "Orders", "code": "orders", "type": "ordered-list", "icon": "none"},
        ],
    }

    @property
    def context(self):
        return {
            "version": "1.0.0-alpha",
            "context_objects": {"language": {"Language": self.language}, "orders": ["R2", "R1"]},
            "suggested_responses": [{"type": "TEXT", "title": "Greet", "body": "Hello!", "confidence": 0.4}],
            "actions": {
                "change_language": {
                    "description": "Change language",
                    "url": "/actions/language",
                    "payload": {"really": "anything"},
                    "options": {"eng": "English", "swa": "Kiswahili"},
                }
            },
        }


@pytest.fixture
def weather(store, receiver):
    integration = Weather()
    receiver.script(service(integration))
    body = integrate(store, "weather", url=receiver.url("/turn"), wire_format="turn", auth_type="bearer", token="123")
    integration.secret = body["secret"]
    return integration


def shown(store):
    return store.get("integrations/weather").json()["handshake"]


def test_the_handshake_of_the_creation_is_on_the_integration(store, weather):
    assert weather.handshakes == [{"handshake": True, "name": "Weather"}]
    handshake = shown(store)
    assert (handshake["ok"], handshake["error"], handshake["version"]) == (True, None, "1.0.0-alpha")
    assert handshake["capabilities"] == weather.capabilities


@pytest.mark.parametrize(
    ("behaviour", "word"),
    [
        (answer(500, b"oops"), "500: oops"),
        (answer(200, b"<html>"), "without a JSON object"),
        (answer(302, b"", {"Location": "https://example.com/"}), "302"),
    ],
)
def test_a_handshake_that_fails_says_why_and_can_be_asked_for_again(store, receiver, weather, behaviour, word):
    receiver.script(behaviour)

    outcome = made(store.post("integrations/weather/handshake"))

    assert (outcome["ok"], outcome["capabilities"]) == (False, {})
    assert word in outcome["error"]
    assert shown(store) == outcome
    receiver.script(service(weather))
    assert made(store.post("integrations/weather/handshake"))["ok"] is True


def test_a_handshake_that_is_not_answered_ends_in_time(store, receiver, weather):
    made(store.patch("integrations/weather", {"timeout": 0.3}))
    receiver.script(hang())

    outcome = made(store.post("integrations/weather/handshake"))

    assert outcome["ok"] is False
    assert outcome["error"]


def test_from_a_chat_to_its_context_to_an_action_to_the_new_context(store, weather):
    asked = {"chat": CHAT, "messages": MESSAGES}
    context = made(store.post("integrations/weather/context", asked))
    assert context == {key: weather.context[key] for key in ("context_objects", "suggested_responses", "actions")}

    run = store.post(
        "integrations/weather/actions/change_language",
        {"address": CHAT["owner"], "message": MESSAGES[0], "option": "swa"},
    )

    assert made(run) == {"ok": True, "status": 200, "refresh": True, "body": {"done": True}}
    (action,) = weather.actions
    assert action["integration_uuid"] == store.get("integrations/weather").json()["uuid"]
    assert action.pop("integration_uuid") and action.pop("integration_action_uuid")
    assert action == {
        "address": CHAT["owner"],
        "message": MESSAGES[0],
        "option": "swa",
        "payload": {"really": "anything"},
    }
    again = made(store.post("integrations/weather/context", asked))
    assert again["context_objects"]["language"] == {"Language": "swa"}


def test_an_action_that_was_not_offered_is_404_and_asks_nobody(store, receiver, weather):
    made(store.post("integrations/weather/context", {"chat": CHAT, "messages": []}))
    before = len(receiver.requests)

    response = store.post("integrations/weather/actions/delete_everything", {})

    assert response.status_code == 404
    assert only_error(response)["code"] == "not_found"
    assert len(receiver.requests) == before


def test_events_are_posted_to_it_signed(store, deliver, weather):
    subscribe(store, integration="weather", topics=["message.created"])
    publish(store, topic="message.created", data={"text": "hi"})

    deliver()

    assert [d["status"] for d in deliveries(store, "weather")] == ["succeeded"], "it checks the signature"


def test_context_of_an_integration_that_refuses_is_its_fault_and_not_the_callers(store, weather):
    made(store.patch("integrations/weather", {"token": "wrong"}))

    response = store.post("integrations/weather/context", {"chat": CHAT, "messages": []})

    assert response.status_code == 502
    assert "Bearer 123, please" in only_error(response)["message"]
