"""A request at `/in/<id>`: answered after the commit, once, as the vendor expects, and never for what is not proven."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from deliveries.models import Delivery, Event, SourceKey, SourceRequest
from deliveries.sources import requests
from integrations.models import Source
from integrations.sources import SOURCE_KINDS
from notifications.models import Notification
from tests.api_client import only_error
from tests.factories import IntegrationFactory, SubscriptionFactory, TopicFactory

pytestmark = pytest.mark.django_db

every_kind = pytest.mark.parametrize("kind", sorted(SOURCE_KINDS))
TOPICS = {
    "standard": "contact.created", "cloudevents": "com.github.pull_request.opened", "generic": "order.created",
    "stripe": "customer.created", "github": "issues.opened", "shopify": "orders.create", "slack": "app_mention",
    "twilio": "message.received", "mailchimp": "subscribe", "notification": "user.created", "turn": "message.received",
    "xml": "order.created", "flat": None, "hub": "shipment.created",
}  # fmt: skip
#: What these vendors take for an answer; all others get 202.
STATUSES = dict.fromkeys(["stripe", "shopify", "slack", "twilio", "mailchimp", "notification", "turn"], 200)


@every_kind
def test_what_is_proven_becomes_an_event_that_names_its_source(sender, store, kind):
    source = sender(kind)

    response = source.send()

    assert response.status_code == STATUSES.get(kind, 202), response.content
    event = Event.objects.get()
    assert (event.topic, event.origin) == (TOPICS[kind], "source")
    assert event.intent == ("order_pizza" if kind == "flat" else None)
    shown = store.get(f"events/{event.public_id}").json()
    assert (shown["source"], shown["origin"]) == (kind, "source")
    (kept,) = source.requests()
    assert (kept["verdict"], kept["reason"], kept["events"]) == ("accepted", None, [event.public_id])
    assert source.shown()["counts"] == {"accepted": 1, "duplicate": 0, "rejected": 0, "ignored": 0}
    assert source.shown()["last_request_at"] is not None
    assert source.secret == "" or source.secret not in json.dumps(source.requests())


@every_kind
def test_the_same_again_is_answered_alike_and_stored_once(sender, kind):
    source = sender(kind)
    request = source.sample()
    first, second = source.send(request), source.send(request)
    assert second.status_code == first.status_code
    assert Event.objects.count() == 1
    assert [kept["verdict"] for kept in source.requests()] == ["duplicate", "accepted"]
    assert source.send(source.sample("k2")).status_code == first.status_code
    assert Event.objects.count() == 2


@every_kind
def test_what_is_not_proven_is_401_counted_and_shown_with_the_reason(sender, kind):
    source = sender(kind, **({"secret": "a-token-that-is-set"} if kind == "mailchimp" else {}))
    request = source.sample()
    bare = {"content-type": request.header("content-type")}

    path = urlsplit(source.address).path
    response = Client().post(path, request.body, content_type=bare["content-type"])

    assert response.status_code == 401
    assert only_error(response)["code"] == "unauthorized"
    assert not Event.objects.exists()
    assert not SourceKey.objects.exists()
    (kept,) = source.requests()
    assert (kept["verdict"], kept["status"], kept["events"]) == ("rejected", 401, [])
    assert kept["reason"]
    assert source.shown()["counts"]["rejected"] == 1


def test_the_sender_is_not_told_why_a_proof_is_refused(sender):
    source = sender("stripe")
    response = source.send(source.sample(headers={"stripe-signature": "t=1,v1=00"}))
    assert source.requests()[0]["reason"] not in response.text


def test_an_address_is_in_no_line_of_the_log(sender, caplog):
    source = sender("stripe")
    for request in (source.sample(), source.sample(headers={}), source.sample(body=b"{", headers={})):
        source.send(request)
    Client().get(urlsplit(source.address).path)
    assert source.address.rpartition("/")[2] not in caplog.text


def test_forged_requests_cost_a_bounded_number_of_rows(sender):
    source = sender("github")
    forged = source.sample(headers={"x-hub-signature-256": "sha256=00"})
    with time_machine.travel(timezone.now(), tick=False):
        for _ in range(20):
            assert source.send(forged).status_code == 401
    assert SourceRequest.objects.count() <= 2 * requests.REFUSED_A_SECOND


def test_only_the_last_requests_are_kept(sender, monkeypatch):
    monkeypatch.setattr(requests, "KEPT", 3)
    monkeypatch.setattr(requests, "TRIM_EVERY", 1)
    source = sender("hub")
    for number in range(6):
        source.send(source.sample(f"k{number}"))
    assert len(source.requests()) == 3
    assert source.shown()["counts"]["accepted"] == 6


def test_unknown_deleted_and_disabled_addresses_and_other_methods(sender, store):
    source = sender("hub")
    assert Client().post("/in/nosuch", b"{}", content_type="application/json").status_code == 404
    path = urlsplit(source.address).path
    wrong = Client().get(path)
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
    assert store.patch("sources/hub", {"is_enabled": False}).status_code == 200
    assert source.send().status_code == 410
    assert store.delete("sources/hub").status_code == 204
    assert source.send().status_code == 404
    assert not Event.objects.exists()


def test_a_new_address_works_at_once_and_the_old_one_for_a_day(sender, store):
    source = sender("hub")
    answer = store.post("sources/hub/rotate_address").json()
    assert answer["address"] != source.address
    assert source.shown()["address"] == answer["address"]
    assert source.send(source.sample("k1")).status_code == 202
    assert source.send(source.sample("k2", url=answer["address"])).status_code == 202
    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1)):
        assert source.send(source.sample("k3")).status_code == 404
        assert source.send(source.sample("k4", url=answer["address"])).status_code == 202


def test_a_new_secret_proves_at_once_and_the_old_one_for_a_day(sender, store):
    source = sender("github")
    old, source.secret = source.secret, store.post("sources/github/rotate_secret").json()["secret"]
    new, source.secret = source.secret, old
    assert source.send(source.sample("k1")).status_code == 202
    source.secret = new
    assert source.send(source.sample("k2")).status_code == 202
    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1)):
        assert source.send(source.sample("k3")).status_code == 202
        source.secret = old
        assert source.send(source.sample("k4")).status_code == 401


class TestRules:
    def test_it_is_delivered_like_a_push(self, sender, store, receiver, deliver):
        integration = IntegrationFactory(store=store.store, url=receiver.url("/hook"))
        SubscriptionFactory(integration=integration, topics=["customer.*"])
        sender("stripe").send()
        deliver()
        assert json.loads(receiver.requests[0].body)["data"]["id"] == "cus_NffrFeUfNV2Hib"

    def test_a_schema_that_is_broken_is_400_and_nothing_is_stored(self, sender, store):
        TopicFactory(store=store.store, name="customer.created", schema={"properties": {"balance": {"type": "string"}}})
        source = sender("stripe")
        response = source.send()
        assert (response.status_code, only_error(response)["field"]) == (400, "balance")
        assert not SourceKey.objects.exists(), "the vendor tries again"
        assert "schema" in source.requests()[0]["reason"]

    def test_what_is_too_large_compressed_or_not_is_413(self, sender, settings):
        settings.MAX_BODY_BYTES = 1_000
        source = sender("generic", options={"proof": "none"})
        assert source.send(source.sample(body=b'{"a":"' + b"x" * 1_000 + b'"}')).status_code == 413
        bomb = gzip.compress(b'{"a":"' + b"x" * 1_000_000 + b'"}')
        response = source.send(source.sample(body=bomb[:1_000]), **{"content-encoding": "gzip"})
        assert response.status_code == 413
        small_bomb = gzip.compress(b"0" * 100_000)
        assert source.send(source.sample(body=small_bomb), **{"content-encoding": "gzip"}).status_code == 413
        assert source.send(source.sample(body=b"x"), **{"content-encoding": "br"}).status_code == 415

    def test_a_compressed_body_is_read(self, sender):
        source = sender("generic", options={"proof": "none"})
        body = gzip.compress(b'{"type":"a.b"}')
        assert source.send(source.sample(body=body), **{"content-encoding": "gzip"}).status_code == 202
        assert Event.objects.get().topic == "a.b"
        assert json.loads(source.requests()[0]["body"]) == {"type": "a.b"}

    def test_the_rate_limit_of_pushes_counts_what_is_proven(self, sender, settings):
        settings.PUSH_RATE_LIMIT = 1
        source = sender("hub")
        with time_machine.travel(timezone.now(), tick=False):
            statuses = [source.send(source.sample(f"k{number}")).status_code for number in range(5)]
        assert 429 in statuses
        assert statuses[0] == 202
        forged = source.sample(headers={"content-type": "application/json"})
        assert source.send(forged).status_code == 401

    def test_a_database_that_is_away_is_503(self, sender, monkeypatch):
        source = sender("hub")

        def away(**_):
            raise OperationalError("gone")

        monkeypatch.setattr("deliveries.api.receiving.receive", away)
        response = source.send()
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert only_error(response)["code"] == "service_unavailable"

    def test_our_own_request_that_comes_back_again_and_again_is_stopped_with_a_notification(
        self, sender, store, receiver, deliver
    ):
        source = sender("standard")
        integration = IntegrationFactory(store=store.store, url=receiver.url("/loop"))
        SubscriptionFactory(integration=integration, topics=["contact.*"])
        response = source.send(source.sample("k1"), **{"User-Agent": "Hookdesk/0.1.0", "X-Hookdesk-Hops": "8"})
        assert response.status_code == 202
        assert Event.objects.get().is_stopped
        assert not Delivery.objects.exists()
        note = Notification.objects.get()
        assert "loop" in note.summary
        assert "Standard" in note.summary

    def test_a_source_whose_kind_is_gone_is_503_and_keeps_the_rest_working(self, sender, store):
        source = sender("hub")
        Source.objects.update(kind="fax")
        assert source.send().status_code == 503
        assert store.get("sources").status_code == 200

    @pytest.mark.parametrize("kind", ["slack", "notification", "github"])
    def test_what_only_asks_who_is_there_is_ignored_and_answered(self, sender, kind):
        from integrations.security.signing import hub_sha1, hub_sha256

        source = sender(kind)
        body = json.dumps({"type": "url_verification", "challenge": "c", "topic": "ping"}).encode()
        signed = {
            "github": {"x-github-event": "ping", "x-hub-signature-256": hub_sha256(source.secret, body)},
            "notification": {"x-hub-signature": hub_sha1(source.secret, body)},
            "slack": slack_signed(source.secret, body),
        }[kind]
        response = source.send(source.sample(body=body, headers={"content-type": "application/json", **signed}))
        assert response.status_code == STATUSES.get(kind, 202)
        assert source.requests()[0]["verdict"] == "ignored"
        assert not Event.objects.exists()

    def test_probes_need_no_proof_and_store_no_event(self, sender):
        turn, mailchimp, cloud = sender("turn"), sender("mailchimp"), sender("cloudevents")
        handshake = turn.sample(body=b'{"handshake":true,"name":"x"}', headers={"content-type": "application/json"})
        assert turn.send(handshake).json()["capabilities"]["actions"] is False
        assert mailchimp.send(mailchimp.sample(method="GET", body=b"")).status_code == 200
        options = cloud.sample(method="OPTIONS", body=b"", headers={"webhook-request-origin": "a.example"})
        assert cloud.send(options).headers["WebHook-Allowed-Origin"] == "a.example"
        assert not Event.objects.exists()


def slack_signed(secret, body):
    from integrations.sources.proofs import hex_hmac

    seconds = int(timezone.now().timestamp())
    signature = f"v0={hex_hmac(secret, f'v0:{seconds}:'.encode() + body)}"
    return {"x-slack-request-timestamp": str(seconds), "x-slack-signature": signature}
