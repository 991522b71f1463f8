"""Mailchimp and Campaign Monitor (docs/contract.md#connectors)."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import md5

import pytest

from integrations.connectors.campaign_monitor import CampaignMonitor
from integrations.connectors.mailchimp import Mailchimp
from integrations.wire_formats.base import PayloadError, Skip
from tests.integrations.messages import headers_of, message, ping, response

API_KEY = "e9a74326bb9999999999b1b4e29a5722-us1"
TO = {"parameters": {"api_key": API_KEY, "list_id": "ba8e5beac4"}}
TO_FIRST_LIST = {"parameters": {"api_key": API_KEY}}
ORDER = {
    "id": 1,
    "email": "Spiffy@MyStore.example",
    "buyer_accepts_marketing": True,
    "billing_address": {"first_name": "Spiffy", "last_name": "Customer"},
}
mailchimp = Mailchimp("http://127.0.0.1:9/")
campaign_monitor = CampaignMonitor("http://127.0.0.1:9/")
both = pytest.mark.parametrize("mailer", [mailchimp, campaign_monitor], ids=["mailchimp", "campaign_monitor"])


def basic(text):
    return "Basic " + b64encode(text.encode()).decode()


def test_mailchimp_puts_the_member_under_the_hash_of_the_lowered_address():
    request = mailchimp.build(message(ORDER, endpoint=TO))
    hashed = md5(b"spiffy@mystore.example", usedforsecurity=False).hexdigest()
    assert request.method == "PUT"
    assert request.url == f"http://127.0.0.1:9/3.0/lists/ba8e5beac4/members/{hashed}"
    assert headers_of(request)["Authorization"] == basic(f"user:{API_KEY}")
    assert headers_of(request)["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "email_address": "Spiffy@MyStore.example",
        "status_if_new": "subscribed",
        "merge_fields": {"FNAME": "Spiffy", "LNAME": "Customer"},
    }


def test_mailchimp_looks_up_the_first_list_when_none_is_given():
    asked = message(ORDER, endpoint=TO_FIRST_LIST)
    request = mailchimp.build(asked)
    assert (request.method, request.url, request.body) == ("GET", "http://127.0.0.1:9/3.0/lists?count=1", b"")
    outcome = mailchimp.read(asked, response(200, {"lists": [{"id": "ba8e5beac4"}]}))
    assert outcome.again
    assert outcome.parameters == {"list_id": "ba8e5beac4"}
    then = mailchimp.build(message(ORDER, endpoint={"parameters": {"api_key": API_KEY, **outcome.parameters}}))
    assert then.method == "PUT"


def test_an_account_without_lists_is_a_permanent_failure():
    outcome = mailchimp.read(message(ORDER, endpoint=TO_FIRST_LIST), response(200, {"lists": []}))
    assert (outcome.is_success, outcome.is_permanent, outcome.kind) == (False, True, "mailchimp_no_list")


@pytest.mark.parametrize(
    "body", [b"", {}, {"lists": {}}, {"lists": [1]}, {"lists": [{"id": 5}]}, {"lists": [{"id": "../x"}]}]
)
def test_an_odd_answer_about_lists_is_tried_again(body):
    outcome = mailchimp.read(message(ORDER, endpoint=TO_FIRST_LIST), response(200, body))
    assert not outcome.is_success
    assert not outcome.again
    assert not outcome.is_permanent


def test_mailchimps_data_centre_is_what_follows_the_hyphen():
    request = Mailchimp("https://{dc}.api.mailchimp.com").build(message(ORDER, endpoint=TO))
    assert request.url.startswith("https://us1.api.mailchimp.com/3.0/")


@pytest.mark.parametrize("key", ["abcdef", "abc-", "abc-evil.example/", "abc-us1@evil", "abc-US1"])
def test_a_key_without_a_data_centre_is_a_visible_failure(key):
    with pytest.raises(PayloadError, match="data centre"):
        Mailchimp("https://{dc}.api.mailchimp.com").build(
            message(ORDER, endpoint={"parameters": {"api_key": key, "list_id": "a"}})
        )


def test_mailchimps_detail_is_in_the_message():
    body = {"title": "Invalid Resource", "status": 400, "detail": "x@y looks fake or invalid"}
    outcome = mailchimp.read(message(ORDER, endpoint=TO), response(400, body))
    assert outcome.message == "Mailchimp answered 400: x@y looks fake or invalid"
    assert outcome.is_permanent


def test_campaign_monitor_posts_the_subscriber():
    request = campaign_monitor.build(message(ORDER, endpoint=TO))
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:9/api/v3.3/subscribers/ba8e5beac4.json")
    assert headers_of(request)["Authorization"] == basic(f"{API_KEY}:x")
    assert json.loads(request.body) == {
        "EmailAddress": "Spiffy@MyStore.example",
        "Name": "Spiffy Customer",
        "Resubscribe": False,
        "ConsentToTrack": "Unchanged",
    }
    assert campaign_monitor.read(message(), response(201, b'"Spiffy@MyStore.example"')).is_success


def test_campaign_monitors_error_code_is_the_kind():
    outcome = campaign_monitor.read(message(), response(400, {"Code": 1, "Message": "Invalid Email Address"}))
    assert outcome.kind == "campaign_monitor_1"
    assert outcome.message == ("Campaign Monitor answered 400: Invalid Email Address (Campaign Monitor error 1)")
    assert outcome.is_permanent


@both
@pytest.mark.parametrize("accepts", [False, None, "false", "", 1, 0, [], "yes"])
def test_nobody_is_subscribed_who_did_not_accept_marketing(mailer, accepts):
    with pytest.raises(Skip, match="buyer_accepts_marketing is not true"):
        mailer.build(message(ORDER | {"buyer_accepts_marketing": accepts}, endpoint=TO))
    with pytest.raises(Skip):
        mailer.build(message({"email": "a@b.c"}, endpoint=TO))


@both
@pytest.mark.parametrize(
    "data",
    [
        {"email": "a@b.c", "buyer_accepts_marketing": "True"},
        {"customer": {"email": "a@b.c"}, "buyer_accepts_marketing": True},
        {"order": {"email": "a@b.c", "buyer_accepts_marketing": True}},
    ],
)
def test_the_address_is_found_where_shops_keep_it(mailer, data):
    assert b"a@b.c" in mailer.build(message(data, endpoint=TO)).body


@both
def test_a_buyer_without_an_address_is_a_visible_failure(mailer):
    with pytest.raises(PayloadError, match="no e-mail address"):
        mailer.build(message({"buyer_accepts_marketing": True, "email": None, "customer": []}, endpoint=TO))


@both
def test_list_ids_cannot_leave_their_place_in_the_path(mailer):
    request = mailer.build(message(ORDER, endpoint={"parameters": TO["parameters"] | {"list_id": "../a?b#c"}}))
    assert "/..%2Fa%3Fb%23c" in request.url


@pytest.mark.parametrize(
    ("mailer", "url"),
    [
        (mailchimp, "http://127.0.0.1:9/3.0/ping"),
        (campaign_monitor, "http://127.0.0.1:9/api/v3.3/systemdate.json"),
    ],
)
def test_a_ping_checks_the_key(mailer, url):
    request = mailer.build(ping(endpoint=TO))
    assert (request.method, request.url) == ("GET", url)
    assert mailer.read(ping(endpoint=TO), response(200, b"{}")).is_success
    assert mailer.read(ping(endpoint=TO), response(401, b"{}")).is_permanent
