"""Intercom's webhooks: the tutorial's calls, its Sinatra app's signature, feeds, 410."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from django.test import Client

from tests.receiver import answer
from tests.systems.stories import made, publish, service

SECRET = "HELLO"
USER = {"type": "user", "id": "5731e7a3ec06c24bee0000f5", "user_id": "20", "email": "wash@serenity.io", "name": None}


def sinatra_app(request):
    """The tutorial's `post '/webhook'` with verify_signature; unsigned requests pass there too."""
    expected = request.header("X-Hub-Signature")
    if expected:
        signature = "sha1=" + hmac.new(SECRET.encode(), request.body, hashlib.sha1).hexdigest()
        if not hmac.compare_digest(signature, expected):
            return 500, b"Signatures didn't match!"
    json.loads(request.body)
    return 200, b""


@pytest.fixture
def webhook(receiver):
    receiver.script(service(sinatra_app))
    return receiver.url("/webhook")


def bodies(receiver):
    return [json.loads(request.body) for request in receiver.requests]


def test_creating_a_webhook_pings_it_immediately_in_intercoms_envelope(store, receiver, deliver, webhook):
    subscription = made(
        store.post("subscriptions/", {"url": webhook, "topics": ["users.created"], "hub_secret": SECRET})
    )

    deliver()

    assert subscription["topics"] == ["user.created"]
    assert subscription["app_id"] == str(store.store.id)
    (request,) = receiver.requests
    ping = json.loads(request.body)
    at = ping["first_sent_at"]
    assert ping["data"]["item"].pop("message")
    assert 0 <= at - ping.pop("created_at") < 60
    assert ping == {
        "type": "notification_event",
        "app_id": str(store.store.id),
        "data": {"type": "notification_event_data", "item": {"type": "ping"}},
        "links": {},
        "id": None,
        "topic": "ping",
        "delivery_status": None,
        "delivery_attempts": 1,
        "delivered_at": 0,
        "first_sent_at": at,
        "self": None,
    }
    digest = hmac.new(b"HELLO", request.body, hashlib.sha256).hexdigest()
    assert request.header("X-Hub-Signature-256") == f"sha256={digest}"


def test_a_user_that_is_created_is_notified_signed_and_accepted(store, receiver, deliver, webhook):
    made(store.post("subscriptions", {"url": webhook, "topics": ["user.created"], "hub_secret": SECRET}))
    deliver()

    publish(store, topic="user.created", data=USER)
    publish(store, topic="user.deleted", data={"id": "1"})
    deliver()

    assert [body["topic"] for body in bodies(receiver)] == ["ping", "user.created"]
    body = bodies(receiver)[1]
    assert body["data"]["item"] == USER
    assert list(body["data"]["item"]) == list(USER), "members keep their order"
    assert body["id"].startswith("notif_")
    assert len(body["id"]) == len("notif_73538090-16b6-11e6-aa08-ed65c3040c0f")


def test_another_secret_is_refused_by_the_tutorials_app(store, receiver, deliver, webhook):
    subscription = made(store.post("subscriptions", {"url": webhook, "topics": ["user"], "hub_secret": "GOODBYE"}))
    deliver()

    publish(store, topic="user.created", data=USER)
    deliver()

    errors = store.get(f"subscriptions/{subscription['id']}/error").json()
    assert errors["type"] == "notification.list"
    (error,) = (item for item in errors["notifications"] if item["topic"] == "user.created")
    assert error["http_request"]["response"]["body"] == "Signatures didn't match!"
    assert error["delivery_status"] == "retrying"
    assert deliver(later=timedelta(seconds=59)) == 0
    assert deliver(later=timedelta(seconds=61)) == 1, "once, after a minute"
    assert deliver(later=timedelta(days=2)) == 0


def test_an_event_webhook_gets_the_events_that_it_named(store, receiver, deliver, webhook):
    wanted = {"service_type": "web", "topics": ["event.created"], "url": webhook}
    subscription = made(
        store.post("subscriptions/", wanted | {"metadata": {"event_names": ["wrote-fear-and-trembling", "other"]}})
    )
    assert subscription["metadata"] == {"event_names": ["wrote-fear-and-trembling", "other"]}
    updated = made(
        store.post(
            f"subscriptions/{subscription['id']}", wanted | {"metadata": {"event_names": ["invited-philosopher"]}}
        )
    )
    assert updated["metadata"] == {"event_names": ["invited-philosopher"]}
    deliver()

    for name in ("wrote-fear-and-trembling", "invited-philosopher"):
        publish(store, topic="event.created", data={"event_name": name, "email": "soren@example.com"})
    deliver()

    assert [body["topic"] for body in bodies(receiver)] == ["ping", "event.created"]
    assert bodies(receiver)[1]["data"]["item"]["event_name"] == "invited-philosopher"


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("conversation", ["conversation.user.created", "conversation.admin.closed"]),
        ("conversation.user.replied", []),
        ("conversation.user.*", ["conversation.user.created"]),
        ("all", ["conversation.user.created", "conversation.admin.closed", "contact.signed_up"]),
        ("contacts.signed_up", ["contact.signed_up"]),
    ],
)
def test_topics_are_subscribed_as_intercom_spells_them(store, receiver, deliver, webhook, pattern, wanted):
    made(store.post("subscriptions", {"url": webhook, "topics": [pattern]}))
    for topic in ("conversation.user.created", "conversation.admin.closed", "contact.signed_up"):
        publish(store, topic=topic, data={"id": 1})

    deliver()

    assert sorted(body["topic"] for body in bodies(receiver)) == sorted(["ping", *wanted])


