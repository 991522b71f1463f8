"""The guess at the cause: the field that the answer names, the token, the URL, the schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.failures.diagnosis import diagnose
from deliveries.failures.suspect_fields import suspicious_fields
from deliveries.resolution import SchemaProblem

SHIPMENT = {
    "id": "1111111111",
    "email": "spree@example.com",
    "cost": 5.0,
    "status": "ready",
    "tracking": "",
    "shipping_address": {"firstname": "Joe", "zipcode": "90210", "phone": "0000000000"},
    "items": [{"name": "Spree T-Shirt", "product_id": "SPREE-T-SHIRT", "quantity": 1}],
}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("Unable to send SMS message. Error: '0000000000' is not a phone number", ("shipping_address.phone",)),
        ("The 'To' number 0000000000 is not valid", ("shipping_address.phone",)),
        ("invalid phone number", ("shipping_address.phone",)),
        ("shipping_address.zipcode is unknown", ("shipping_address.zipcode",)),
        ('{"errors": [{"field": "zipcode", "message": "bad"}]}', ("shipping_address.zipcode",)),
        ("spree@example.com is on the block list", ("email",)),
        ("no product SPREE-T-SHIRT", ("items[0].product_id",)),
        ("product unknown", ("items[0].product_id",)),
        ("The status is ready", ()),
        ("Internal Server Error", ()),
        ("", ()),
    ],
)
def test_the_field_that_the_answer_speaks_of_is_found(text: str, fields: tuple[str, ...]) -> None:
    assert suspicious_fields(text, SHIPMENT) == fields


@given(st.text(max_size=200), st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists, max_leaves=5))
def test_any_answer_and_payload_can_be_looked_at(text: str, payload: Any) -> None:
    assert isinstance(suspicious_fields(text, payload), tuple)
    assert diagnose(kind=text, message=text, body_text=text, payload=payload).explanation


@pytest.mark.parametrize(
    ("case", "choice", "words"),
    [
        ({"kind": "http_401", "status": 401, "message": "The receiver answered 401"}, "integration", "token"),
        ({"kind": "http_403", "status": 403}, "integration", "permission"),
        ({"kind": "http_404", "status": 404}, "integration", "URL"),
        ({"kind": "http_410", "status": 410}, "integration", "gone"),
        ({"kind": "http_413", "status": 413}, "edit", "large"),
        ({"kind": "http_429", "status": 429}, "retry", "rate-limiting"),
        ({"kind": "http_302", "status": 302}, "integration", "redirect"),
        ({"kind": "http_422", "status": 422}, "edit", "rejected"),
        ({"kind": "http_503", "status": 503}, "retry", "internal error"),
        ({"kind": "http_500", "status": 500, "body_text": "invalid API key"}, "integration", "token"),
        ({"kind": "http_400", "status": 400, "message": "Rate limit exceeded"}, "retry", "rate-limiting"),
        ({"kind": "timeout"}, "retry", "slow"),
        ({"kind": "dns"}, "integration", "URL"),
        ({"kind": "tls"}, "integration", "certificate"),
        ({"kind": "connection"}, "retry", "reached"),
        ({"kind": "refused_address"}, "integration", "OUTBOUND_ALLOW"),
        ({"kind": "configuration"}, "integration", "configured"),
        ({"kind": "transform_error"}, "integration", "transform"),
        ({"kind": "twilio_21211", "status": 400, "message": "Twilio answered 400"}, "edit", "rejected"),
        ({"kind": "something new"}, "retry", "attempts"),
    ],
)
def test_each_kind_of_failure_has_its_words_and_its_way_out(case: dict[str, Any], choice: str, words: str) -> None:
    diagnosis = diagnose(**case)
    assert diagnosis.suggested_choice == choice
    assert words.lower() in f"{diagnosis.title} {diagnosis.explanation}".lower()


def test_a_500_that_names_a_value_of_the_payload_is_the_payloads_fault() -> None:
    diagnosis = diagnose(
        kind="http_500",
        status=500,
        message="Unable to send SMS message. Error: '0000000000' is not a phone number",
        payload=SHIPMENT,
    )
    assert diagnosis.suggested_choice == "edit"
    assert diagnosis.suspicious_fields == ("shipping_address.phone",)
    assert "shipping_address.phone" in diagnosis.explanation


def test_what_the_schema_objects_to_comes_first() -> None:
    problems = [SchemaProblem("items[0].quantity", "'x' is not of type 'integer'"), SchemaProblem("", "too few")]
    diagnosis = diagnose(kind="http_500", status=500, payload=SHIPMENT, schema_errors=problems)
    assert diagnosis.suggested_choice == "edit"
    assert diagnosis.suspicious_fields == ("items[0].quantity",)
    assert "items[0].quantity: 'x' is not of type 'integer'" in diagnosis.explanation
    assert diagnose(kind="", schema_errors=[("a", "b")]).suspicious_fields == ("a",)


def test_where_the_answer_names_no_field_the_one_in_which_failures_differ_is_the_suspect() -> None:
    silent = diagnose(kind="http_500", status=500, message="error", payload=SHIPMENT, differing=["tracking", "cost"])
    assert silent.suspicious_fields == ("tracking", "cost")
    assert silent.suggested_choice == "edit"
    assert "differ from those that arrive in tracking" in silent.explanation
    told = diagnose(
        kind="http_422", status=422, message="'0000000000' is bad", payload=SHIPMENT, differing=["tracking"]
    )
    assert told.suspicious_fields == ("shipping_address.phone",)
    token = diagnose(kind="http_401", status=401, message="no", payload=SHIPMENT, differing=["tracking"])
    assert (token.suspicious_fields, token.suggested_choice) == ((), "integration")
