"""Turn.io (docs/contract.md#turn)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from integrations.security.redaction import masked_headers
from integrations.wire_formats import get_wire_format, turn
from integrations.wire_formats.base import PayloadError
from tests.integrations.messages import NOW, endpoint, headers_of, message, response

turn_format = get_wire_format("turn")
TO = endpoint(url="https://turn.example/app/hook", auth_type="bearer", token="123456", secrets=("s3cret-s3cret",))
CAPABILITIES = {
    "actions": True,
    "suggested_responses": True,
    "context_objects": [{"title": "My Context", "code": "my-context", "type": "table", "icon": "none"}],
}


def signature(secret, body):
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def test_a_delivery_is_the_signed_data():
    request = turn_format.build(message({"a": "é"}, endpoint=TO))
    headers = headers_of(request)
    assert json.loads(request.body) == {"a": "é"}
    assert headers["X-Turn-Hook-Signature"] == signature("s3cret-s3cret", request.body)
    assert headers["Authorization"] == "Bearer 123456"
    assert headers["Content-Type"] == "application/json"


def test_during_a_rotation_the_newest_signs_and_the_old_one_beside_it():
    request = turn_format.build(message(endpoint={"secrets": ("new", "old", "older")}))
    headers = headers_of(request)
    assert headers["X-Turn-Hook-Signature"] == signature("new", request.body)
    assert headers["X-Turn-Hook-Signature-Previous"] == signature("old", request.body)


def test_a_handshake_names_the_integration():
    request = turn.build_handshake(TO)
    assert (request.method, request.url) == ("POST", TO.url)
    assert request.body == b'{"handshake":true,"name":"The shop\'s receiver"}'
    assert headers_of(request)["X-Turn-Hook-Signature"] == signature("s3cret-s3cret", request.body)
    assert headers_of(request)["Authorization"] == "Bearer 123456"
    assert "123456" not in dict(masked_headers(request.headers, request.secrets))["Authorization"]


def test_a_good_handshake_shows_as_the_contract_has_it():
    answer = turn.read_handshake(response(200, {"version": "1.0.0-alpha", "capabilities": CAPABILITIES}))
    assert answer.as_json(NOW) == {
        "ok": True,
        "at": "2024-05-06T07:08:09.123000Z",
        "error": None,
        "version": "1.0.0-alpha",
        "capabilities": CAPABILITIES,
    }


@pytest.mark.parametrize("body", [{}, {"version": "1"}, {"capabilities": {}}, {"capabilities": {"actions": False}}])
def test_every_key_of_a_handshake_may_be_missing(body):
    answer = turn.read_handshake(response(200, body))
    assert answer.is_ok
    assert answer.error is None
    assert answer.version == body.get("version")
    assert answer.capabilities == body.get("capabilities", {})


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"version": 1}, "version is a number"),
        ({"capabilities": []}, "capabilities is an array"),
        ({"capabilities": {"actions": "yes"}}, "capabilities.actions is a string"),
        ({"capabilities": {"context_objects": {}}}, "capabilities.context_objects is an object"),
        ({"capabilities": {"context_objects": [{"code": "a", "type": "chart"}]}}, "neither table nor ordered-list"),
        ({"capabilities": {"context_objects": [None]}}, "context_objects[0]"),
    ],
)
def test_odd_parts_of_a_handshake_are_left_out_and_reported(body, complaint):
    answer = turn.read_handshake(response(200, body))
    assert answer.is_ok
    assert complaint in answer.error
    assert answer.version is None
    assert not answer.capabilities.get("context_objects")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (500, b"", "answered 500"),
        (401, {"error": "who are you"}, "answered 401: who are you"),
        (302, b"", "answered 302"),
        (200, b"", "without a JSON object"),
        (200, b"<html>", "without a JSON object"),
        (200, [], "without a JSON object"),
        (200, {"version": "\x00"}, "cannot be stored"),
    ],
)
def test_what_is_no_answer_is_reported_and_not_raised(status, body, error):
    assert error in turn.read_handshake(response(status, body)).error
    assert error in turn.read_context(response(status, body)).error
    assert not turn.read_handshake(response(status, body)).is_ok
    assert not turn.read_context(response(status, body)).is_ok


def test_a_context_is_asked_for_with_chat_and_messages():
    request = turn.build_context(TO, {"owner": "+27"}, [{"type": "text"}])
    assert request.body == b'{"chat":{"owner":"+27"},"messages":[{"type":"text"}]}'
    assert headers_of(request)["X-Turn-Hook-Signature"] == signature("s3cret-s3cret", request.body)


def test_a_whole_context_is_read():
    body = {
        "version": "1.0.0-alpha",
        "context_objects": {"table": {"Language": "English"}, "list": ["first", "second"]},
        "suggested_responses": [{"type": "TEXT", "title": "t", "body": "b", "confidence": 0.4}],
        "actions": {"image": {"description": "Do it", "url": "/image", "payload": {"a": 1}, "options": {"x": "X"}}},
    }
    context = turn.read_context(response(200, body))
    assert context.is_ok
    assert context.error is None
    assert context.context_objects == body["context_objects"]
    assert list(context.suggested_responses) == body["suggested_responses"]
    assert context.actions == body["actions"]


def test_odd_parts_of_a_context_are_left_out_and_reported():
    body = {"context_objects": {"a": 1}, "suggested_responses": ["hi", {}], "actions": {"a": {}, "b": []}}
    context = turn.read_context(response(200, body))
    assert context.is_ok
    assert (context.context_objects, context.suggested_responses, context.actions) == ({}, ({},), {})
    for part in ("context_objects.a", "suggested_responses[0]", "actions.a", "actions.b"):
        assert part in context.error


def test_an_action_is_posted_with_all_its_members():
    action = {"url": "/opt_status", "payload": {"opt_status": "opt_out"}}
    request = turn.build_action(TO, code="opt", action=action, address="+27", message={"id": "m"}, option="x")
    body = json.loads(request.body)
    assert request.url == "https://turn.example/opt_status"
    assert list(body) == [
        "address",
        "integration_uuid",
        "integration_action_uuid",
        "message",
        "option",
        "payload",
    ]
    assert body["payload"] == {"opt_status": "opt_out"}
    assert body["integration_uuid"] == TO.uuid
    assert body["integration_action_uuid"] == turn.action_uuid(TO, "opt")
    assert headers_of(request)["X-Turn-Hook-Signature"] == signature("s3cret-s3cret", request.body)


def test_a_given_payload_goes_before_that_of_the_context():
    request = turn.build_action(TO, code="a", action={"url": "a", "payload": 1}, payload={"b": 2})
    assert json.loads(request.body)["payload"] == {"b": 2}


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("/a", "https://turn.example/a"),
        ("a", "https://turn.example/app/a"),
        ("../a", "https://turn.example/a"),
        ("?x=1", "https://turn.example/app/hook?x=1"),
        ("https://other.example/a", "https://other.example/a"),
        ("//other.example/a", "https://other.example/a"),
    ],
)
def test_an_actions_address_is_resolved_against_the_integrations(url, resolved):
    assert turn.action_url(TO, url) == resolved


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "http://[", "mailto:a@b.c"])
def test_an_action_that_is_no_web_address_is_refused(url):
    with pytest.raises(PayloadError) as raised:
        turn.action_url(TO, url)
    assert raised.value.kind == "action_url"


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/a",
        "//other.example/a",
        "http://turn.example/a",
        "https://turn.example:8443/a",
        "https://turn.example.other.example/a",
        "https://turn.example./a",
        "https://turn.example@other.example/a",
        "\t//other.example/a",
        "///other.example/a",
    ],
)
@pytest.mark.parametrize("auth", ["bearer", "token", "basic", "hub", "header"])
def test_nothing_that_identifies_us_goes_to_another_origin(url, auth):
    to = endpoint(
        url="https://turn.example/app/hook",
        auth_type=auth,
        auth_header="X-Api-Key",
        token="123456",
        secrets=("newest", "older"),
        headers=(("X-Team-Secret", "canary"),),
    )
    try:
        request = turn.build_action(to, code="a", action={"url": url})
    except PayloadError:
        return
    if request.url.startswith("https://turn.example/"):
        assert url == "///other.example/a"  # an address without a host is a path of our own
        return
    assert set(headers_of(request)) == {"Content-Type", "User-Agent"}


def test_the_token_goes_to_the_same_origin_however_it_is_spelled():
    request = turn.build_action(TO, code="a", action={"url": "https://TURN.example:443/a"})
    assert headers_of(request)["Authorization"] == "Bearer 123456"


def test_an_action_may_ask_for_a_new_context():
    answer = turn.read_action(response(200, {}, X_Turn_Integration_Refresh="true"))
    assert (answer.is_ok, answer.is_refresh_wanted, answer.body) == (True, True, {})
    assert not turn.read_action(response(200, b"")).is_refresh_wanted


def test_an_action_that_fails_says_why():
    answer = turn.read_action(response(500, {"error": "boom"}))
    assert (answer.is_ok, answer.error) == (False, "The integration answered 500: boom")


def test_action_uuids_stay_the_same_and_differ_by_code():
    assert turn.action_uuid(TO, "a") == turn.action_uuid(TO, "a") != turn.action_uuid(TO, "b")
    assert turn.action_uuid(endpoint(uuid="not one"), "a")
