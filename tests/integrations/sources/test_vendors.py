"""Each vendor's kind against what it documents: signatures that are published, bodies as they are shown there."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from integrations.sources import SOURCE_KINDS
from integrations.sources.base import Rejected, Taken, Unreadable
from integrations.sources.proofs import base64_hmac, hex_hmac
from tests.integrations.sources.incoming import FORM, JSON, at, posted


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
