"""What kinds prove requests with: tokens, signatures and time stamps. Every comparison takes constant time. Pure."""

from __future__ import annotations

import binascii
import hmac
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from integrations.sources.base import Incoming, Rejected

NOT_SET_UP = "The source has no secret yet. Enter the one that the sender uses."


def is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))


def is_any(given: Iterable[str], expected: Iterable[str]) -> bool:
    """Whether one of `given` is one of `expected`. All are compared, whatever the first ones say."""
    wanted = list(expected)
    return any([is_same(one, other) for one in given for other in wanted])  # noqa: C419 - in constant time


def require_secrets(secrets: Sequence[str]) -> None:
    if not secrets:
        raise Rejected(NOT_SET_UP)


def check_token(tokens: Sequence[str], secrets: Sequence[str], where: str) -> None:
    """One of what the request carries is one of the secrets. `where`: the places looked at, for the reason."""
    require_secrets(secrets)
    given = [token for token in tokens if token]
    if not given:
        raise Rejected(f"No token: none in {where}.")
    if not is_any(given, secrets):
        raise Rejected("The token is not the source's.")


def bearer_token(request: Incoming) -> str:
    scheme, _, value = request.header("authorization").partition(" ")
    return value.strip() if scheme.lower() in ("bearer", "token") else ""


def basic_credentials(request: Incoming) -> str:
    """`user:password`; empty where there is none, or none that can be read."""
    scheme, _, value = request.header("authorization").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return binascii.a2b_base64(value.strip(), strict_mode=True).decode()
    except (binascii.Error, ValueError):
        return ""


def check_signature(given: Sequence[str], secrets: Sequence[str], signature: Callable[[str], str], header: str) -> None:
    """One of the signatures in the header is what one of the secrets makes."""
    require_secrets(secrets)
    found = [value for value in given if value]
    if not found:
        raise Rejected(f"No signature: the header {header} is missing.")
    if not is_any(found, [signature(secret) for secret in secrets]):
        raise Rejected(f"The signature in {header} is not what the source's secret makes of this body.")


def check_time(value: str, header: str, now: datetime, tolerance: int) -> int:
    """The unix seconds in `value`. Raises Rejected where they are missing, odd, or too far from `now`."""
    if not value:
        raise Rejected(f"No time stamp: the header {header} has none.")
    if not (value.isascii() and value.isdecimal() and len(value) <= 12):
        raise Rejected(f"The time stamp in {header} is not unix seconds.")
    seconds = int(value)
    late = now.timestamp() - seconds
    if abs(late) > tolerance:
        direction = "old" if late > 0 else "ahead"
        raise Rejected(f"The time stamp in {header} is {abs(late):.0f} s {direction}; {tolerance} s are tolerated.")
    return seconds


def hex_hmac(secret: str, signed: bytes, algorithm: str = "sha256") -> str:
    return hmac.digest(secret.encode(), signed, algorithm).hex()


def base64_hmac(secret: str, signed: bytes, algorithm: str = "sha256") -> str:
    return binascii.b2a_base64(hmac.digest(secret.encode(), signed, algorithm), newline=False).decode("ascii")
