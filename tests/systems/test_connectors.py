"""The connectors through the engine (docs/contract.md#connectors), against stubs of the vendors' APIs."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from django.core import mail

from integrations.models import Integration
from tests.receiver import answer
from tests.systems.stories import attempts, deliveries, integrate, made, notifications, push, service, subscribe

BUYER = {"id": "R1", "email": "Wash@Serenity.io", "buyer_accepts_marketing": True, "number": 99999}


def basic(pair):
    return "Basic " + base64.b64encode(pair.encode()).decode()


class TestTwilio:
    CREDENTIALS = {"account_sid": "AC0123456789abcdef", "auth_token": "t0ken-of-twilio", "from": "+15005550006"}

    @pytest.fixture
    def sms(self, store, receiver, settings):
        settings.TWILIO_BASE_URL = receiver.url("")
        integrate(store, "sms", connector="twilio_sms", parameters=self.CREDENTIALS)
        subscribe(store, integration="sms", topics=["sms.created"])

    @staticmethod
    def refuse(request):
        if "0000000000" in request.body.decode():
            message = "The 'To' number 0000000000 is not a valid phone number."
            return 400, {"code": 21211, "message": message, "more_info": "https://www.twilio.com/docs/errors/21211"}
        return 201, {"sid": "SM1", "status": "queued"}

    def test_an_invalid_number_is_refused_for_good_and_mended_in_the_wizard(self, store, receiver, deliver, sms):
        receiver.script(service(self.refuse))
        push(store, sms=[{"id": 1, "from": "+15005550006", "phone": "0000000000", "message": "Shipped"}])
        deliver()

        (delivery,) = deliveries(store, "sms")
        assert (delivery["status"], delivery["attempts"], delivery["next_attempt_at"]) == ("failed", 1, None)
        assert "not a valid phone number" in delivery["last_error"]
        assert "21211" in delivery["last_error"]
        (error,) = notifications(store, "error")
        assert (error["status"], error["delivery"]) == ("open", delivery["id"])

        payload = delivery["event"]["data"] | {"phone": "+15551234567"}
        made(
            store.post(f"deliveries/{delivery['id']}/resolve", {"action": "edit", "payload": payload, "reason": "typo"})
        )
        deliver()

        assert deliveries(store, "sms")[0]["status"] == "succeeded"
        assert b"To=%2B15551234567" in receiver.requests[1].body
        assert receiver.requests[1].header("Authorization") == basic("AC0123456789abcdef:t0ken-of-twilio")
        assert "t0ken-of-twilio" not in json.dumps(attempts(store, delivery))
        assert notifications(store, "error")[0]["status"] == "resolved"

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_a_vendor_in_trouble_is_tried_again(self, store, receiver, deliver, sms, status):
        receiver.script(answer(status, b'{"code":20429,"message":"Too many requests"}'))
        push(store, sms=[{"id": 1, "phone": "+15551234567", "message": "Shipped"}])
        deliver()
        assert deliveries(store, "sms")[0]["status"] == "retrying"

    def test_a_ping_checks_the_credentials_and_sends_no_sms(self, store, receiver, sms):
        receiver.script(answer(200, b'{"sid":"AC0123456789abcdef","status":"active"}'))
        attempt = made(store.post("integrations/sms/ping"))
        assert (attempt["trigger"], attempt["outcome"]) == ("test", "succeeded")
        assert [request.method for request in receiver.requests] == ["GET"]


class TestMailchimp:
    KEY = "e9a74326bb9999999999b1b4e29a5722-us1"

    @pytest.fixture
    def mailchimp(self, store, receiver, settings):
        settings.MAILCHIMP_BASE_URL = receiver.url("")
        receiver.script(answer(200, b'{"lists":[{"id":"ba8e5beac4"}]}'), path="/3.0/lists?count=1")
        receiver.script(answer(200, b'{"status":"subscribed"}'))
        integrate(store, "mailchimp", connector="mailchimp", parameters={"api_key": self.KEY})
        subscribe(store, integration="mailchimp", topics=["order"])

    def test_the_first_list_is_looked_up_once_and_both_requests_are_kept(self, store, receiver, deliver, mailchimp):
        push(store, orders=[BUYER])
        deliver()
        push(store, orders=[BUYER | {"id": "R2"}])
        deliver()

        member = hashlib.md5(b"wash@serenity.io").hexdigest()
        put = ("PUT", f"/3.0/lists/ba8e5beac4/members/{member}")
        assert [(r.method, r.target) for r in receiver.requests] == [("GET", "/3.0/lists?count=1"), put, put]
        assert {r.header("Authorization") for r in receiver.requests} == {basic(f"user:{self.KEY}")}
        body = json.loads(receiver.requests[1].body)
        assert (body["email_address"], body["status_if_new"]) == ("Wash@Serenity.io", "subscribed")
        first, second = deliveries(store, "mailchimp")
        assert (first["status"], first["attempts"], second["attempts"]) == ("succeeded", 2, 1)
        assert [a["request"]["method"] for a in attempts(store, first)] == ["GET", "PUT"]
        assert self.KEY not in json.dumps(attempts(store, first))
        assert Integration.objects.get(slug="mailchimp").parameters["list_id"] == "ba8e5beac4"

    def test_who_does_not_accept_marketing_is_skipped_with_a_word_why(self, store, receiver, deliver, mailchimp):
        push(store, orders=[BUYER | {"buyer_accepts_marketing": False}, {"id": "R3", "email": "a@example.com"}])
        deliver()

        assert {d["status"] for d in deliveries(store, "mailchimp")} == {"succeeded"}
        assert receiver.requests == []
        summaries = {n["summary"] for n in notifications(store, "info")}
        assert summaries == {"Not subscribed: buyer_accepts_marketing is not true."}

    def test_a_wrong_key_is_permanent(self, store, receiver, deliver, mailchimp):
        receiver.script(
            answer(401, b'{"title":"API Key Invalid","detail":"Your API key may be invalid"}'),
            path="/3.0/lists?count=1",
        )
        push(store, orders=[BUYER])
        deliver()
        (delivery,) = deliveries(store, "mailchimp")
        assert (delivery["status"], delivery["attempts"]) == ("failed", 1)
        assert "Your API key may be invalid" in delivery["last_error"]


class TestCampaignMonitor:
    @pytest.fixture
    def monitor(self, store, receiver, settings):
        settings.CAMPAIGN_MONITOR_BASE_URL = receiver.url("")
        receiver.script(answer(201, b'"wash@serenity.io"'))
        integrate(
            store, "monitor", connector="campaign_monitor", parameters={"api_key": "k3y-of-cm", "list_id": "L1ST"}
        )
        subscribe(store, integration="monitor", topics=["order"])

    def test_a_buyer_is_subscribed(self, store, receiver, deliver, monitor):
        push(store, orders=[BUYER | {"billing_address": {"first_name": "Hoban", "last_name": "Washburne"}}])
        push(store, orders=[BUYER | {"id": "R2", "buyer_accepts_marketing": None}])
        deliver()

        (request,) = receiver.requests
        assert (request.method, request.target) == ("POST", "/api/v3.3/subscribers/L1ST.json")
        assert request.header("Authorization") == basic("k3y-of-cm:x")
        body = json.loads(request.body)
        assert (body["EmailAddress"], body["Name"]) == ("Wash@Serenity.io", "Hoban Washburne")
        assert body["ConsentToTrack"] == "Unchanged"
        assert {d["status"] for d in deliveries(store, "monitor")} == {"succeeded"}

    def test_an_address_that_it_refuses_is_permanent(self, store, receiver, deliver, monitor):
        receiver.script(answer(400, b'{"Code":1,"Message":"Invalid Email Address"}'))
        push(store, orders=[BUYER | {"email": "nobody"}])
        deliver()
        (delivery,) = deliveries(store, "monitor")
        assert delivery["status"] == "failed"
        assert "Invalid Email Address" in delivery["last_error"]


class TestEmail:
    def test_an_order_becomes_an_e_mail_by_templates(self, store, deliver, settings):
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        texts = {"to": "desk@example.com", "subject": "Order {number}", "body": "From {email}"}
        integrate(store, "desk", connector="email", parameters=texts)
        subscribe(store, integration="desk", topics=["order"])

        push(store, orders=[BUYER])
        deliver()

        assert [d["status"] for d in deliveries(store, "desk")] == ["succeeded"]
        (message,) = mail.outbox
        assert (message.to, message.subject, message.body) == (
            ["desk@example.com"], "Order 99999", "From Wash@Serenity.io",
        )  # fmt: skip

    def test_it_has_no_credentials_to_check(self, store):
        integrate(store, "desk", connector="email", parameters={"to": "desk@example.com"})
        assert store.post("integrations/desk/ping").status_code == 400
