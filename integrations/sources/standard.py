"""Standard Webhooks (https://www.standardwebhooks.com): HMAC (`v1`) and ed25519 (`v1a`) signatures."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.security.signing import check_secret, standard_signature
from integrations.sources.base import TOLERANCE_OPTION, Incoming, Item, Reading, Rejected, SourceKind
from integrations.sources.bodies import json_object, object_at, text_at, topic_of
from integrations.sources.proofs import check_time, is_any, require_secrets

PUBLIC_KEY_PREFIX = "whpk_"


class StandardSource(SourceKind):
    name = "standard"
    label = "Standard Webhooks"
    description = _("Signed JSON as Svix, OpenAI, Supabase and other Hookdesks send it, by HMAC or ed25519.")
    icon = '<path d="M12 3 4 6v6c0 5 3.5 8 8 9 4.5-1 8-4 8-9V6z"/><path d="m9 12 2 2 4-4"/>'
    setup = _(
        "Add an endpoint at the sender with this address. Where the sender makes the secret (whsec_… or, for ed25519, "
        "whpk_…), enter it here; else give the sender ours."
    )
    defaults = {"topic": "body.type", "object_id": "body.data.id", "dedupe": 'headers."webhook-id"'}
    key_style = "standard"
    options = (TOLERANCE_OPTION,)

    def check_secret(self, secret: str) -> None:
        if secret.startswith(PUBLIC_KEY_PREFIX):
            _public_key(secret)
        else:
            check_secret("standard", secret)

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        require_secrets(secrets)
        message_id, given = request.header("webhook-id"), request.header("webhook-signature").split()
        if not message_id or not given:
            missing = "webhook-signature" if message_id else "webhook-id"
            raise Rejected(f"No signature: the header {missing} is missing.")
        sent_at = check_time(request.header("webhook-timestamp"), "webhook-timestamp", now, request.tolerance)
        shared = [secret for secret in secrets if not secret.startswith(PUBLIC_KEY_PREFIX)]
        expected = standard_signature(shared, message_id, sent_at, request.body).split()
        if is_any(given, expected):
            return
        signed = f"{message_id}.{sent_at}.".encode() + request.body
        keys = [secret for secret in secrets if secret.startswith(PUBLIC_KEY_PREFIX)]
        if not any(_is_signed(key, one, signed) for key in keys for one in given):
            raise Rejected("The signature in webhook-signature is not what the source's secret makes of this body.")

    def read(self, request: Incoming) -> Reading:
        body = json_object(request)
        topic = topic_of(text_at(body, "type"))
        item = Item(
            body=body,
            data=body,
            topic=topic,
            object_type=(topic or "").split(".")[0] or None,
            object_id=text_at(body, "data", "id"),
            record=object_at(body, "data"),
            dedupe=request.header("webhook-id"),
            occurred_at=body.get("timestamp"),
        )
        return Reading([item])

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        content = {
            "type": "contact.created",
            "timestamp": now.isoformat(),
            "data": {"id": "1f81eb52-5198-4599-803e-771906343485", "email": "joe@example.com"},
        }
        body, seconds = compact_json(content).encode(), int(now.timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": f"msg_{key}",
            "webhook-timestamp": str(seconds),
            "webhook-signature": standard_signature([secret], f"msg_{key}", seconds, body),
        }
        return Incoming("POST", url, headers, {}, body, options)


def _public_key(secret: str) -> Ed25519PublicKey:
    """Raises ValueError."""
    try:
        raw = binascii.a2b_base64(secret.removeprefix(PUBLIC_KEY_PREFIX), strict_mode=True)
        return Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError):
        raise ValueError("This is not an ed25519 public key: whpk_ and 32 bytes in base64.") from None


def _is_signed(key: str, given: str, signed: bytes) -> bool:
    version, _, value = given.partition(",")
    if version != "v1a":
        return False
    try:
        _public_key(key).verify(binascii.a2b_base64(value, strict_mode=True), signed)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
