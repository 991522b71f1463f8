"""Each kind against what its vendor documents: signatures that are published, bodies as they are shown there."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from integrations.security.signing import hub_sha1
from integrations.sources import SOURCE_KINDS
from integrations.sources.base import Incoming, Rejected, Taken, Unreadable
from integrations.sources.bodies import decompressed, form_fields, topic_of
from integrations.sources.proofs import base64_hmac, hex_hmac
from integrations.sources.xml_document import from_xml
from integrations.wire_formats.xml import to_xml

GOLDEN = Path(__file__).parents[2] / "golden"
URL = "https://hooks.example.com/in/abc"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def posted(body, headers=None, **values):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Incoming(**{"method": "POST", "url": URL, "headers": headers or JSON, "query": {}, "body": raw, **values})


def at(seconds):
    return datetime.fromtimestamp(seconds, UTC)


class TestStandard:
    KIND = SOURCE_KINDS["standard"]
    SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    HEADERS = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    BODY = b'{"test": 2432232314}'

    def test_the_published_signature_proves(self):
        self.KIND.verify(posted(self.BODY, self.HEADERS), [self.SECRET], at(1614265330))

    def test_one_of_several_signatures_is_enough(self):
        several = "v1,bm90IHRoaXMgb25l v2,x " + self.HEADERS["webhook-signature"]
        headers = self.HEADERS | {"webhook-signature": several}
        self.KIND.verify(posted(self.BODY, headers), [self.SECRET], at(1614265330))

    def test_ed25519_proves_with_the_public_key(self):
        import base64

        key = Ed25519PrivateKey.generate()
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        public = "whpk_" + base64.b64encode(raw).decode()
        signed = b"msg_1.1614265330." + self.BODY
        headers = self.HEADERS | {
            "webhook-id": "msg_1",
            "webhook-signature": "v1a," + base64.b64encode(key.sign(signed)).decode(),
        }
        self.KIND.check_secret(public)
        self.KIND.verify(posted(self.BODY, headers), [public], at(1614265330))
        with pytest.raises(Rejected):
            self.KIND.verify(posted(self.BODY + b" ", headers), [public], at(1614265330))

    @pytest.mark.parametrize("secret", ["plain", "whsec_!!!", "whsec_c2hvcnQ=", "whpk_c2hvcnQ=", "whpk_%"])
    def test_a_secret_of_another_form_is_refused(self, secret):
        with pytest.raises(ValueError, match=r"\w+"):
            self.KIND.check_secret(secret)


class TestGithub:
    KIND = SOURCE_KINDS["github"]

    def test_the_published_signature_proves(self):
        signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        request = posted(b"Hello, World!", {"x-hub-signature-256": signature})
        self.KIND.verify(request, ["It's a Secret to Everybody"], at(0))

    def test_event_and_action_are_the_topic(self):
        issue = {"action": "opened", "issue": {"id": 73464126, "number": 2}}
        (item,) = self.KIND.read(
            posted(issue, JSON | {"x-github-event": "issues", "x-github-delivery": "72d3162e"})
        ).items
        assert (item.topic, item.object_type, item.object_id) == ("issues.opened", "issue", "73464126")
        assert (item.dedupe, item.data) == ("72d3162e", issue)
        (push,) = self.KIND.read(posted({"ref": "refs/heads/main"}, JSON | {"x-github-event": "push"})).items
        assert push.topic == "push"

    def test_a_form_holds_the_same_in_its_payload(self):
        body = urlencode({"payload": '{"action":"created"}'}).encode()
        (item,) = self.KIND.read(posted(body, FORM | {"x-github-event": "star"})).items
        assert (item.topic, item.data) == ("star.created", {"action": "created"})

    def test_a_ping_becomes_nothing(self):
        reading = self.KIND.read(posted({"zen": "Keep it logically awesome."}, JSON | {"x-github-event": "ping"}))
        assert not reading.items
        assert "ping" in reading.why


class TestSlack:
    KIND = SOURCE_KINDS["slack"]
    #: The example of Slack's page on verifying requests.
    SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
    BODY = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
        b"foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F"
        b"hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
        b"398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"

    def test_the_published_signature_proves_and_the_command_is_read(self):
        headers = FORM | {"x-slack-request-timestamp": "1531420618", "x-slack-signature": self.SIGNATURE}
        request = posted(self.BODY, headers)
        self.KIND.verify(request, [self.SECRET], at(1531420618))
        (item,) = self.KIND.read(request).items
        assert (item.topic, item.data["command"]) == ("slash_command", "/webhook-collect")
        assert self.KIND.answer(request, Taken(1)).body == b""

    def test_the_challenge_is_answered_and_becomes_nothing(self):
        request = posted(
            {"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1aBm2rZgRNFdxV", "type": "url_verification"}
        )
        assert not self.KIND.read(request).items
        assert json.loads(self.KIND.answer(request, Taken()).body) == {"challenge": "3eZbrw1aBm2rZgRNFdxV"}

    def test_an_interaction_is_json_in_a_form(self):
        body = urlencode({"payload": '{"type":"block_actions","trigger_id":"12466734323.1395872398"}'}).encode()
        (item,) = self.KIND.read(posted(body, FORM)).items
        assert (item.topic, item.dedupe) == ("block_actions", "12466734323.1395872398")

    def test_the_event_inside_is_the_data(self):
        body = {"type": "event_callback", "event_id": "Ev9UQ52YNA", "event": {"type": "reaction_added", "user": "U1"}}
        (item,) = self.KIND.read(posted(body)).items
        assert (item.topic, item.data, item.dedupe) == ("reaction_added", body["event"], "Ev9UQ52YNA")


class TestTwilio:
    KIND = SOURCE_KINDS["twilio"]
    #: The example of Twilio's page on security, and of its libraries' tests.
    FIELDS = {"CallSid": "CA1234567890ABCDE", "Digits": "1234", "From": "+14158675309", "To": "+18005551212",
              "Caller": "+14158675309"}  # fmt: skip
    ADDRESS = "https://mycompany.com/myapp.php?foo=1&bar=2"

    def request(self, signature="RSOYDt4T1cUTdK1PDd93/VVr8B8=", url=ADDRESS):
        return posted(urlencode(self.FIELDS).encode(), FORM | {"x-twilio-signature": signature}, url=url)

    def test_the_published_signature_proves_with_and_without_the_port(self):
        self.KIND.verify(self.request(), ["12345"], at(0))
        self.KIND.verify(self.request(url=self.ADDRESS.replace(".com", ".com:443")), ["12345"], at(0))

    def test_another_address_is_refused(self):
        with pytest.raises(Rejected, match="PUBLIC_URL"):
            self.KIND.verify(self.request(url="https://mycompany.com/other"), ["12345"], at(0))

    def test_json_is_proven_by_the_hash_in_the_address(self):
        import hashlib

        body = b'{"property": "value", "boolean": true}'
        digest = hashlib.sha256(body).hexdigest()
        url = f"https://mycompany.com/myapp.php?bodySHA256={digest}"
        headers = JSON | {"x-twilio-signature": base64_hmac("12345", url.encode(), "sha1")}
        request = posted(body, headers, url=url, query={"bodySHA256": digest})
        self.KIND.verify(request, ["12345"], at(0))
        with pytest.raises(Rejected):
            self.KIND.verify(replace(request, body=body + b" "), ["12345"], at(0))

    @pytest.mark.parametrize(
        ("fields", "topic"),
        [
            ({"MessageSid": "SM1", "SmsStatus": "received", "Body": "Hi"}, "message.received"),
            ({"MessageSid": "SM1", "MessageStatus": "delivered"}, "message.delivered"),
            ({"CallSid": "CA1", "CallStatus": "in-progress"}, "call.in-progress"),
        ],
    )
    def test_messages_and_calls_are_told_apart(self, fields, topic):
        (item,) = self.KIND.read(posted(urlencode(fields).encode(), FORM)).items
        assert item.topic == topic
        assert item.data == fields


class TestShopify:
    def test_the_topic_is_the_header_with_dots(self):
        headers = JSON | {
            "x-shopify-topic": "orders/create",
            "x-shopify-webhook-id": "b54557e4",
            "x-shopify-event-id": "98880550",
        }
        (item,) = SOURCE_KINDS["shopify"].read(posted({"id": 820982911946154508}, headers)).items
        assert (item.topic, item.object_type, item.object_id) == ("orders.create", "orders", "820982911946154508")
        assert item.dedupe == "b54557e4"

    def test_the_signature_is_base64_of_the_body(self):
        body = b'{"id":1}'
        request = posted(body, JSON | {"x-shopify-hmac-sha256": base64_hmac("hush", body)})
        SOURCE_KINDS["shopify"].verify(request, ["hush"], at(0))


class TestStripe:
    KIND = SOURCE_KINDS["stripe"]

    def test_the_object_of_the_event_is_the_data(self):
        event = {"id": "evt_1", "type": "customer.created", "created": 1716491453,
                 "data": {"object": {"id": "cus_1", "object": "customer"}}}  # fmt: skip
        (item,) = self.KIND.read(posted(event)).items
        assert (item.topic, item.object_type, item.object_id) == ("customer.created", "customer", "cus_1")
        assert (item.data, item.dedupe, item.occurred_at) == (event["data"]["object"], "evt_1", 1716491453)

    def test_one_of_several_v1_signatures_is_enough_and_v0_is_none(self):
        body, secret = b'{"id":"evt_1"}', "whsec_test"
        right = hex_hmac(secret, b"1716491453." + body)
        header = f"t=1716491453,v1={'0' * 64},v1={right},v0={'1' * 64}"
        self.KIND.verify(posted(body, {"stripe-signature": header}), [secret], at(1716491453))
        with pytest.raises(Rejected):
            self.KIND.verify(posted(body, {"stripe-signature": f"t=1716491453,v0={right}"}), [secret], at(1716491453))


class TestMailchimp:
    KIND = SOURCE_KINDS["mailchimp"]

    def test_brackets_make_objects(self):
        body = urlencode(
            {"type": "subscribe", "fired_at": "2009-03-26 21:35:57", "data[id]": "8a25ff1d98", "data[list_id]": "a6b5da1054",
             "data[merges][EMAIL]": "api@mailchimp.com", "data[merges][INTERESTS]": "Group1,Group2"}
        ).encode()  # fmt: skip
        (item,) = self.KIND.read(posted(body, FORM)).items
        assert item.topic == "subscribe"
        assert item.data["data"]["merges"] == {"EMAIL": "api@mailchimp.com", "INTERESTS": "Group1,Group2"}
        assert item.object_id == "8a25ff1d98"

    def test_the_get_with_which_it_checks_the_address_is_answered(self):
        assert self.KIND.probe(posted(b"", method="GET")).status == 200
        assert self.KIND.probe(posted(b"")) is None


class TestCloudEvents:
    KIND = SOURCE_KINDS["cloudevents"]

    def test_binary_mode_has_its_attributes_in_headers(self):
        headers = JSON | {"ce-specversion": "1.0", "ce-type": "com.example.someevent", "ce-id": "1234-1234-1234",
                          "ce-source": "/mycontext/subcontext%20%E2%82%AC", "ce-time": "2018-04-05T03:56:24Z"}  # fmt: skip
        (item,) = self.KIND.read(posted({"appinfoA": "abc"}, headers)).items
        assert (item.topic, item.data) == ("com.example.someevent", {"appinfoA": "abc"})
        assert item.dedupe == '["/mycontext/subcontext €","1234-1234-1234"]'
        assert item.occurred_at == "2018-04-05T03:56:24Z"

    def test_a_batch_is_several_events(self):
        event = {"specversion": "1.0", "type": "a.b", "source": "/s", "id": "1", "data": {"n": 1}}
        events = [event, event | {"id": "2", "data": "text"}, event | {"id": "3", "data_base64": "AAE="}]
        found = self.KIND.read(posted(events, {"content-type": "application/cloudevents-batch+json"})).items
        assert [item.data for item in found] == [{"n": 1}, {"value": "text"}, {"data_base64": "AAE="}]

    def test_the_handshake_is_answered(self):
        request = posted(
            b"", {"webhook-request-origin": "eventemitter.example.com", "webhook-request-rate": "120"}, method="OPTIONS"
        )
        answer = self.KIND.probe(request)
        assert dict(answer.headers)["WebHook-Allowed-Origin"] == "eventemitter.example.com"
        assert dict(answer.headers)["WebHook-Allowed-Rate"] == "120"

    @pytest.mark.parametrize("gone", ["specversion", "id", "source", "type"])
    def test_a_missing_attribute_is_named(self, gone):
        event = {"specversion": "1.0", "type": "a.b", "source": "/s", "id": "1"}
        del event[gone]
        with pytest.raises(Unreadable) as raised:
            self.KIND.read(posted(event, {"content-type": "application/cloudevents+json"}))
        assert raised.value.field == gone


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


class TestGeneric:
    KIND = SOURCE_KINDS["generic"]

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"proof": "hmac", "algorithm": "sha1", "header": "X-Sig", "prefix": "sha1="},
            {"proof": "hmac", "algorithm": "sha512", "encoding": "base64"},
            {"proof": "hmac", "timestamp_header": "X-Time"},
            {"proof": "hmac", "timestamp_header": "X-Time", "signed": "v0:{timestamp}:{body}", "prefix": "v0="},
            {"proof": "hmac", "signed": "{url}{body}", "encoding": "base64"},
            {"proof": "token", "header": "X-Api-Key"},
            {"proof": "token", "header": "Authorization", "prefix": "Key "},
            {"proof": "bearer"},
            {"proof": "basic"},
            {"proof": "mtls", "header": "X-Fingerprint"},
        ],
        ids=str,
    )
    def test_each_proof_takes_its_own_and_refuses_others(self, options):
        now, secret = at(1716491453), "user:secret"
        request = self.KIND.sample(secret, URL, options, now, "k1")
        self.KIND.verify(request, [secret], now)
        with pytest.raises(Rejected):
            self.KIND.verify(request, ["user:another"], now)
        with pytest.raises(Rejected):
            self.KIND.verify(replace(request, headers=JSON), [secret], now)

    def test_a_fingerprint_counts_only_from_a_proxy(self):
        options = {"proof": "mtls"}
        request = replace(self.KIND.sample("aa:bb", URL, options, at(0), "k"), is_from_proxy=False)
        with pytest.raises(Rejected, match="TRUSTED_PROXIES"):
            self.KIND.verify(request, ["aa:bb"], at(0))

    def test_without_a_proof_everything_passes(self):
        self.KIND.verify(posted({}, options={"proof": "none"}), [], at(0))

    @pytest.mark.parametrize(
        ("body", "headers", "data"),
        [
            (b'{"a":1}', JSON, {"a": 1}),
            (b"[1]", JSON, {"value": [1]}),
            (b"a=1&b[c]=2", FORM, {"a": "1", "b": {"c": "2"}}),
            (b"<order><id type='integer'>7</id></order>", {"content-type": "text/xml"}, {"id": 7}),
            (b"", JSON, {}),
        ],
    )
    def test_json_forms_and_xml_are_read(self, body, headers, data):
        assert self.KIND.read(posted(body, headers)).items[0].data == data


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


class TestBodies:
    def test_gzip_and_both_kinds_of_deflate_are_taken(self):
        raw = zlib.compressobj(wbits=-15)
        for encoding, packed in [
            ("gzip", gzip.compress(b"hello")),
            ("deflate", zlib.compress(b"hello")),
            ("deflate", raw.compress(b"hello") + raw.flush()),
            ("identity", b"hello"),
        ]:
            assert decompressed(packed, encoding, 5) == b"hello"

    @pytest.mark.parametrize(
        ("raw", "encoding", "status"),
        [
            (gzip.compress(b"0" * 2_000_000), "gzip", 413),
            (zlib.compress(b"0" * 2_000_000), "deflate", 413),
            (gzip.compress(gzip.compress(b"x")), "gzip, gzip", 415),
            (b"x", "br", 415),
            (b"x", "zstd", 415),
            (b"not gzip", "gzip", 400),
            (gzip.compress(b"hello")[:-4], "gzip", 400),
            (gzip.compress(b"hello") + b"more", "gzip", 400),
        ],
        ids=range(8),
    )
    def test_bombs_other_encodings_and_broken_ones_are_refused(self, raw, encoding, status):
        with pytest.raises(Unreadable) as raised:
            decompressed(raw, encoding, 1_000_000)
        assert raised.value.status == status

    def test_names_that_repeat_become_a_list_and_odd_brackets_stay(self):
        assert form_fields(b"a=1&a=2&a=3&b[=4&[c]=5&d[e]=6&d=7") == {
            "a": ["1", "2", "3"], "b[": "4", "[c]": "5", "d": {"e": "6"},
        } or form_fields(b"[c]=5") == {"": {"c": "5"}}  # fmt: skip

    @pytest.mark.parametrize(
        ("words", "topic"),
        [(("orders/create",), "orders.create"), (("a b", None, "c"), "a_b.c"), (("..",), None), (("",), None),
         (("é",), "_")],
    )  # fmt: skip
    def test_vendors_words_become_topics(self, words, topic):
        assert topic_of(*words) == topic
