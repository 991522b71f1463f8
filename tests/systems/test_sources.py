"""Every system of the seeds on the sending side, to another one on the receiving side; and one Hookdesk to another."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client

from deliveries.models import Event, Record
from tests.api_client import ApiClient
from tests.receiver import answer
from tests.systems.stories import deliveries, integrate, publish, service, subscribe

GOLDEN = Path(__file__).parent.parent / "golden"


def source(store, kind, **values):
    response = store.post("sources", {"name": kind, "slug": kind, "kind": kind, **values})
    assert response.status_code == 201, response.content
    return response.json()


def posted(address, body, media_type="application/json", **headers):
    """As a vendor posts; the path is all that is left of the address."""
    parts = urlsplit(address)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return Client().post(path, body, content_type=media_type, headers=headers)


class TestSpiffyToMailchimp:
    KEY = "00000000-0000-0000-0000-000000000000"

    @pytest.fixture
    def orders(self, store, receiver, settings):
        settings.MAILCHIMP_BASE_URL = receiver.url("")
        receiver.script(answer(200, b'{"status":"subscribed"}'))
        parameters = {"api_key": "e9a74326bb9999999999b1b4e29a5722-us1", "list_id": "ba8e5beac4"}
        integrate(store, "mailchimp", connector="mailchimp", parameters=parameters)
        subscribe(store, integration="mailchimp", topics=["order.created"])
        return source(store, "xml", secret=self.KEY)["address"]

    def test_the_buyer_of_an_order_in_xml_is_subscribed(self, store, receiver, deliver, orders):
        order = (GOLDEN / "spiffy_order.xml").read_bytes()
        willing = order.replace(b'marketing type="boolean">false', b'marketing type="boolean">true')

        response = posted(orders, willing, "application/xml", **{"X-Spiffy-Stores-Id": self.KEY})
        deliver()

        assert response.status_code == 202
        (request,) = receiver.requests
        member = hashlib.md5(b"spiffy@mystore.spiffystores.com").hexdigest()
        assert (request.method, request.target) == ("PUT", f"/3.0/lists/ba8e5beac4/members/{member}")
        assert json.loads(request.body)["email_address"] == "spiffy@mystore.spiffystores.com"
        assert Record.objects.get().data["line_items"][1]["sku"] == "ITEM002"

    def test_the_sample_as_it_stands_is_skipped_as_the_buyer_does_not_want_it(self, store, receiver, deliver, orders):
        posted(
            orders, (GOLDEN / "spiffy_order.xml").read_bytes(), "application/xml", **{"X-Spiffy-Stores-Id": self.KEY}
        )
        deliver()
        assert [d["status"] for d in deliveries(store, "mailchimp")] == ["succeeded"]
        assert receiver.requests == []

    def test_an_order_that_is_paid_later_changes_the_record(self, store, orders):
        order = (GOLDEN / "spiffy_order.xml").read_bytes()
        for status in (b"pending", b"paid", b"paid"):
            body = order.replace(b"<financial-status>paid", b"<financial-status>" + status)
            assert posted(orders, body, "application/xml", **{"X-Spiffy-Stores-Id": self.KEY}).status_code == 202
        assert list(Event.objects.order_by("id").values_list("topic", flat=True)) == ["order.created", "order.updated"]


class TestIntercomToSms:
    USER = {"type": "user", "id": "5731e7a3ec06c24bee0000f5", "name": "Wash", "phone": "+15551234567"}

    def test_whoever_signs_up_gets_a_text(self, store, receiver, deliver, settings):
        settings.TWILIO_BASE_URL = receiver.url("")
        receiver.script(answer(201, b'{"sid":"SM1","status":"queued"}'))
        credentials = {"account_sid": "AC0123456789abcdef", "auth_token": "t0ken-of-twilio", "from": "+15005550006"}
        integrate(store, "sms", connector="twilio_sms", parameters=credentials)
        transform = "{phone: data.item.phone, message: format('Welcome, {name}!', data.item)}"
        subscribe(store, integration="sms", topics=["user.created"], transform=transform)
        address = source(store, "notification", secret="HELLO")["address"]
        body = json.dumps({
            "type": "notification_event", "topic": "user.created", "id": "notif_300fb510",
            "data": {"type": "notification_event_data", "item": self.USER},
        }).encode()  # fmt: skip
        signature = "sha1=" + hmac.new(b"HELLO", body, hashlib.sha1).hexdigest()

        first = posted(address, body, **{"X-Hub-Signature": signature})
        again = posted(address, body, **{"X-Hub-Signature": signature})
        deliver()

        assert (first.status_code, again.status_code) == (200, 200)
        (request,) = receiver.requests
        assert dict(parse_qsl(request.body.decode())) == {
            "To": "+15551234567", "From": "+15005550006", "Body": "Welcome, Wash!",
        }  # fmt: skip


class TestTurnToHub:
    def test_a_message_of_a_chat_reaches_an_integration_of_wombats(self, store, receiver, deliver):
        receiver.script(service(lambda request: (200, {"request_id": json.loads(request.body)["request_id"]})))
        integrate(store, "hub", url=receiver.url(""), wire_format="hub", auth_type="hub", token="t0ken")
        transform = "{message: {from: messages[0].from, text: messages[0].text.body}}"
        subscribe(store, integration="hub", topics=["message.received"], path="add_message", transform=transform)
        address = source(store, "turn", secret="secret-of-turn")["address"]
        greeting = posted(address, b'{"handshake": true, "name": "Hookdesk"}').json()
        body = json.dumps({
            "contacts": [{"wa_id": "16315555555"}],
            "messages": [{"id": "ABGGFlA5FpafAgo6tHcNmNjXmuSf", "from": "16315555555", "text": {"body": "hi"}, "type": "text"}],
        }).encode()  # fmt: skip
        signature = base64.b64encode(hmac.digest(b"secret-of-turn", body, "sha256")).decode()

        assert posted(address, body, **{"X-Turn-Hook-Signature": signature}).status_code == 200
        assert posted(address, body, **{"X-Turn-Hook-Signature": "forged"}).status_code == 401
        deliver()

        assert greeting["capabilities"] == {"actions": False, "suggested_responses": False, "context_objects": []}
        (request,) = receiver.requests
        assert (request.target, request.header("X-Hub-Token")) == ("/add_message", "t0ken")
        assert json.loads(request.body)["message"] == {"from": "16315555555", "text": "hi"}
        assert [d["status"] for d in deliveries(store, "hub")] == ["succeeded"]


class TestSarufiToRecords:
    def test_an_intent_of_a_chatbot_is_an_intent_here(self, store, receiver, deliver):
        integrate(store, "shop", url=receiver.url("/new-order"), wire_format="flat")
        subscribe(store, integration="shop", intents=["order_pizza"], filter="choice_confirmation == '1'")
        made_source = source(store, "flat")
        address = f"{made_source['address']}?intent=order_pizza&token={made_source['secret']}"
        order = {"number_of_pizzas": "1", "choice_confirmation": "1"}

        assert posted(address, json.dumps(order)).status_code == 202
        assert posted(address, json.dumps(order | {"choice_confirmation": "2"})).status_code == 202
        deliver()

        assert [json.loads(request.body) for request in receiver.requests] == [order]


def passed_on(address, requests):
    """What was delivered to the receiver, posted to a source as the network would."""
    answers = []
    for request in requests:
        headers = {name: value for name, value in request.headers if name.lower() not in ("content-length", "host")}
        answers.append(posted(address, request.body, **headers))
    return answers


class TestOneHookdeskToAnother:
    def test_an_event_arrives_signed_once_and_says_how_far_it_came(self, store, receiver, deliver):
        other = ApiClient()
        there = source(other, "standard")
        integrate(store, "other", url=receiver.url("/in/x"), wire_format="standard", secret=there["secret"])
        subscribe(store, integration="other", topics=["shipment.updated"])
        publish(store, topic="shipment.updated", data={"id": "7", "status": "sent"})

        deliver()
        first, again = passed_on(there["address"], [*receiver.requests, *receiver.requests])

        assert first.json()["accepted"] == 1
        assert again.json()["accepted"] == 0
        event = Event.objects.get(store=other.store)
        assert (event.topic, event.origin, event.hops) == ("shipment.updated", "source", 1)
        assert event.data["data"] == {"id": "7", "status": "sent"}
        shown = other.get("sources/standard/requests").json()["items"]
        assert [each["verdict"] for each in shown] == ["duplicate", "accepted"]

    def test_what_goes_round_ends_with_a_notification(self, store, receiver, deliver):
        back = source(store, "standard", mapping={"data": "body.data"})
        integrate(store, "other", url=receiver.url("/in/x"), wire_format="standard", secret=back["secret"])
        subscribe(store, integration="other", topics=["shipment.updated"])
        publish(store, topic="shipment.updated", data={"id": "7"})

        rounds = 0
        while deliver():
            rounds += 1
            assert [each.status_code for each in passed_on(back["address"], receiver.requests[-1:])] == [202]

        assert rounds == 9, "HOP_LIMIT and the first"
        assert [event.hops for event in Event.objects.order_by("id")] == list(range(10))
        assert Event.objects.filter(is_stopped=True).count() == 1
        (note,) = [item["summary"] for item in store.get("notifications").json()["items"]]
        assert "loop was stopped" in note
        assert "standard" in note
