"""Standard Webhooks (docs/contract.md#standard)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook

from integrations.security.signing import generate_secret
from integrations.wire_formats import get_wire_format
from integrations.wire_formats.base import PayloadError
from tests.integrations.messages import NOW, REQUEST_ID, STANDARD_SECRET, headers_of, message, ping, response

standard = get_wire_format("standard")


def test_the_body_is_type_timestamp_and_the_data_as_it_came():
    request = standard.build(message(data_json='{"cost": 5.00,  "name":"Grüße"}'))
    expected = (
        '{"type":"shipment.updated","timestamp":"2024-05-06T07:08:09.123000Z","data":{"cost": 5.00,  "name":"Grüße"}}'
    )
    assert request.body.decode() == expected


def test_the_timestamp_is_utc_whatever_zone_the_event_came_in():
    east = datetime(2024, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    assert json.loads(standard.build(message(occurred_at=east)).body)["timestamp"] == "2024-01-01T00:00:00Z"


def test_an_intent_is_the_type_of_an_event_without_topic():
    request = standard.build(message(topic=None, intent="order_pizza"))
    assert json.loads(request.body)["type"] == "order_pizza"


def test_a_topic_is_quoted_as_json():
    assert json.loads(standard.build(message(topic='a"b\\c')).body)["type"] == 'a"b\\c'


def test_the_transforms_result_replaces_the_data():
    assert json.loads(standard.build(message(transformed_json='["a"]')).body)["data"] == ["a"]


def test_the_reference_library_verifies_what_is_sent():
    now = datetime.now(UTC)
    request = standard.build(message({"a": "é"}, now=now, endpoint={"secrets": (STANDARD_SECRET,)}))
    assert Webhook(STANDARD_SECRET).verify(request.body, headers_of(request))["data"] == {"a": "é"}


def test_both_secrets_of_a_rotation_verify():
    secrets = (generate_secret(), generate_secret())
    request = standard.build(message(now=datetime.now(UTC), endpoint={"secrets": secrets}))
    for secret in secrets:
        Webhook(secret).verify(request.body, headers_of(request))


def test_headers_are_spelled_as_the_specification_has_them():
    request = standard.build(message(endpoint={"secrets": (STANDARD_SECRET,)}))
    assert [name for name, _ in request.headers] == [
        "Content-Type",
        "User-Agent",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ]
    assert headers_of(request)["webhook-id"] == f"msg_{REQUEST_ID}"
    assert headers_of(request)["webhook-timestamp"] == str(int(NOW.timestamp()))


def test_a_retry_keeps_the_id_and_has_its_own_timestamp_and_signature():
    to = {"secrets": (STANDARD_SECRET,)}
    first = headers_of(standard.build(message(endpoint=to)))
    later = headers_of(standard.build(message(endpoint=to, now=NOW + timedelta(minutes=5), attempt_number=2)))
    assert first["webhook-id"] == later["webhook-id"]
    assert int(later["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 300
    assert first["webhook-signature"] != later["webhook-signature"]


def test_without_a_secret_there_is_no_signature():
    assert "webhook-signature" not in headers_of(standard.build(message()))


def test_a_secret_of_another_style_is_a_visible_failure():
    with pytest.raises(PayloadError, match="not base64") as raised:
        standard.build(message(endpoint={"secrets": ("It's a Secret to Everybody",)}))
    assert raised.value.kind == "configuration"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success(status):
    assert standard.read(message(), response(status, b"whatever")).is_success


@pytest.mark.parametrize("status", [300, 302, 304, 400, 401, 404, 408, 500])
def test_everything_else_is_a_failure(status):
    assert not standard.read(message(), response(status)).is_success


def test_410_disables_the_integration():
    outcome = standard.read(message(), response(410))
    assert outcome.effect == "disable_integration"
    assert outcome.is_permanent


def test_refusals_of_the_payload_are_permanent_by_default():
    assert standard.default_permanent_statuses == {400, 410, 413, 422}


def test_a_redirect_says_where_to_and_what_to_do():
    outcome = standard.read(message(), response(301, Location="https://new.example/hooks"))
    assert "https://new.example/hooks" in outcome.message
    assert "integration's URL" in outcome.message


def test_a_silent_failure_names_the_status():
    assert (
        standard.read(message(), response(404)).message
        == "The receiver answered 404 (Not Found) with no error message."
    )


def test_an_html_answer_is_known_by_its_title():
    page = b"<!doctype html><html><head><title>Out of\n order</title></head><body>...</body></html>"
    assert standard.read(message(), response(502, page)).message == "The receiver answered 502: Out of order"


def test_long_answers_are_cut():
    assert len(standard.read(message(), response(500, b"word " * 1000)).summary) == 200


def test_a_ping_is_of_type_ping():
    body = json.loads(standard.build(ping()).body)
    assert body["type"] == "ping"
    assert body["data"] == {"message": "hello"}
