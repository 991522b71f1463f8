"""Signatures agree with published vectors and with implementations that are not ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from integrations.security import signing
from tests.integrations.messages import STANDARD_SECRET


def test_standard_signature_is_that_of_the_published_vector():
    signature = signing.standard_signature(
        [STANDARD_SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_hub_sha256_is_that_of_the_published_vector():
    signature = signing.hub_sha256("It's a Secret to Everybody", b"Hello, World!")
    assert signature == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_hub_sha1_is_what_the_receiver_of_seed_002_calculates():
    expected = "sha1=" + hmac.new(b"HELLO", b'{"type":"x"}', hashlib.sha1).hexdigest()
    assert signing.hub_sha1("HELLO", b'{"type":"x"}') == expected


def test_turn_signature_is_base64_of_the_hmac_with_the_secret_as_shown():
    assert signing.turn_signature("secret", b"payload") == "uC/LeRrOxXhZuYm0MKgmSIzi5Hn9+SMmvQoug3WkK6Q="


def test_a_generated_standard_secret_signs_what_the_reference_library_verifies():
    secret = signing.generate_secret("standard")
    now = int(datetime.now(UTC).timestamp())
    signature = signing.standard_signature([secret], "msg_1", now, b'{"a":"\xc3\xa9"}')
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signature}
    assert Webhook(secret).verify(b'{"a":"\xc3\xa9"}', headers) == {"a": "é"}


def test_during_a_rotation_both_secrets_verify():
    old, new = signing.generate_secret(), signing.generate_secret()
    now = int(datetime.now(UTC).timestamp())
    signature = signing.standard_signature([new, old], "msg_1", now, b"{}")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signature}
    assert signature.count(" ") == 1
    for secret in (old, new):
        Webhook(secret).verify(b"{}", headers)


@pytest.mark.parametrize("style", ["standard", "hub", "turn"])
def test_generated_secrets_differ_pass_the_check_and_fit_into_a_header(style):
    made = {signing.generate_secret(style) for _ in range(20)}
    assert len(made) == 20
    for secret in made:
        signing.check_secret(style, secret)
        assert secret.isascii()
        assert secret.isprintable()


def test_standard_keys_may_lack_prefix_and_padding():
    key = bytes(range(25))
    text = base64.b64encode(key).decode()
    assert text.endswith("=")
    for spelling in (text, text.rstrip("="), "whsec_" + text, "whsec_" + text.rstrip("=")):
        assert signing.standard_key(spelling) == key


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!!!", "It's a Secret", "whsec_A", "whsec_ä"])
def test_a_standard_secret_that_is_not_base64_is_refused(secret):
    with pytest.raises(ValueError):
        signing.standard_key(secret)


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "holds 23"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "holds 65"),
        (" ", "empty"),
    ],
)
def test_checking_a_given_standard_secret_says_what_is_wrong(secret, sentence):
    with pytest.raises(ValueError, match=sentence):
        signing.check_secret("standard", secret)


@pytest.mark.parametrize("length", [24, 64])
def test_standard_secrets_of_24_and_64_bytes_are_accepted(length):
    signing.check_secret("standard", "whsec_" + base64.b64encode(b"x" * length).decode())


def test_hub_secrets_may_be_any_words():
    signing.check_secret("hub", "HELLO")
