"""The push API for the web server, which calls it for each push before it calls Django.

Only for what is plainly right: the view (`deliveries.api.push`) answers everything else, and decides what is an error.
One suite runs against both: tests/deliveries/api/test_direct.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from rest_framework.exceptions import AuthenticationFailed

from deliveries.ingest.direct import DirectPush, direct_push
from deliveries.ingest.parsing import CONTROL
from deliveries.ingest.push_rate import return_push, take_from_slice
from integrations.api.authentication import credentials_in
from integrations.models import AccessToken
from integrations.security.tokens import Principal, cached_principal

#: Headers that the view reads. Names are in lower case.
READ = frozenset({b"x-hub-store", b"x-hub-access-token", b"authorization", b"idempotency-key", b"traceparent"})
_PUSH = AccessToken.Scope.PUSH


def accept(headers: Mapping[bytes, bytes], body: bytes, *, is_objects: bool) -> DirectPush | None:
    """The push, planned and to be written; None if the view must see it. `headers`: those of `READ`."""
    principal = _caller(headers)
    key = headers.get(b"idempotency-key")
    if principal is None or (key is not None and not _is_plain_key(key)):
        return None
    is_limited = bool(settings.PUSH_RATE_LIMIT)
    if is_limited and not take_from_slice(principal.store_id):
        return None
    traceparent = headers.get(b"traceparent")
    push = direct_push(
        principal=principal,
        raw=body,
        is_objects=is_objects,
        key=None if key is None else key.decode("ascii"),
        traceparent=None if traceparent is None else traceparent.decode("latin-1"),
    )
    if push is None and is_limited:
        return_push(principal.store_id)
    return push


def fall_back_to_view(push: DirectPush) -> None:
    """An accepted push was not written: the view takes it, and counts it."""
    if settings.PUSH_RATE_LIMIT:
        return_push(push.waiting.rows.store_id)


def _caller(headers: Mapping[bytes, bytes]) -> Principal | None:
    try:
        store_id, token = credentials_in(
            store=headers.get(b"x-hub-store", b"").decode("latin-1"),
            token=headers.get(b"x-hub-access-token", b"").decode("latin-1"),
            authorization=headers.get(b"authorization", b"").decode("latin-1"),
        )
    except AuthenticationFailed:
        return None
    principal = cached_principal(store_id=store_id, token=token) if token else None
    # The view knows where a push comes from; few tokens are bound to addresses.
    return principal if principal is not None and _PUSH in principal.scopes and not principal.networks else None


def _is_plain_key(key: bytes) -> bool:
    return 1 <= len(key) <= 255 and key.isascii() and not CONTROL.search(key.decode("ascii"))
