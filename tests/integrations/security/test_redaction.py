"""No credential stays in what is stored, however it was spelled on the wire."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from hypothesis import given
from hypothesis import strategies as st

from integrations.security.redaction import masked_headers, redact_bytes, redact_text


def test_a_secret_is_replaced_wherever_it_stands():
    assert redact_text("a=hunter22&b=hunter22", ("hunter22",)) == "a=***&b=***"
    assert redact_bytes(b'{"k":"hunter22"}', ("hunter22",)) == b'{"k":"***"}'


def test_the_longer_secret_goes_first_so_that_nothing_of_it_is_left():
    assert redact_text("token-and-more", ("token", "token-and-more")) == "***"


def test_values_shorter_than_four_characters_are_left_alone():
    assert redact_text("us and them", ("us", "", "the")) == "us and them"


def test_binary_bodies_are_searched_as_bytes():
    assert redact_bytes(b"\xff\xfe hunter22 \x00", ("hunter22",)) == b"\xff\xfe *** \x00"


@given(st.text(min_size=4, max_size=20))
def test_every_usual_spelling_of_a_secret_is_found(secret):
    storable = secret.encode("utf-8", "replace").decode()
    for spelled in (
        secret,
        json.dumps({"k": secret}),
        json.dumps({"k": secret}, ensure_ascii=False),
        urlencode({"k": storable}),
        quote(storable, safe=""),
        escape(secret),
    ):
        assert "***" in redact_text(spelled, (secret,))


def test_sensitive_headers_are_masked_whole_and_keep_their_scheme():
    headers = (
        ("Authorization", "Bearer abc"),
        ("X-Hub-Token", "abc"),
        ("X-Api-Key", "abc"),
        ("X-Amz-Security-Token", "abc"),
        ("Cookie", "a=b"),
    )
    assert masked_headers(headers, ()) == (
        ("Authorization", "Bearer ***"),
        ("X-Hub-Token", "***"),
        ("X-Api-Key", "***"),
        ("X-Amz-Security-Token", "***"),
        ("Cookie", "***"),
    )


def test_an_authorization_without_a_known_scheme_shows_nothing():
    assert masked_headers((("Authorization", "my secret words"),), ()) == (("Authorization", "***"),)


def test_other_headers_lose_only_the_secrets():
    headers = (("X-Custom", "id hunter22"), ("webhook-signature", "v1,abc="), ("Idempotency-Key", "k1"))
    assert masked_headers(headers, ("hunter22",)) == (
        ("X-Custom", "id ***"),
        ("webhook-signature", "v1,abc="),
        ("Idempotency-Key", "k1"),
    )
