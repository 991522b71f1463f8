"""Secrets and tokens that are shown once, on the page after the one that made them.

On the way they lie in the session, which is a row of the database: encrypted, so that no dump holds them.
"""

from __future__ import annotations

from django.http import HttpRequest

from integrations.security.encryption import DecryptionError, decrypt_text, encrypt_text

KEY = "shown_once"


def keep(request: HttpRequest, name: str, value: str) -> None:
    request.session[KEY] = {**request.session.get(KEY, {}), name: encrypt_text(value)}


def take(request: HttpRequest, name: str) -> str:
    """The value, once; empty ever after."""
    kept = dict(request.session.get(KEY, {}))
    found = kept.pop(name, "")
    if not found:
        return ""
    request.session[KEY] = kept
    try:
        return decrypt_text(found)
    except DecryptionError:
        return ""
