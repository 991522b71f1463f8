"""A source's mapping says where in a request topic, object, data and the vendor's id are."""

from __future__ import annotations

import json

import pytest

from deliveries.models import Event, Record
from tests.api_client import only_error

pytestmark = pytest.mark.django_db


class TestMapping:
    def test_each_field_may_say_where_it_is(self, sender):
        mapping = {
            "topic": "concat('shop.', headers.\"x-event\")", "object_type": "'basket'", "object_id": "body.basket.no",
            "data": "{no: body.basket.no, from: query.shop}", "dedupe": "body.basket.no",
        }  # fmt: skip
        source = sender("generic", mapping=mapping, options={"proof": "none"})
        request = source.sample(
            url=source.address + "?shop=eu", query={"shop": "eu"}, body=b'{"basket":{"no":7},"noise":1}',
            headers={"content-type": "application/json", "x-event": "filled"},
        )  # fmt: skip
        assert source.send(request).status_code == 202
        event = Event.objects.get()
        assert (event.topic, event.object_type, event.object_id) == ("shop.filled", "basket", "7")
        assert event.data == {"no": 7, "from": "eu"}
        noisier = source.sample(url=request.url, body=b'{"basket":{"no":7},"noise":2}', headers=request.headers)
        assert source.send(noisier).json()["accepted"] == 0

    def test_a_null_asks_for_the_default_and_false_for_no_memory(self, sender):
        mapping = {"topic": "body.nothing", "dedupe": "`false`"}
        source = sender("generic", mapping=mapping, options={"proof": "none"})
        for _ in range(2):
            assert source.send().status_code == 202
        assert list(Event.objects.values_list("topic", flat=True)) == ["order.created"] * 2

    def test_an_intent_takes_the_place_of_the_default_topic(self, sender):
        source = sender("generic", mapping={"intent": "body.type"}, options={"proof": "none"})
        source.send()
        assert Event.objects.values_list("topic", "intent").get() == (None, "order.created")

    def test_an_event_can_be_kept_as_a_record(self, sender):
        source = sender("stripe", mode="record")
        source.send()
        assert Record.objects.values_list("type", "external_id").get() == ("customer", "cus_NffrFeUfNV2Hib")
        assert Event.objects.get().topic == "customer.created"

    @pytest.mark.parametrize(
        ("mapping", "mode", "words"),
        [
            ({"topic": "body"}, "event", "topic must give a text"),
            ({"topic": "'no topic!'"}, "event", "not valid"),
            ({"data": "body.id"}, "event", "data must be an object"),
            ({"data": "body.id"}, "record", "Only an object"),
            ({"object_id": "''", "object_type": "'order'"}, "record", "1 to 255"),
            ({"object_type": "'No Type'"}, "record", "lower-case"),
            ({"topic": "to_number(body.type).x.sort(@)"}, "event", "cannot be evaluated"),
        ],
        ids=range(7),
    )
    def test_a_mapping_that_does_not_fit_is_400_and_says_where(self, sender, mapping, mode, words):
        source = sender("generic", mapping=mapping, mode=mode, options={"proof": "none"})
        response = source.send()
        assert response.status_code == 400
        assert words in only_error(response)["message"]
        assert words in source.requests()[0]["reason"]
        assert not Event.objects.exists()

    def test_a_mapping_that_costs_too_much_is_refused_in_bounded_time(self, sender):
        dear = "length(body.*[].map(&sort(@), [body.*[], body.*[], body.*[], body.*[]]))"
        body = json.dumps({"id": "1", **{f"k{number}": list(range(2_000, 0, -1)) for number in range(60)}}).encode()
        source = sender("generic", mapping={"topic": dear}, options={"proof": "none"})
        response = source.send(source.sample(body=body))
        assert response.status_code == 400

    def test_credentials_never_get_into_an_event(self, sender):
        source = sender("hub", mapping={"data": "{id: 'x', all: headers, q: query}"}, mode="event")
        source.send()
        assert source.secret not in json.dumps(Event.objects.get().data)
