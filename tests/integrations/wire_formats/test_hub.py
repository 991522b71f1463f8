"""The hub format (docs/contract.md#hub)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from integrations.wire_formats import get_wire_format
from integrations.wire_formats.base import PayloadError, PollWindow
from tests.integrations.messages import REQUEST_ID, headers_of, message, ping, response

hub = get_wire_format("hub")
SMS = {"from": "444-444-4444", "phone": "555-555-5555", "message": "Your order from the Foo Store has shipped!"}


def answer(**members):
    return response(200, {"request_id": REQUEST_ID} | members)


def test_the_body_holds_request_id_parameters_and_the_object_in_this_order():
    parameters = {"auth_token": "YOUR-AUTH-TOKEN", "account_sid": "YOUR-SID"}
    request = hub.build(message(SMS, object_type="sms", request_id="52f367367575e449c3000001", parameters=parameters))
    assert request.body.decode() == (
        '{"request_id":"52f367367575e449c3000001",'
        '"parameters":{"auth_token":"YOUR-AUTH-TOKEN","account_sid":"YOUR-SID"},'
        f'"sms":{json.dumps(SMS)}}}'
    )
    assert headers_of(request)["Content-Type"] == "application/json"


def test_parameters_are_there_even_when_there_are_none():
    assert json.loads(hub.build(message()).body)["parameters"] == {}


def test_a_transform_replaces_the_object_part():
    request = hub.build(message(object_type="shipment", transformed_json=json.dumps({"sms": SMS})))
    assert json.loads(request.body) == {"request_id": REQUEST_ID, "parameters": {}, "sms": SMS}
    assert json.loads(hub.build(message(transformed_json="{}")).body) == {"request_id": REQUEST_ID, "parameters": {}}


@pytest.mark.parametrize("name", ["request_id", "parameters"])
def test_neither_a_transform_nor_a_type_may_replace_what_the_format_sets(name):
    with pytest.raises(PayloadError, match=name) as raised:
        hub.build(message(transformed_json=json.dumps({name: {}})))
    assert raised.value.kind == "transform"
    with pytest.raises(PayloadError, match=name):
        hub.build(message(object_type=name))


@pytest.mark.parametrize(
    ("url", "path", "joined"),
    [
        ("http://app.example", "send_sms", "http://app.example/send_sms"),
        ("http://app.example/", "/send_sms", "http://app.example/send_sms"),
        ("http://app.example//", "//send_sms", "http://app.example/send_sms"),
        ("http://app.example/v1?key=1", "send_sms", "http://app.example/v1/send_sms?key=1"),
        ("http://app.example/v1?key=1", "send_sms?a=2", "http://app.example/v1/send_sms?key=1&a=2"),
        ("http://app.example/v1", "send sms/ü", "http://app.example/v1/send%20sms/%C3%BC"),
        ("http://app.example/v1", "a%20b", "http://app.example/v1/a%20b"),
        ("http://app.example/v1", "a\r\nb", "http://app.example/v1/a%0D%0Ab"),
        ("http://app.example/v1", "@evil.example", "http://app.example/v1/@evil.example"),
        ("http://app.example/v1", "", "http://app.example/v1"),
        ("http://app.example", "/", "http://app.example"),
    ],
)
def test_path_and_url_meet_at_one_slash(url, path, joined):
    assert hub.build(message(endpoint={"url": url}, path=path)).url == joined


def test_the_token_goes_as_x_hub_token():
    request = hub.build(message(endpoint={"auth_type": "hub", "token": "abc"}))
    assert headers_of(request)["X-Hub-Token"] == "abc"


@pytest.mark.parametrize(("asked", "sent"), [(30.0, 30.0), (180.0, 180.0), (600.0, 180.0)])
def test_the_deadline_is_180_seconds_at_most(asked, sent):
    assert hub.build(message(endpoint={"timeout": asked})).timeout == sent


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_needs_no_body(status):
    for body in (b"", b"\r\n"):
        assert hub.read(message(), response(status, body)).is_success


@pytest.mark.parametrize("status", [203, 206, 301, 400, 404, 410, 500])
def test_other_statuses_are_failures_and_tried_again(status):
    outcome = hub.read(message(), response(status, {"request_id": REQUEST_ID}))
    assert not outcome.is_success
    assert not outcome.is_permanent
    assert outcome.effect is None


def test_the_summary_of_a_success_is_kept():
    assert hub.read(message(), answer(summary="SMS message sent")).summary == "SMS message sent"


def test_the_answer_of_the_seeds_failing_handler_is_read():
    body = b'{"request_id":"52f367367575e449c3000001","summary":"Unable to send SMS message"}\n'
    outcome = hub.read(message(), response(500, body))
    assert outcome.message == "The receiver answered 500: Unable to send SMS message"
    assert outcome.summary == "Unable to send SMS message"
    assert outcome.kind == "http_500"


@pytest.mark.parametrize(
    "body", [{"request_id": "other"}, {"request_id": None}, {"request_id": 1}, {"summary": "x"}, [], b"OK", b"{"]
)
def test_a_body_without_the_request_id_is_a_mismatch(body):
    outcome = hub.read(message(), response(200, body))
    assert not outcome.is_success
    assert outcome.kind == "request_id_mismatch"
    assert outcome.message.startswith("request_id mismatch")
    assert REQUEST_ID in outcome.message


def test_parameters_in_an_answer_are_handed_on():
    assert hub.read(message(), answer(parameters={"cursor": 7})).parameters == {"cursor": 7}


@pytest.mark.parametrize("parameters", [None, [], "x", {}])
def test_parameters_of_another_kind_are_not(parameters):
    assert hub.read(message(), answer(parameters=parameters)).parameters is None


def test_every_array_in_an_answer_is_pushed():
    outcome = hub.read(message(), answer(orders=[{"id": 1}], products=[], note="x", count=3, summary="done"))
    assert outcome.pushed == {"orders": [{"id": 1}], "products": []}
    assert outcome.summary == "done"


def test_what_cannot_be_pushed_is_named_in_the_summary():
    outcome = hub.read(message(), answer(orders=[{"id": 1}, 2], notes=[{"id": "a\x00"}], summary="done"))
    assert outcome.is_success
    assert outcome.pushed is None
    assert outcome.summary == "done (not usable and left out of the answer: orders, notes)"


def test_nothing_is_pushed_or_saved_from_a_failure():
    outcome = hub.read(message(), response(500, {"request_id": REQUEST_ID, "orders": [{}], "parameters": {"a": 1}}))
    assert outcome.pushed is None
    assert outcome.parameters is None


def test_an_answer_past_what_is_read_says_so():
    cut = response(200, b'{"request_id":"' + b"x" * 65000)
    outcome = hub.read(message(), type(cut)(cut.status, cut.headers, cut.body, True))
    assert outcome.kind == "answer_too_large"
    assert not outcome.is_permanent


def test_a_poll_asks_since_the_last_success():
    since = datetime(2014, 2, 3, 17, 33, 55, 343000, UTC)
    request = hub.build(message(parameters={"limit": 5}, poll=PollWindow(since)))
    assert request.body.decode() == (
        f'{{"request_id":"{REQUEST_ID}","parameters":{{"limit":5,"since":"2014-02-03T17:33:55.343000Z"}},'
        '"last_poll":1391448835}'
    )


def test_a_first_poll_asks_since_the_epoch():
    body = json.loads(hub.build(message(poll=PollWindow(None))).body)
    assert body == {"request_id": REQUEST_ID, "parameters": {"since": "1970-01-01T00:00:00Z"}, "last_poll": 0}


def test_a_ping_is_an_object_named_ping():
    assert json.loads(hub.build(ping(path="send_sms")).body)["ping"] == {"message": "hello"}


def test_defaults():
    assert (hub.default_retry_policy, hub.default_timeout, hub.default_permanent_statuses) == ("hub", 30.0, set())