def test_the_tutorials_calls_one_after_the_other(store, receiver, deliver, webhook):
    first = made(store.post("subscriptions/", {"url": webhook, "topics": ["user.created"]}))
    second = made(store.post("subscriptions/", {"url": webhook, "topics": ["user.deleted"]}))
    listed = store.get("subscriptions").json()
    assert [item["id"] for item in listed["subscriptions"]] == [second["id"], first["id"]]
    assert listed["items"] == listed["subscriptions"]

    path = f"subscriptions/{first['id']}"
    assert store.get(path).json()["topics"] == ["user.created"]
    made(store.post(path, {"topics": ["user.created", "user.deleted"], "url": webhook}))
    assert store.get(path).json()["topics"] == ["user.created", "user.deleted"]
    assert made(store.post(f"{path}/ping", ""))["id"] == first["id"]
    assert made(store.delete(f"subscriptions/{second['id']}", ""))["id"] == second["id"]
    assert [item["id"] for item in store.get("subscriptions").json()["items"]] == [first["id"]]

    deliver()
    assert [body["topic"] for body in bodies(receiver)] == ["ping"] * 2, "nothing is sent for one that was deleted"


def test_what_was_read_can_be_sent_back_without_losing_the_secret(store, receiver, deliver, webhook):
    """Intercom's Python client saves by PUT of all that it read, masks included."""
    subscription = made(store.post("subscriptions", {"url": webhook, "topics": ["user"], "hub_secret": SECRET}))
    read = store.get(f"subscriptions/{subscription['id']}").json()

    made(store.put(f"subscriptions/{subscription['id']}", read | {"topics": ["user.created"]}))
    publish(store, topic="user.created", data=USER)
    deliver()

    sent = store.get(f"subscriptions/{subscription['id']}/sent").json()["notifications"]
    assert [item["topic"] for item in sent] == ["user.created", "ping"]
    assert all(request.header("X-Hub-Signature") for request in receiver.requests)


def test_the_feeds_say_what_went_out_and_what_failed(store, receiver, deliver, webhook):
    subscription = made(store.post("subscriptions", {"url": webhook, "topics": ["user"]}))
    deliver()
    publish(store, topic="user.created", data=USER)
    deliver()
    receiver.script(answer(503, b"closed"))
    publish(store, topic="user.deleted", data={"id": "1"})
    deliver()

    (sent, _ping) = store.get(f"subscriptions/{subscription['id']}/sent").json()["notifications"]
    assert (sent["topic"], sent["delivery_status"], sent["delivery_attempts"]) == ("user.created", "succeeded", 1)
    assert sent["delivered_at"] >= sent["first_sent_at"] > 0
    for name in ("error", "errors"):
        (failed,) = store.get(f"subscriptions/{subscription['id']}/{name}").json()["notifications"]
        assert failed["topic"] == "user.deleted"
        assert "closed" in json.dumps(failed["http_request"])


def test_410_deactivates_the_subscription_and_nothing_else(store, receiver, deliver, webhook):
    other = made(store.post("subscriptions", {"url": receiver.url("/other"), "topics": ["user"]}))
    subscription = made(store.post("subscriptions", {"url": webhook, "topics": ["user"]}))
    deliver()
    receiver.script(answer(410), path="/webhook")
    receiver.script(answer(200), path="/other")

    publish(store, topic="user.created", data=USER)
    deliver()
    publish(store, topic="user.deleted", data=USER)
    deliver()

    assert store.get(f"subscriptions/{subscription['id']}").json()["active"] is False
    assert "410" in store.get(f"subscriptions/{subscription['id']}").json()["inactive_reason"]
    assert store.get(f"subscriptions/{other['id']}").json()["active"] is True
    assert [request.target for request in receiver.requests].count("/webhook") == 2
    assert [request.target for request in receiver.requests].count("/other") == 3


def test_a_ping_that_is_answered_410_deactivates_nothing(store, receiver, deliver, webhook):
    receiver.script(answer(410))
    subscription = made(store.post("subscriptions", {"url": webhook, "topics": ["user"]}))

    deliver()

    assert store.get(f"subscriptions/{subscription['id']}").json()["active"] is True


@pytest.mark.parametrize("user", ["{store}:{token}", "{token}:"])
def test_intercoms_clients_authenticate_by_basic(store, user):
    pair = user.format(store=store.store.id, token=store.token.text)
    header = "Basic " + base64.b64encode(pair.encode()).decode()

    response = Client().get("/api/v1/subscriptions", headers={"Authorization": header})

    assert response.status_code == 200
