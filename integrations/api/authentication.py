"""Which store is calling (docs/contract.md#authentication)."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from typing import Any, cast

from django.http import HttpRequest
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from integrations.api.bodies import boolean
from integrations.models import AccessToken
from integrations.security.client_address import client_address
from integrations.security.tokens import Principal, authenticate

_MANAGE = AccessToken.Scope.MANAGE
MESSAGE = (
    "The store id or access token is missing, wrong, expired or revoked. Send X-Hub-Store and X-Hub-Access-Token, "
    "or Authorization: Bearer <token>."
)


def principal_of(request: Request) -> Principal:
    """The caller of an authenticated request; DRF types `user` as Django's."""
    return cast(Principal, request.user)


class StoreAuthentication(BaseAuthentication):
    """Sets `request.user` to the `Principal` of the calling store."""

    def authenticate(self, request: Request) -> tuple[Principal, None]:
        store_id, token = credentials(request._request)
        principal = authenticate(store_id=store_id, token=token, is_cache_allowed=self.is_cache_allowed(request))
        if principal is None:
            raise exceptions.AuthenticationFailed(MESSAGE)
        if principal.networks and not principal.may_call_from(address := client_address(request._request)):
            raise exceptions.PermissionDenied(
                f"This access token may not be used from {address or 'an unknown address'}. "
                "Use it where it is meant to be used, or create another one for here."
            )
        return principal, None

    def is_cache_allowed(self, request: Request) -> bool:
        return False

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="Hookdesk"'


class CachedStoreAuthentication(StoreAuthentication):
    """For ingest only: its write statement verifies that the cached principal is still valid."""

    def is_cache_allowed(self, request: Request) -> bool:
        return request.method == "POST"


def lacks_scope(scope: str) -> exceptions.PermissionDenied:
    """The error for a caller whose token is valid, but not for this."""
    return exceptions.PermissionDenied(f'This access token lacks the scope "{scope}".')


class HasScope(BasePermission):
    """Reading takes `read`, changing the view's `change_scope` (default: manage); its `required_scope` is for both.

    With `is_proposable`, tokens that may only propose are let in: the view then proposes (`wants_proposal`).
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        principal, scope = principal_of(request), scope_for(request.method or "GET", view)
        is_proposable = getattr(view, "is_proposable", False) and principal.only_proposes
        if not principal.may(scope) and not is_proposable:
            raise lacks_scope(scope)
        return True


def scope_for(method: str, view: Any) -> str:
    """The scope that a call of this view takes."""
    if required := getattr(view, "required_scope", None):
        return str(required)
    return str(AccessToken.Scope.READ if method in SAFE_METHODS else getattr(view, "change_scope", _MANAGE))


def wants_proposal(request: Request, body: Mapping[str, Any]) -> bool:
    """Whether what is asked for waits for a person: the token may only propose, or the body has `"propose": true`."""
    return boolean(dict(body), "propose", default=False) or principal_of(request).only_proposes


def credentials(request: HttpRequest) -> tuple[uuid.UUID | None, str]:
    """`credentials_in` the headers of a request.

    Django's META folds `X_Hub_Store` into `X-Hub-Store`; the web server drops such names before (gunicorn's
    default), so that a proxy's header cannot be spoofed.
    """
    meta = request.META
    return credentials_in(
        store=meta.get("HTTP_X_HUB_STORE", ""),
        token=meta.get("HTTP_X_HUB_ACCESS_TOKEN", ""),
        authorization=meta.get("HTTP_AUTHORIZATION", ""),
    )


def credentials_in(*, store: str, token: str, authorization: str) -> tuple[uuid.UUID | None, str]:
    """Store id (None: the token's prefix names the store) and token, from whichever of these headers carries them.

    Raises AuthenticationFailed for what is neither.
    """
    token, store = token.strip(), store.strip()
    if token or store:
        # With the two headers, the store id must be given and match the token's store.
        return _store_id(store), token
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return None, value.strip()
    if scheme.lower() == "basic":
        return _basic(value.strip())
    return None, ""


def _store_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise exceptions.AuthenticationFailed(MESSAGE) from None


def _basic(value: str) -> tuple[uuid.UUID | None, str]:
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise exceptions.AuthenticationFailed(MESSAGE) from None
    if password:
        return _store_id(user), password
    return None, user
