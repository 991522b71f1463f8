"""The kinds of the five systems that Hookdesk is modelled on, against what they document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from integrations.security.signing import hub_sha1
from integrations.sources import SOURCE_KINDS
from integrations.sources.base import Rejected, Taken, Unreadable
from integrations.sources.xml_document import from_xml
from integrations.wire_formats.xml import to_xml
from tests.integrations.sources.incoming import at, posted

GOLDEN = Path(__file__).parents[2] / "golden"


class TestIntercom:
    KIND = SOURCE_KINDS["notification"]

    @pytest.mark.parametrize(("sample", "topic"), [("user_created", "user.created"), ("user_deleted", "user.deleted")])
    def test_the_tutorials_notifications_are_read(self, sample, topic):
        body = json_of_ruby(f"intercom_{sample}.rb.txt")
        (item,) = self.KIND.read(posted(body)).items
        assert (item.topic, item.object_type, item.data) == (topic, "user", body)
        assert item.object_id == body["data"]["item"]["id"]

    def test_the_tutorials_ping_becomes_nothing(self):
        assert not self.KIND.read(posted(json_of_ruby("intercom_ping.rb.txt"))).items

    def test_the_signature_is_that_of_hub_secrets(self):
        body = b'{"topic":"ping"}'
        self.KIND.verify(posted(body, {"x-hub-signature": hub_sha1("s3cret", body)}), ["s3cret"], at(0))


def json_of_ruby(name):
    """A hash as Ruby prints it: `"type"=>"user", "name"=>nil`."""
    text = (GOLDEN / name).read_text()
    return json.loads(text[text.index("{") : text.rindex("}") + 1].replace("=>", ":").replace("nil", "null"))


class TestTurn:
    KIND = SOURCE_KINDS["turn"]

    def test_the_handshake_is_answered_without_a_signature(self):
        answer = self.KIND.probe(posted({"handshake": True, "name": "Member desk"}))
        assert json.loads(answer.body)["capabilities"]["context_objects"] == []
        assert self.KIND.probe(posted({"messages": []})) is None

    @pytest.mark.parametrize(
        ("body", "topic", "dedupe"),
        [
            ({"messages": [{"id": "ABGG", "from": "1631"}]}, "message.received", "ABGG"),
            ({"statuses": [{"id": "ABGG", "status": "delivered"}]}, "message.delivered", "ABGG:delivered"),
            ({"chat": {"owner": "+27"}, "messages": [{"id": "m1"}]}, "message.received", None),
        ],
    )
    def test_messages_and_statuses_are_told_apart(self, body, topic, dedupe):
        (item,) = self.KIND.read(posted(body)).items
        assert (item.topic, item.dedupe, item.data) == (topic, dedupe, body)

    def test_a_question_for_a_context_is_answered_with_an_empty_one(self):
        body = json.loads(self.KIND.answer(posted({"chat": {}, "messages": []}), Taken()).body)
        assert (body["context_objects"], body["actions"]) == ({}, {})


class TestSpiffy:
    KIND = SOURCE_KINDS["xml"]
    ORDER = (GOLDEN / "spiffy_order.xml").read_bytes()

    def test_the_sample_order_becomes_what_a_shop_would_push(self):
        (item,) = self.KIND.read(posted(self.ORDER, {"content-type": "application/xml"})).items
        assert item.data == json.loads((GOLDEN / "spiffy_order.json").read_text())
        assert (item.object_type, item.object_id) == ("order", "0")

    def test_the_key_is_taken_under_spiffys_own_spelling_of_the_header(self):
        key = "00000000-0000-0000-0000-000000000000"
        self.KIND.verify(posted(self.ORDER, {"x_spiffy_stores_id": key}), [key], at(0))
        self.KIND.verify(posted(self.ORDER, {"x-spiffy-stores-id": key}), [key], at(0))

    @pytest.mark.parametrize(
        "value",
        [
            {"id": 1, "total_price": 100.5, "note": "", "paid": True, "closed_at": None, "weight": 0.2,
             "created_at": "2010-06-18T00:00:00+10:00", "line_items": [{"sku": "A", "price": 25.0}], "tags": ["a", "b"]},
            {"note": "a < b & c\n d", "deep": {"er": {"st": "x"}}, "empty": []},
        ],
    )  # fmt: skip
    def test_what_we_write_we_read(self, value):
        assert from_xml(to_xml("order", value).encode()) == ("order", value)

    @pytest.mark.parametrize(
        "bomb",
        [
            b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
            b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><a>&lol2;</a>',
            b'<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>',
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            b"<a>" * 101 + b"x" + b"</a>" * 101,
            b"<a>" + b"<b/>" * 200_001 + b"</a>",
            b"<a>&undefined;</a>",
            b'<?xml version="1.0" encoding="no-such"?><a/>',
            b"<a><b></a>",
            b"",
        ],
        ids=range(10),
    )
    def test_bombs_and_broken_documents_are_refused(self, bomb):
        with pytest.raises(Unreadable):
            from_xml(bomb)


class TestHub:
    KIND = SOURCE_KINDS["hub"]

    def test_a_push_is_an_object_each_and_is_counted(self):
        request = posted({"shipments": [{"id": "1"}, {"id": "2"}], "orders": []})
        assert [(item.object_type, item.object_id) for item in self.KIND.read(request).items] == [
            ("shipments", "1"),
            ("shipments", "2"),
        ]
        answer = self.KIND.answer(request, Taken(2, ("evt_1", "evt_2")))
        assert (answer.status, json.loads(answer.body)) == (
            202,
            {"shipments": 2, "orders": 0, "accepted": 2, "events": ["evt_1", "evt_2"]},
        )

    def test_a_delivery_of_a_hub_is_read_and_its_request_id_returned(self):
        body = {"request_id": "52f367367575e449c3000001", "parameters": {"k": "v"}, "sms": {"id": "9", "phone": "1"}}
        (item,) = self.KIND.read(posted(body)).items
        assert (item.object_type, item.data) == ("sms", {"id": "9", "phone": "1"})
        assert json.loads(self.KIND.answer(posted(body), Taken(1)).body)["request_id"] == body["request_id"]


class TestSarufi:
    KIND = SOURCE_KINDS["flat"]
    ORDER = {"number_of_pizzas": "1", "choice_confirmation": "1"}

    def test_the_intent_is_in_the_address(self):
        (item,) = self.KIND.read(posted(self.ORDER, query={"intent": "order_pizza"})).items
        assert (item.intent, item.topic, item.data) == ("order_pizza", None, self.ORDER)

    @pytest.mark.parametrize(
        "place",
        [
            {"headers": {"authorization": "Bearer t0ken-of-sarufi"}},
            {"headers": {"x-hub-access-token": "t0ken-of-sarufi"}},
            {"headers": {"authorization": "Basic c2FydWZpOnQwa2VuLW9mLXNhcnVmaQ=="}},
            {"headers": {}, "query": {"token": "t0ken-of-sarufi"}},
        ],
        ids=["bearer", "header", "basic", "query"],
    )
    def test_the_token_may_be_in_any_of_these_places(self, place):
        self.KIND.verify(posted(self.ORDER, **place), ["t0ken-of-sarufi"], at(0))
        with pytest.raises(Rejected):
            self.KIND.verify(posted(self.ORDER, **place), ["another-token"], at(0))
