"""The notification envelope, byte for byte what Intercom's tutorial prints."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime

import pytest

from integrations.wire_formats import get_wire_format
from integrations.wire_formats.base import PayloadError
from tests.integrations.messages import GOLDEN, REQUEST_ID, headers_of, message, ping, response

notification = get_wire_format("notification")


def from_ruby(name: str) -> str:
    """The seed prints Ruby hashes; the same in JSON, spaced as a JSON library spaces it by default: not at all."""
    text = (GOLDEN / name).read_text().rstrip("\n")
    text = text.replace('"=>', '":').replace(":nil", ":null")
    return re.sub(r', (?=")', ",", text)


def sample(name: str):
    """The golden text and a message that should make it."""
    golden = from_ruby(name)
    parsed = json.loads(golden)
    item = parsed["data"]["item"]
    at = datetime.fromtimestamp(parsed["created_at"], UTC)
    return golden, message(
        endpoint={"store_id": "<APP ID>"},
        data_json=json.dumps(item, separators=(",", ":")),
        topic=parsed["topic"],
        object_type=item["type"],
        request_id=(parsed["id"] or "0" * 32).removeprefix("notif_").replace("-", ""),
        occurred_at=at,
        first_sent_at=at,
        is_ping=parsed["topic"] == "ping",
    )


@pytest.mark.parametrize(
    "name", ["intercom_ping.rb.txt", "intercom_user_created.rb.txt", "intercom_user_deleted.rb.txt"]
)
def test_the_envelope_is_the_seeds_byte_for_byte(name):
    golden, asked = sample(name)
    assert notification.build(asked).body.decode() == golden


def test_the_type_is_added_in_front_where_the_item_has_none():
    golden, asked = sample("intercom_user_created.rb.txt")
    untyped = {key: value for key, value in asked.data.items() if key != "type"}
    again = message(**{**vars_of(asked), "data_json": json.dumps(untyped, separators=(",", ":"))})
    assert notification.build(again).body.decode() == golden


def vars_of(asked):
    return {name: getattr(asked, name) for name in asked.__dataclass_fields__}


def test_a_ping_has_no_id_and_is_typed():
    golden, _ = sample("intercom_ping.rb.txt")
    at = datetime.fromtimestamp(1462880405, UTC)
    asked = ping(
        endpoint={"store_id": "<APP ID>"},
        data_json='{"message":"something something interzen"}',
        occurred_at=at,
        first_sent_at=at,
    )
    assert notification.build(asked).body.decode() == golden


def test_an_empty_item_becomes_only_its_type():
    assert json.loads(notification.build(message({})).body)["data"]["item"] == {"type": "shipment"}


def test_the_id_is_the_request_id_as_a_uuid():
    body = json.loads(notification.build(message()).body)
    assert body["id"] == "notif_73538090-16b6-11e6-aa08-ed65c3040c0f"
    assert json.loads(notification.build(message(request_id="abc")).body)["id"] == "notif_abc"


def test_attempts_are_counted():
    assert json.loads(notification.build(message(attempt_number=2)).body)["delivery_attempts"] == 2


def test_an_intent_stands_for_the_topic():
    assert json.loads(notification.build(message(topic=None, intent="order_pizza")).body)["topic"] == "order_pizza"


def test_the_signatures_are_what_the_seeds_receiver_calculates():
    request = notification.build(message(endpoint={"secrets": ("HELLO",)}))
    headers = headers_of(request)
    assert headers["X-Hub-Signature"] == "sha1=" + hmac.new(b"HELLO", request.body, hashlib.sha1).hexdigest()
    assert headers["X-Hub-Signature-256"] == "sha256=" + hmac.new(b"HELLO", request.body, hashlib.sha256).hexdigest()


def test_without_a_secret_nothing_is_signed():
    assert not any("Signature" in name for name in headers_of(notification.build(message())))


def test_during_a_rotation_the_newest_signs_and_the_old_one_beside_it():
    request = notification.build(message(endpoint={"secrets": ("NEW", "OLD")}))
    headers = headers_of(request)
    assert headers["X-Hub-Signature"] == "sha1=" + hmac.new(b"NEW", request.body, hashlib.sha1).hexdigest()
    assert headers["X-Hub-Signature-Previous"] == "sha1=" + hmac.new(b"OLD", request.body, hashlib.sha1).hexdigest()
    old = hmac.new(b"OLD", request.body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256-Previous"] == f"sha256={old}"


def test_410_deactivates_the_subscription():
    outcome = notification.read(message(), response(410))
    assert outcome.effect == "deactivate_subscription"
    assert outcome.is_permanent


def test_an_item_must_be_an_object():
    with pytest.raises(PayloadError, match="it is an array"):
        notification.build(message([1]))


def test_defaults():
    assert (notification.default_retry_policy, notification.default_timeout) == ("once", 5.0)
    assert REQUEST_ID in notification.build(message()).body.decode().replace("-", "")
