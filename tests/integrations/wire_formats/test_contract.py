"""What every wire format and every connector must do alike."""

from __future__ import annotations

import json
from base64 import b64encode
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.admin.forms import IntegrationForm
from integrations.connectors import CONNECTORS
from integrations.security.redaction import masked_headers, redact_bytes, redact_text
from integrations.security.signing import generate_secret
from integrations.transport.base import RESPONSE_BODY_LIMIT, Response
from integrations.wire_formats import WIRE_FORMATS
from integrations.wire_formats.base import USER_AGENT, Outcome, PayloadError
from tests.integrations.messages import NOW, headers_of, message, ping, response

SPEAKERS = {**WIRE_FORMATS, **CONNECTORS}
CANARY_TOKEN = "canary-token-1234"


def canary_parameters():
    """Those that the connectors cannot do without, and those that have an example."""
    found = {"nested": {"deep": ["canary-deep-value"]}}
    for connector in CONNECTORS.values():
        for parameter in connector.parameters:
            if parameter.is_required or parameter.example:
                found[parameter.name] = f"canary{parameter.name}{parameter.example}".replace("_", "")
    return found | {"api_key": f"canarykey{CONNECTORS['mailchimp'].parameters[0].example}"}


CANARY_PARAMETERS = canary_parameters()


def a_message(name, **changes):
    style = SPEAKERS[name].signature_style
    to = {
        "auth_type": "bearer",
        "token": CANARY_TOKEN,
        "secrets": (generate_secret(style),) if style else (),
        "parameters": CANARY_PARAMETERS,
        "permanent_statuses": SPEAKERS[name].default_permanent_statuses,
    }
    return message(dict(SPEAKERS[name].sample), endpoint=to | changes.pop("endpoint", {}), **changes)


OF_HTTP = [name for name in sorted(SPEAKERS) if SPEAKERS[name].build(a_message(name)).url.startswith("http")]
VENDORS = sorted(set(OF_HTTP) & set(CONNECTORS))

every_speaker = pytest.mark.parametrize("name", sorted(SPEAKERS))
every_http_speaker = pytest.mark.parametrize("name", OF_HTTP)
every_format = pytest.mark.parametrize("name", sorted(WIRE_FORMATS))


@every_speaker
def test_has_a_label_a_sentence_and_defaults(name):
    speaker = SPEAKERS[name]
    assert speaker.name == name
    assert speaker.label
    assert speaker.description.endswith(".")
    assert ElementTree.fromstring(f"<svg>{speaker.icon}</svg>").find("*") is not None
    assert set(speaker.form_fields) <= set(IntegrationForm.base_fields)
    assert speaker.default_retry_policy in {"standard", "hub", "once", "patient", "none"}
    assert 1 <= speaker.default_timeout <= 180
    assert all(400 <= status < 500 for status in speaker.default_permanent_statuses)


@every_speaker
def test_the_request_carries_the_deadline_of_the_integration(name):
    assert SPEAKERS[name].build(a_message(name, endpoint={"timeout": 7.0})).timeout == 7.0


@every_http_speaker
def test_every_request_says_that_it_is_hookdesk(name):
    assert headers_of(SPEAKERS[name].build(a_message(name)))["User-Agent"] == USER_AGENT


@every_speaker
def test_the_same_message_makes_the_same_bytes(name):
    original = a_message(name)
    assert SPEAKERS[name].build(original) == SPEAKERS[name].build(a_message(name, endpoint={
        "secrets": original.endpoint.secrets}))  # fmt: skip


@every_speaker
def test_the_answer_to_the_same_message_means_the_same(name):
    answer = response(500, {"summary": "out of order"})
    assert SPEAKERS[name].read(a_message(name), answer) == SPEAKERS[name].read(a_message(name), answer)


@every_speaker
def test_no_credential_is_left_in_what_is_stored_of_a_request(name):
    request = SPEAKERS[name].build(a_message(name, parameters=CANARY_PARAMETERS | {"own": "canary-of-subscription"}))
    secrets = request.secrets
    headers = masked_headers(request.headers, secrets)
    stored = "\n".join(
        [
            redact_text(request.url, secrets),
            redact_bytes(request.body, secrets).decode(),
            *(f"{key}: {value}" for key, value in headers),
        ]
    )
    assert "canary" not in stored.lower()
    for part in (request.url, request.body.decode(), *(value for _, value in request.headers)):
        blob = part.partition("Basic ")[2]
        assert not blob or blob not in stored


