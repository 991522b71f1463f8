"""Signatures of request bodies, and their secrets. Pure.

Three styles: `standard` (Standard Webhooks, https://www.standardwebhooks.com), `hub` (WebSub's
`X-Hub-Signature`) and `turn` (`X-Turn-Hook-Signature`).
"""

from __future__ import annotations

import binascii
import hmac
import secrets
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from django.utils.translation import gettext as _

SecretStyle = Literal["standard", "hub", "turn"]

STANDARD_PREFIX = "whsec_"
#: Sizes of key material, in bytes, that Standard Webhooks allows.
STANDARD_KEY_BYTES = range(24, 65)
#: Random bytes in each generated secret.
GENERATED_BYTES = 32


def generate_secret(style: SecretStyle = "standard") -> str:
    """Return a new random secret in the form that receivers of this style expect."""
    if style == "standard":
        key = secrets.token_bytes(GENERATED_BYTES)
        return STANDARD_PREFIX + binascii.b2a_base64(key, newline=False).decode("ascii")
    if style == "hub":
        return secrets.token_hex(GENERATED_BYTES)
    return secrets.token_urlsafe(GENERATED_BYTES)


def check_secret(style: SecretStyle, secret: str) -> None:
    """Raise ValueError with a message for staff if `secret` cannot be used in this style."""
    if not secret.strip():
        raise ValueError(_("The secret is empty."))
    if style != "standard":
        return
    if not secret.startswith(STANDARD_PREFIX):
        raise ValueError(_("A Standard Webhooks secret begins with %(prefix)s.") % {"prefix": STANDARD_PREFIX})
    length = len(standard_key(secret))
    if length not in STANDARD_KEY_BYTES:
        raise ValueError(
            _("A Standard Webhooks secret holds 24 to 64 bytes; this one holds %(number)s.") % {"number": length}
        )


@lru_cache(maxsize=4096)
def standard_key(secret: str) -> bytes:
    """Return the key bytes of a `whsec_…` secret. Prefix and padding may be missing, as in the reference libraries.

    Raises ValueError if it is not base64 or decodes to nothing.
    """
    text = secret.removeprefix(STANDARD_PREFIX).rstrip("=")
    try:
        key = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(_("The secret is not base64 after whsec_.")) from error
    if not key:
        raise ValueError(_("The secret is empty."))
    return key


def standard_signature(all_secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one `v1,…` per secret (two during a rotation), separated by spaces.

    `timestamp`: Unix seconds, the value sent as `webhook-timestamp`.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(["v1," + _base64(hmac.digest(standard_key(secret), signed, "sha256")) for secret in all_secrets])


def hub_sha1(secret: str, body: bytes) -> str:
    """Return the value of `X-Hub-Signature`; the key is the secret encoded as UTF-8."""
    return "sha1=" + hmac.digest(secret.encode(), body, "sha1").hex()


def hub_sha256(secret: str, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256`; the key is the secret encoded as UTF-8."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def turn_signature(secret: str, body: bytes) -> str:
    """Return the value of `X-Turn-Hook-Signature`; the key is the secret encoded as UTF-8."""
    return _base64(hmac.digest(secret.encode(), body, "sha256"))


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
