"""Secrets and tokens shown once, on the page after the one that created them.

In between they are in the session, a database row: encrypted, so that no dump contains them.
"""

from __future__ import annotations

from django.http import HttpRequest

from integrations.security.encryption import DecryptionError, decrypt_text, encrypt_text

KEY = "shown_once"


def keep(request: HttpRequest, name: str, value: str) -> None:
    request.session[KEY] = {**request.session.get(KEY, {}), name: encrypt_text(value)}


def take(request: HttpRequest, name: str) -> str:
    """Pop the value; empty on later calls."""
    kept = dict(request.session.get(KEY, {}))
    found = kept.pop(name, "")
    if not found:
        return ""
    request.session[KEY] = kept
    try:
        return decrypt_text(found)
    except DecryptionError:
        return ""
