"""Sarufi: events by intent, flat bodies, a filter on choice_confirmation, the operator's SMS."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest

from tests.receiver import answer
from tests.systems.stories import attempts, deliveries, integrate, publish, service, subscribe

ORDER = {
    "number_of_pizzas": "1",
    "pizza_toppings": "mushrooms & olives",
    "address": "Mikocheni, plot 7",
    "phone_number": "0757294146",
    "choice_confirmation": "1",
}
#: The tutorial's message, word for word. In JSON the line break is \n.
MESSAGE = (
    "🔔New order alert.\n A customer with phone number {phone_number} has placed an order of {number_of_pizzas} pizza"
    " with {pizza_toppings} toppings to be delivered to {address}"
)


class FlaskApp:
    """The tutorial's `/new-order`, which counts the notifications that it would send."""

    def __init__(self):
        self.confirmed = []

    def __call__(self, request):
        data = json.loads(request.body)
        if int(data.get("choice_confirmation")) == 1:
            self.confirmed.append(data)
        return 200, b"Received"


@pytest.fixture
def app(receiver):
    flask = FlaskApp()
    receiver.script(service(flask), path="/new-order")
    return flask


def test_the_tutorials_endpoint_gets_the_collected_values_flat_and_as_they_came(store, receiver, deliver, app):
    integrate(store, "pizza", url=receiver.url("/new-order"), wire_format="flat")
    subscribe(store, integration="pizza", intents=["order_pizza"])

    publish(store, intent="order_pizza", data=ORDER)
    publish(store, intent="order_pizza", data=ORDER | {"choice_confirmation": "2"})
    publish(store, intent="greets", data={"name": "Asha"})
    deliver()

    sent = sorted(
        (json.loads(request.body) for request in receiver.requests), key=lambda data: data["choice_confirmation"]
    )
    assert sent == [ORDER, ORDER | {"choice_confirmation": "2"}]
    assert app.confirmed == [ORDER]
    assert {d["event"]["intent"] for d in deliveries(store, "pizza")} == {"order_pizza"}
    assert deliveries(store, "pizza")[0]["event"]["topic"] is None


def test_all_intents_can_be_asked_for(store, receiver, deliver):
    integrate(store, "log", url=receiver.url("/log"), wire_format="flat")
    subscribe(store, integration="log", intents=["*"])

    publish(store, intent="order_pizza", data={"a": 1})
    publish(store, intent="greets", data={"a": 2})
    publish(store, topic="user.created", data={"a": 3})

    assert deliver() == 2


@pytest.mark.parametrize("condition", ["choice_confirmation == '1'", "to_number(choice_confirmation) == `1`"])
def test_a_filter_passes_confirmed_orders_only(store, receiver, deliver, app, condition):
    integrate(store, "pizza", url=receiver.url("/new-order"), wire_format="flat")
    subscribe(store, integration="pizza", intents=["order_pizza"], filter=condition)

    for choice in ("1", "2", None):
        publish(store, intent="order_pizza", data=ORDER | {"choice_confirmation": choice})
    deliver()

    assert app.confirmed == [ORDER]
    assert len(receiver.requests) == 1


def test_a_filter_may_look_at_the_intent_itself(store, receiver, deliver):
    integrate(store, "pizza", url=receiver.url("/new-order"), wire_format="flat")
    subscribe(store, integration="pizza", intents=["*"], filter="starts_with(context('intent'), 'order_')")

    publish(store, intent="order_pizza", data={"a": 1})
    publish(store, intent="greets", data={"a": 2})
    deliver()

    assert [json.loads(request.body) for request in receiver.requests] == [{"a": 1}]


def test_the_operators_sms_is_built_by_a_transform_and_sent_by_twilio(store, receiver, deliver, settings):
    settings.TWILIO_BASE_URL = receiver.url("")
    receiver.script(answer(201, b'{"sid":"SM1","status":"queued"}'))
    credentials = {"account_sid": "AC0123456789", "auth_token": "t0ken-of-twilio", "from": "+15005550006"}
    integrate(store, "operator", connector="twilio_sms", parameters=credentials)
    subscribe(
        store,
        integration="operator",
        intents=["order_pizza"],
        filter="choice_confirmation == '1'",
        transform=f"{{phone: '+255700000001', message: format('{MESSAGE}', @)}}",
    )

    publish(store, intent="order_pizza", data=ORDER)
    publish(store, intent="order_pizza", data=ORDER | {"choice_confirmation": "2"})
    deliver()

    (request,) = receiver.requests
    assert request.target == "/2010-04-01/Accounts/AC0123456789/Messages.json"
    assert parse_qs(request.body.decode()) == {
        "From": ["+15005550006"],
        "To": ["+255700000001"],
        "Body": [
            "🔔New order alert.\n A customer with phone number 0757294146 has placed an order of 1 pizza with "
            "mushrooms & olives toppings to be delivered to Mikocheni, plot 7"
        ],
    }
    (delivery,) = deliveries(store, "operator")
    assert delivery["status"] == "succeeded"
    assert "t0ken-of-twilio" not in json.dumps(attempts(store, delivery))


def test_a_transform_that_fails_is_a_visible_permanent_error_and_stops_nobody_else(store, receiver, deliver, app):
    integrate(store, "pizza", url=receiver.url("/new-order"), wire_format="flat")
    integrate(store, "broken", url=receiver.url("/new-order"), wire_format="flat")
    subscribe(store, integration="pizza", intents=["order_pizza"])
    subscribe(store, integration="broken", intents=["order_pizza"], transform="{phone: upper(no_such_field)}")

    publish(store, intent="order_pizza", data=ORDER)
    deliver()

    assert app.confirmed == [ORDER]
    (delivery,) = deliveries(store, "broken")
    assert (delivery["status"], delivery["attempts"]) == ("failed", 1)
    assert "transform" in delivery["last_error"]
    assert "upper()" in delivery["last_error"]
