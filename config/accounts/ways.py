"""How a person can log in, or show again that it is them."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings

from config.accounts.single_sign_on import PROVIDER, is_set_up

PASSWORD, CODE, PASSKEY, SINGLE_SIGN_ON = "password", "code", "passkey", "single_sign_on"
_WAYS = {Authenticator.Type.TOTP: CODE, Authenticator.Type.WEBAUTHN: PASSKEY}


def factors_of(user: Any) -> set[str]:
    """`code` and `passkey`, as they are set up. Recovery codes count as a code for whoever has a factor."""
    if user.is_anonymous:
        return set()
    kinds = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    found = {way for kind, way in _WAYS.items() if kind in kinds}
    return found | {CODE} if found and Authenticator.Type.RECOVERY_CODES in kinds else found


def first_factors_of(user: Any) -> set[str]:
    if user.is_anonymous:
        return set()
    found = {PASSWORD} if settings.LOGIN_PASSWORDS and user.has_usable_password() else set()
    if is_set_up() and SocialAccount.objects.filter(user=user, provider=PROVIDER).exists():
        found.add(SINGLE_SIGN_ON)
    return found
