"""The flat format (docs/contract.md#flat)."""

from __future__ import annotations

import json

from integrations.wire_formats import get_wire_format
from tests.integrations.messages import headers_of, message, response

flat = get_wire_format("flat")
ORDER = {"number_of_pizzas": "1", "pizza_toppings": "cheese", "address": "Mikocheni", "choice_confirmation": "1"}


def test_the_body_is_the_data_as_it_came_and_nothing_else():
    text = '{ "number_of_pizzas":"1","cost":5.00,"nested":{"a":[1]} }'
    request = flat.build(message(topic=None, intent="order_pizza", object_type="order_pizza", data_json=text))
    assert request.body.decode() == text
    assert [name for name, _ in request.headers] == ["Content-Type", "User-Agent"]


def test_the_seeds_receiver_finds_its_values():
    data = json.loads(flat.build(message(ORDER, topic=None, intent="order_pizza")).body)
    assert int(data.get("choice_confirmation")) == 1
    assert data.get("pizza_toppings") == "cheese"


def test_the_text_received_as_answer_of_the_seed_is_success():
    assert flat.read(message(), response(200, b"Received")).is_success


def test_the_transforms_result_is_sent_instead():
    assert flat.build(message(transformed_json=' {"a": 1}')).body == b' {"a": 1}'


def test_auth_headers_are_sent():
    request = flat.build(message(endpoint={"auth_type": "token", "token": "abc"}))
    assert headers_of(request)["Authorization"] == "Token abc"
