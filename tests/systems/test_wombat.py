"""Wombat/CenitHub: send_sms as the tutorial has it, polling, and what an answer brings back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from deliveries.maintenance.periodic import make_due_polls
from deliveries.models import Delivery, Event, Record
from integrations.models import Integration
from subscriptions.models import Subscription
from tests.receiver import answer
from tests.systems.stories import attempts, deliveries, integrate, made, notifications, push, service, subscribe

SHIPMENT = {
    "id": "1111111111",
    "order_id": "R1111111111",
    "cost": 5.0,
    "status": "ready",
    "tracking": "",
    "updated_at": None,
    "shipping_address": {"firstname": "Joe", "country": "US", "phone": "0000000000"},
}
#: The tutorial never shows how a shipment becomes an sms; this is how here.
TO_SMS = (
    "{sms: {from: '444-444-4444', phone: shipping_address.phone,"
    " message: concat('Your order ', order_id, ' has shipped: ', tracking)}}"
)


def twilio_app(request):
    """The tutorial's Sinatra app, with Twilio refusing what is no number."""
    payload = json.loads(request.body)
    if request.target != "/send_sms":
        return 404, b"not found"
    if set(payload["sms"]["phone"]) == {"0"}:
        error = f"The 'To' number {payload['sms']['phone']} is not a valid phone number."
        return 500, {"request_id": payload["request_id"], "summary": f"Unable to send SMS message. Error: {error}"}
    return 200, {"request_id": payload["request_id"], "summary": "SMS message sent"}


@pytest.fixture
def sms(store, receiver):
    """The Twilio integration of the tutorial, called on each change of a shipment."""
    receiver.script(service(twilio_app))
    credentials = {"account_sid": "YOUR-SID", "auth_token": "YOUR-AUTH-TOKEN"}
    integrate(
        store,
        "twilio",
        url=receiver.url("/"),
        wire_format="hub",
        auth_type="hub",
        token="t0ken",
        parameters=credentials,
    )
    return subscribe(store, integration="twilio", path="send_sms", topics=["shipment.update"], transform=TO_SMS)


def test_the_tutorial_from_the_push_to_the_resolved_error(store, receiver, deliver, sms):
    assert push(store, shipments=[SHIPMENT]) == {"shipments": 1}
    assert push(store, shipments=[{"id": "1111111111", "tracking": "12345678"}]) == {"shipments": 1}

    assert deliver() == 1, "shipment.created was not asked for"
    (delivery,) = deliveries(store, "twilio")
    assert delivery["status"] == "retrying"
    assert json.loads(receiver.requests[0].body) == {
        "request_id": delivery["request_id"],
        "parameters": {"account_sid": "YOUR-SID", "auth_token": "YOUR-AUTH-TOKEN"},
        "sms": {
            "from": "444-444-4444",
            "phone": "0000000000",
            "message": "Your order R1111111111 has shipped: 12345678",
        },
    }
    assert receiver.requests[0].header("X-Hub-Token") == "t0ken"
    assert receiver.requests[0].header("Content-Type") == "application/json"
    (error,) = notifications(store, "error")
    assert error["status"] == "open"
    assert "0000000000 is not a valid phone number" in error["summary"]

    edited = delivery["event"]["data"] | {"shipping_address": {"phone": "555-555-5555"}}
    made(
        store.post(
            f"deliveries/{delivery['id']}/resolve",
            {"action": "edit", "payload": edited, "reason": "typo", "update_record": True},
        )
    )
    assert deliver() == 1
    (delivery,) = deliveries(store, "twilio")
    assert delivery["status"] == "succeeded"
    again = json.loads(receiver.requests[1].body)
    assert (again["request_id"], again["sms"]["phone"]) == (delivery["request_id"], "555-555-5555")
    assert [a["trigger"] for a in attempts(store, delivery)] == ["scheduled", "edited"]
    assert notifications(store, "error")[0]["resolved_by"] == "auto"
    assert "SMS message sent" in [n["summary"] for n in notifications(store, "info")]
    assert Record.objects.get().data["shipping_address"] == {"phone": "555-555-5555"}
    assert deliver() == 0, "correcting the record fires nothing"


