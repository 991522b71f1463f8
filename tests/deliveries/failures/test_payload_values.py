"""A value of the payload inside a message does not tell two failures apart, whatever its spelling."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.failures.fingerprint import fingerprint, normalise_failure, title_of
from deliveries.failures.payload_values import DOCUMENT_LIMIT, find_values, values_of

TEMPLATES = (
    "Unable to send SMS message. Error: {} is not a phone number",
    "Unable to send SMS message. Error: '{}' is not a phone number",
    "invalid value {} in request",
    "refused: {}",
    "field must match pattern, got {} instead.",
    "{} was refused by the gateway",
    "no such recipient ({}), check the address",
)


def print_of(message: str, *payloads: Any) -> str:
    return fingerprint("http_500", message, values_of(json.dumps(payload) for payload in payloads))


PHONES = [
    "0000000000",
    "555-CALL-NOW",
    "+1 (555) 010-9999",
    "call me",
    "n/a",
    "٠١٢٣",
    "o'brien",
    "x",
    "?!",
    "ZZ 12",
    "José",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_one_cause_is_one_group_whatever_the_value_is_made_of(template: str) -> None:
    prints = {print_of(template.format(phone), {"to": {"phone": phone}, "id": "7"}) for phone in PHONES}
    assert len(prints) == 1


@pytest.mark.parametrize(
    "spelling", ["call me now", "CALL ME NOW", "callmenow", "Call-Me-Now", "call_me  now", "(call me now)"]
)
def test_a_value_is_recognised_in_the_receivers_spelling(spelling: str) -> None:
    said = normalise_failure(f"{spelling} is no phone number", values_of(['{"phone":"Call me now"}']))
    assert said == "<value> is no phone number"


words = st.text(alphabet=string.ascii_letters, min_size=5, max_size=12).map(lambda text: f"q{text}")
numbers = st.integers(min_value=0).map(str)
mixed = (
    st.text(alphabet=string.ascii_letters + string.digits + " -+.()/", min_size=3, max_size=30)
    .filter(lambda text: any(map(str.isalnum, text)) and len(text.strip()) > 2)
    .map(lambda text: f"q{text.strip()}7")
)
mails = st.tuples(words, words).map(lambda pair: f"{pair[0]}@{pair[1]}.example")
values = st.one_of(words, numbers, mixed, mails, st.uuids().map(str))
payloads = st.dictionaries(
    st.sampled_from(["phone", "email", "order_id", "firstname", "city", "note"]), values, min_size=1
)


@given(st.sampled_from(TEMPLATES), st.lists(st.tuples(payloads, st.integers(0, 5)), min_size=2, max_size=4))
def test_messages_of_one_template_meet_in_one_group(template: str, failures: list[tuple[dict[str, str], int]]) -> None:
    prints = set()
    for payload, number in failures:
        value = sorted(payload.values())[number % len(payload)]
        prints.add(print_of(template.format(value), {"shipment": payload}))
    assert len(prints) == 1


@given(st.permutations(TEMPLATES), payloads)
def test_different_templates_stay_apart(templates: list[str], payload: dict[str, str]) -> None:
    one, other = (template.replace("'", "") for template in templates[:2])
    value = next(iter(payload.values()))
    if one != other:
        assert print_of(one.format(value), payload) != print_of(other.format(value), payload)


def test_words_of_the_sentence_stay_although_the_payload_has_them_too() -> None:
    said = "phone is not a valid number"
    assert print_of(said, {"kind": "phone", "note": "not valid"}) == print_of(said, {"kind": "fax"})
    assert print_of("status is wrong", {"status": "status"}) == print_of("status is wrong", {"status": "new"})


def test_what_was_sent_counts_as_well_in_xml_and_forms() -> None:
    for sent in (b'<sms to="call me"><text>hello</text></sms>', b"To=call+me&Body=hi", "<to>call me</to>"):
        assert normalise_failure("call me is unknown", values_of(['{"id":1}', sent])) == "<value> is unknown"


def test_a_long_text_that_is_repeated_is_one_value() -> None:
    text = " ".join(f"lorem{chr(97 + index)}" for index in range(25))
    assert (
        normalise_failure(f"text {text} too long", values_of([json.dumps({"note": text})])) == "text <value> too long"
    )


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_message_with_any_document_is_normalised_once_and_for_all(message: str, document: str) -> None:
    found = values_of([document, document.encode("utf-8", "replace")])
    once = normalise_failure(message, found)
    assert normalise_failure(message, found) == once
    title_of(message, found)


def test_a_huge_or_hostile_document_is_looked_at_only_at_its_beginning() -> None:
    for document in (
        '{"a":"' + "\\" * 10_000_000,
        "<a>" * 3_000_000,
        "[" * 10_000_000,
        '"' * 10_000_000,
        "a=1&" * 2_500_000,
    ):
        assert len(values_of([document]).whole) <= DOCUMENT_LIMIT
    late = values_of(['{"pad":"' + "x" * DOCUMENT_LIMIT + '","phone":"call me"}'])
    assert find_values("call me is no number", late) == []
    many = values_of([json.dumps([f"word{number} more" for number in range(100_000)])])
    normalise_failure("word1 " * 400, many)


@pytest.mark.parametrize(
    ("message", "payload", "title"),
    [
        ("'0000' is not a phone number", {"to": {"phone": "0000"}}, "phone: '…' is not a phone number"),
        ("phone: call me is invalid", {"phone": "call me"}, "phone: … is invalid"),
        ("Unauthorized", {"phone": "0000"}, ""),
        ("'0000' is not a phone number", {"phone": "1111"}, ""),
    ],
)
def test_the_title_names_the_field_and_not_the_value(message: str, payload: dict[str, Any], title: str) -> None:
    assert title_of(message, values_of([json.dumps(payload)])) == title
