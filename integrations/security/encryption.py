"""Encryption at rest of tokens, secrets and parameters with Fernet (AES-128-CBC with HMAC-SHA256).

`ENCRYPTION_KEYS` lists keys separated by commas: the first encrypts, all decrypt. A process reads them at start, so a
rotation needs restarts (SECURITY.md has the order). A key is either a Fernet key (44 characters of URL-safe base64) or
a passphrase of at least 16 characters without a comma, from which a key is derived with SHA-256. SHA-256 is fast, so
a passphrase must be random text.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

PASSPHRASE_MINIMUM: Final = 16
#: Only plaintexts of ciphertexts up to this many bytes are cached, which bounds the cache's memory.
_CACHED_TOKEN_LIMIT: Final = 4096


class EncryptionKeyError(ValueError):
    """`ENCRYPTION_KEYS` is empty or contains an invalid key. The message says what to set."""


class DecryptionError(ValueError):
    """No key decrypts a stored value. The message says what to do."""


def encrypt_text(text: str) -> str:
    """Encrypt `text` with the first key and return a Fernet token. Raises EncryptionKeyError."""
    return encrypt_bytes(text.encode()).decode("ascii")


def decrypt_text(token: str) -> str:
    """Decrypt a token of `encrypt_text`. Raises DecryptionError, EncryptionKeyError."""
    try:
        return decrypt_bytes(token.encode()).decode()
    except UnicodeError as error:
        raise DecryptionError("The value was decrypted, but is not text. Enter it again.") from error


def encrypt_bytes(plain: bytes) -> bytes:
    """Encrypt `plain` with the first key and return a Fernet token. Raises EncryptionKeyError."""
    return _ring(encryption_keys()).encrypt(plain)


def decrypt_bytes(token: bytes) -> bytes:
    """Decrypt a token with whichever key fits. Raises DecryptionError, EncryptionKeyError."""
    keys = encryption_keys()
    return _decrypt_and_remember(keys, token) if len(token) <= _CACHED_TOKEN_LIMIT else _decrypt(keys, token)


def reencrypt(token: str) -> str | None:
    """Return the token re-encrypted with the first key; None if it is empty or that key encrypted it already.

    Raises DecryptionError, EncryptionKeyError.
    """
    keys = encryption_keys()
    if not token:
        return None
    raw = token.encode()
    try:
        _ring(keys[:1]).decrypt(raw)
    except InvalidToken:
        _decrypt(keys, raw)  # raises the error for staff
        return _ring(keys).rotate(raw).decode("ascii")
    return None


def encryption_keys() -> tuple[str, ...]:
    """Return the keys, the encrypting one first. Raises EncryptionKeyError if none is set.

    Read from the settings at each call, so that code which changes them at run time (key rotation) needs no restart.
    """
    value: str | list[str] | tuple[str, ...] = getattr(settings, "ENCRYPTION_KEYS", ())
    parts = value.split(",") if isinstance(value, str) else value
    keys = tuple(stripped for part in parts if (stripped := part.strip()))
    if not keys:
        raise EncryptionKeyError(
            "No encryption key is set. Set ENCRYPTION_KEYS to one or more keys separated by commas; "
            f"each is a random text of at least {PASSPHRASE_MINIMUM} characters."
        )
    return keys


@lru_cache(maxsize=16)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([_fernet(key, position) for position, key in enumerate(keys, start=1)])


def _fernet(key: str, position: int) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        pass  # not a Fernet key, so a passphrase
    if len(key) < PASSPHRASE_MINIMUM:
        raise EncryptionKeyError(
            f"Key {position} of ENCRYPTION_KEYS has {len(key)} characters; "
            f"{PASSPHRASE_MINIMUM} is the least. Set a longer random text there."
        )
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))


def _decrypt(keys: tuple[str, ...], token: bytes) -> bytes:
    try:
        return _ring(keys).decrypt(token)
    except InvalidToken as error:
        raise DecryptionError(
            f"A stored value cannot be decrypted: none of the {len(keys)} keys in ENCRYPTION_KEYS decrypts it. "
            "Add the key that it was encrypted with to the end of ENCRYPTION_KEYS, or enter the value again."
        ) from error


#: An engine reads the same few hundred credentials repeatedly. The keys are part of the cache key, so that a removed
#: key no longer decrypts anything.
_decrypt_and_remember = lru_cache(maxsize=1024)(_decrypt)