def test_an_sms_pushed_as_it_is_goes_out_under_its_own_name(store, receiver, deliver, sms):
    subscribe(store, integration="twilio", path="send_sms", topics=["sms.new"])
    sent = {"id": 7, "from": "555-555-1212", "phone": "(123)-456-7890", "message": "Order R12345 was shipped!"}

    push(store, sms=[sent])
    deliver()

    assert json.loads(receiver.requests[0].body)["sms"] == sent


@pytest.mark.parametrize(
    "body", [b'{"request_id":"52f367367575e449c3000001"}', b'{"summary":"done"}', b'["ok"]', b"OK"]
)
def test_an_answer_without_our_request_id_is_a_failure(store, receiver, deliver, sms, body):
    receiver.script(answer(200, body))
    push(store, shipments=[SHIPMENT])
    push(store, shipments=[{"id": "1111111111", "tracking": "1"}])

    deliver()

    (delivery,) = deliveries(store, "twilio")
    assert delivery["status"] == "retrying"
    assert "request_id mismatch" in delivery["last_error"]
    assert attempts(store, delivery)[0]["error"]["kind"] == "request_id_mismatch"


def test_an_empty_answer_is_enough(store, receiver, deliver, sms):
    receiver.script(answer(204, b""))
    push(store, shipments=[SHIPMENT])
    push(store, shipments=[{"id": "1111111111", "tracking": "1"}])

    deliver()

    assert deliveries(store, "twilio")[0]["status"] == "succeeded"


def test_what_an_answer_holds_is_stored_and_tells_everybody_but_who_answered(store, receiver, deliver):
    def ship(request):
        payload = json.loads(request.body)
        if request.target == "/mirror":
            return 200, b"ok"
        shipment = {"id": payload["shipment"]["id"], "status": "shipped"}
        return 200, {
            "request_id": payload["request_id"],
            "parameters": {"token": "from-the-answer"},
            "shipments": [shipment],
            "cartons": [{"id": "C1"}],
        }

    receiver.script(service(ship))
    integrate(store, "warehouse", url=receiver.url("/"), wire_format="hub", parameters={"token": "old", "zone": "EU"})
    integrate(store, "mirror", url=receiver.url("/mirror"), wire_format="flat")
    subscribe(store, integration="warehouse", path="add_shipment", topics=["shipment"])
    subscribe(store, integration="mirror", topics=["shipment", "carton"])

    push(store, shipments=[{"id": "S1", "status": "ready"}])
    deliver()

    assert [d["event"]["topic"] for d in deliveries(store, "warehouse")] == ["shipment.created"]
    assert [d["event"]["topic"] for d in deliveries(store, "mirror")] == [
        "shipment.created",
        "shipment.updated",
        "carton.created",
    ]
    assert Record.objects.get(type="shipment").data == {"id": "S1", "status": "shipped"}
    assert Integration.objects.get(slug="warehouse").parameters == {"token": "from-the-answer", "zone": "EU"}
    assert store.get("integrations/warehouse").json()["parameters"] == {"token": "***", "zone": "***"}