@every_format
@pytest.mark.parametrize("auth_type", ["bearer", "token", "basic", "header", "hub"])
def test_credentials_of_every_auth_type_are_masked(name, auth_type):
    to = {"auth_type": auth_type, "auth_header": "X-Custom", "token": "user:canary-pass"}
    request = SPEAKERS[name].build(a_message(name, endpoint=to))
    shown = dict(masked_headers(request.headers, request.secrets))
    blob = b64encode(b"user:canary-pass").decode()
    assert not any("canary" in value or blob in value for value in shown.values())


@every_http_speaker
@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_server_errors_and_throttling_are_tried_again(name, status):
    outcome = SPEAKERS[name].read(a_message(name), response(status))
    assert not outcome.is_success
    assert not outcome.is_permanent
    assert outcome.kind == f"http_{status}"
    assert str(status) in outcome.message


@every_http_speaker
def test_statuses_of_the_integration_are_permanent(name):
    outcome = SPEAKERS[name].read(a_message(name, endpoint={"permanent_statuses": frozenset({418})}), response(418))
    assert outcome.is_permanent


@every_http_speaker
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("1000000000", 86400.0),
        ("Mon, 06 May 2024 07:09:09 GMT", 59.877),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400.0),
        ("Mon, 06 May 2024 07:00:00 GMT", None),
        ("-1", None),
        ("1e9", None),
        ("soon", None),
        ("٥", None),
        ("", None),
        ("9" * 5000, None),
        ("Mon, 99 Foo 2024 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_honoured_up_to_a_day_and_junk_is_not(name, value, seconds):
    for status in (429, 503):
        outcome = SPEAKERS[name].read(a_message(name), response(status, retry_after=value))
        assert outcome.retry_after == (None if seconds is None else pytest.approx(seconds))


@every_http_speaker
def test_the_receivers_own_words_are_in_the_message(name):
    for body in (
        {"summary": "no more ink"},
        {"message": "no more ink"},
        {"error": {"message": "no more ink"}},
        {"errors": [{"detail": "no more ink"}]},
        b"no more\nink",
    ):
        outcome = SPEAKERS[name].read(a_message(name), response(500, body))
        assert "500: no more ink" in outcome.message
        assert outcome.summary == "no more ink"


ODD_BODIES = [
    b"",
    b"   ",
    b"\x00",
    b"\xff\xfe\x00\x01" * 50,
    bytes(range(256)) * 10,
    b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>",
    b"x" * RESPONSE_BODY_LIMIT,
    b"[" * RESPONSE_BODY_LIMIT,
    b'{"a":' * 10000,
    b"null",
    b"true",
    b"12",
    b'"text"',
    b"[]",
    b"[1,2]",
    b"{}",
    b"NaN",
    b'{"summary":NaN}',
    b'{"summary":1,"message":[],"error":{},"code":"x","Code":[],"lists":{}}',
    b'{"summary":"\\u0000\\ud800 hi"}',
    b'{"request_id":null,"parameters":[],"x":[1,null]}',
    b'{"errors":[[[[["deep"]]]]]}',
    b"9" * 6000,
    b"\xef\xbb\xbf{}",
    '{"summary":"ü"}'.encode("utf-16"),
]


@every_speaker
@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_odd_answers_never_raise_and_can_be_stored(name, body):
    for status in (200, 201, 204, 250, 301, 400, 404, 410, 429, 500, 599, 999):
        for is_truncated in (False, True):
            answer = Response(status, (("Retry-After", "x"), ("Location", "\x01")), body, is_truncated)
            for asked in (a_message(name), ping(endpoint={"parameters": CANARY_PARAMETERS})):
                _assert_storable(SPEAKERS[name].read(asked, answer))


@every_speaker
@settings(max_examples=30, deadline=None)
@given(status=st.integers(100, 999), body=st.binary(max_size=200))
def test_any_bytes_are_an_answer(name, status, body):
    _assert_storable(SPEAKERS[name].read(a_message(name), Response(status, (), body)))


def _assert_storable(outcome):
    assert isinstance(outcome, Outcome)
    assert outcome.is_success == (not outcome.kind)
    assert outcome.is_success or outcome.message
    for text in (outcome.message, outcome.summary or ""):
        text.encode()
        assert "\x00" not in text
        assert "\n" not in text
        assert len(text) <= 600
    json.dumps([outcome.parameters, outcome.pushed], allow_nan=False, ensure_ascii=False).encode()


@every_format
def test_pings_say_ping_and_carry_the_message(name):
    request = SPEAKERS[name].build(ping())
    assert request.method == "POST"
    assert b"hello" in request.body
    if name not in ("flat", "turn"):
        assert b"ping" in request.body


@pytest.mark.parametrize("name", VENDORS)
def test_pings_of_connectors_read_only(name):
    request = SPEAKERS[name].build(ping(endpoint={"parameters": CANARY_PARAMETERS}))
    assert request.method == "GET"
    assert request.body == b""
    outcome = SPEAKERS[name].read(ping(), response(200, {}))
    assert outcome.is_success
    assert not outcome.again
    assert not outcome.parameters


@every_format
def test_a_ping_never_disables_what_it_tests(name):
    assert SPEAKERS[name].read(ping(), response(410)).effect is None


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendors_refusal_is_permanent_but_for_429(name):
    for status in (400, 401, 403, 404, 422):
        assert SPEAKERS[name].read(a_message(name), response(status)).is_permanent


@pytest.mark.parametrize("name", VENDORS)
def test_a_connector_names_the_parameter_that_is_missing(name):
    needed = [parameter.name for parameter in SPEAKERS[name].parameters if parameter.is_required]
    assert needed
    for missing in needed:
        parameters = {key: value for key, value in CANARY_PARAMETERS.items() if key != missing}
        with pytest.raises(PayloadError, match=missing) as raised:
            SPEAKERS[name].build(a_message(name, endpoint={"parameters": parameters}))
        assert raised.value.kind == "configuration"


@every_format
def test_static_headers_are_sent_behind_the_formats_own(name):
    request = SPEAKERS[name].build(a_message(name, endpoint={"headers": (("X-Shop", "7"),)}))
    assert request.headers[-1] == ("X-Shop", "7")


@every_format
@pytest.mark.parametrize(("header", "value"), [("X-A", "a\r\nB: c"), ("X-A", "\x00"), ("X-A", "€"), ("X A", "a")])
def test_a_header_that_cannot_be_sent_is_a_visible_failure(name, header, value):
    with pytest.raises(PayloadError) as raised:
        SPEAKERS[name].build(a_message(name, endpoint={"headers": ((header, value),)}))
    assert raised.value.kind == "configuration"


@every_format
def test_half_a_surrogate_pair_is_a_visible_failure(name):
    with pytest.raises(PayloadError):
        SPEAKERS[name].build(message(data_json='{"a":"\ud800"}'))


@pytest.mark.parametrize("name", ["flat", "hub", "notification", "xml"])
@pytest.mark.parametrize("result", ["[1]", "null", '"text"', "12", "true"])
def test_a_transform_that_yields_no_object_is_a_visible_failure(name, result):
    with pytest.raises(PayloadError, match="must be a JSON object") as raised:
        SPEAKERS[name].build(message(transformed_json=result))
    assert raised.value.kind == "transform"


@every_format
def test_the_path_of_the_subscription_is_joined_to_the_url(name):
    to = {"url": "https://receiver.example/api/?key=1"}
    assert (
        SPEAKERS[name].build(message(endpoint=to, path="/new-order")).url
        == "https://receiver.example/api/new-order?key=1"
    )
    assert SPEAKERS[name].build(message(endpoint=to)).url == to["url"]


@every_format
def test_a_retry_keeps_the_ids(name):
    first = a_message(name)
    later = a_message(name, endpoint={"secrets": first.endpoint.secrets}, attempt_number=3, now=NOW.replace(hour=9))
    bodies = [SPEAKERS[name].build(asked).body for asked in (first, later)]
    if name == "notification":
        assert bodies[1] == bodies[0].replace(b'"delivery_attempts":1', b'"delivery_attempts":3')
    else:
        assert bodies[0] == bodies[1]
