"""Attempts for display: bodies as text, credentials masked."""

from __future__ import annotations

import json

from deliveries.models import Attempt
from integrations.foundation.texts import texts_in
from integrations.security.encryption import DecryptionError, decrypt_bytes
from integrations.security.redaction import MASK, redact_bytes


def readable_body(attempt: Attempt) -> str:
    """Return the request's body as text, with any credentials masked."""
    body = bytes(attempt.request_body or b"")
    if not attempt.is_body_encrypted:
        return body.decode(errors="replace")
    try:
        body = decrypt_bytes(body)
    except DecryptionError as error:
        return f"({error})"
    return redact_bytes(body, _credentials(attempt)).decode(errors="replace")


def exact_body(attempt: Attempt) -> bytes:
    """Return the bytes that were sent, including credentials. For resending and signatures, never for display.

    Raises DecryptionError if no key decrypts them.
    """
    body = bytes(attempt.request_body or b"")
    return decrypt_bytes(body) if attempt.is_body_encrypted else body


def readable_response(attempt: Attempt) -> str | None:
    """Return the response's body as text (credentials were masked before storing), or None without a response."""
    if attempt.response_status is None:
        return None
    return bytes(attempt.response_body or b"").decode(errors="replace")


def _credentials(attempt: Attempt) -> tuple[str, ...]:
    """Return the values to mask in this body: those of `parameters`, as sent and as configured now."""
    delivery = attempt.delivery
    values = {delivery.integration.token, *texts_in(delivery.integration.parameters)}
    if delivery.subscription is not None:
        values |= set(texts_in(delivery.subscription.parameters))
    try:
        sent = json.loads(exact_body(attempt))
        if isinstance(sent, dict) and isinstance(sent.get("parameters"), dict):
            values |= set(texts_in(sent["parameters"]))
    except ValueError:
        pass
    return tuple(sorted((value for value in values if value and value != MASK), key=len, reverse=True))