class TestPolling:
    START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    @pytest.fixture
    def polling(self, store, receiver):
        with time_machine.travel(self.START, tick=False):
            integrate(store, "erp", url=receiver.url("/"), wire_format="hub", parameters={"api_key": "k3y-of-erp"})
            subscribe(store, integration="erp", path="get_orders", poll_every=60, topics=["order"])

    @pytest.fixture
    def poll(self, deliver):
        """The tick of the engine so many seconds after the start, and what becomes of it."""

        def at(seconds):
            with time_machine.travel(self.START + timedelta(seconds=seconds), tick=False):
                make_due_polls(timezone.now())
                return deliver()

        return at

    @staticmethod
    def orders(*ids, status=200, **more):
        def respond(request):
            payload = json.loads(request.body)
            found = [{"id": identity, "status": "complete"} for identity in ids]
            return status, {"request_id": payload["request_id"], "orders": found, **more}

        return service(respond)

    def test_the_first_poll_asks_for_everything_and_its_objects_are_pushed(self, store, receiver, polling, poll):
        receiver.script(self.orders("R1", "R2"))

        assert poll(1) == 1

        request = receiver.requests[0]
        delivery = deliveries(store, "erp")[0]
        assert request.target == "/get_orders"
        assert json.loads(request.body) == {
            "request_id": delivery["request_id"],
            "parameters": {"api_key": "k3y-of-erp", "since": "1970-01-01T00:00:00Z"},
            "last_poll": 0,
        }
        assert delivery["status"] == "succeeded"
        assert list(Record.objects.values_list("external_id", flat=True)) == ["R1", "R2"]
        assert Event.objects.filter(topic="order.created", origin="pushback").count() == 2
        assert len(deliveries(store, "erp")) == 1, "what it answered is not sent back to it"

    def test_the_next_poll_asks_since_the_last_one(self, receiver, polling, poll):
        receiver.script(self.orders(parameters={"page": 2}))
        poll(0)

        assert poll(59) == 0
        assert poll(61) == 1

        asked = json.loads(receiver.requests[1].body)
        assert asked["last_poll"] == int(self.START.timestamp())
        assert asked["parameters"] == {"api_key": "k3y-of-erp", "page": 2, "since": "2026-03-01T12:00:00Z"}

    def test_a_failed_poll_moves_neither_time_and_is_tried_again_in_its_own_name(self, store, receiver, polling, poll):
        receiver.script(self.orders(), answer(500), answer(200, b'{"request_id":"another"}'), self.orders())
        poll(0)

        poll(60)
        poll(66)
        assert Subscription.objects.get().last_poll_at == self.START
        poll(126)

        asked = [json.loads(request.body) for request in receiver.requests[1:]]
        assert [body["last_poll"] for body in asked] == [int(self.START.timestamp())] * 3
        assert len({body["request_id"] for body in asked}) == 1
        assert Subscription.objects.get().last_poll_at == self.START + timedelta(seconds=60)
        assert deliveries(store, "erp")[-1]["status"] == "succeeded"

    def test_after_an_outage_polling_goes_on_with_the_next_interval(self, receiver, polling, poll):
        receiver.script(*[answer(500, b'{"error":"down"}', {"Content-Type": "application/json"})] * 7, self.orders())
        poll(0)
        for seconds in (5, 65, 245, 545, 1145, 2945):
            poll(seconds)
        waiting = Delivery.objects.get()
        assert waiting.due_at > self.START + timedelta(seconds=2945 + 3500), "by the schedule it would be an hour"

        assert poll(3005) == 1

        waiting.refresh_from_db()
        assert waiting.status == "succeeded"

    def test_a_pause_that_the_receiver_asked_for_is_kept(self, receiver, polling, poll):
        receiver.script(answer(503, b"", {"Retry-After": "600"}), self.orders())
        poll(0)

        assert poll(70) == 0
        assert poll(601) == 1

    def test_a_poll_that_succeeds_settles_those_that_were_missed(self, store, receiver, polling, poll):
        made(store.patch("integrations/erp", {"retry_policy": "none"}))
        receiver.script(answer(500, b"out of order"), answer(500, b"out of order"), self.orders())
        poll(0)
        poll(60)
        assert [d["status"] for d in deliveries(store, "erp")] == ["failed", "failed"]
        assert [(n["status"], n["occurrences"]) for n in notifications(store, "error")] == [("open", 2)]

        poll(120)

        assert [d["status"] for d in deliveries(store, "erp")] == ["superseded", "superseded", "succeeded"]
        assert [n["status"] for n in notifications(store, "error")] == ["resolved"]

    def test_a_disabled_integration_is_not_polled(self, store, receiver, polling, poll):
        made(store.patch("integrations/erp", {"is_enabled": False}))

        assert poll(0) == 0
        assert receiver.requests == []
