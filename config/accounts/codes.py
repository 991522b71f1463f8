"""Codes of authenticator apps and recovery codes: limited in tries, each good once, their secrets encrypted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from config.desk.login import charge_login
from config.desk.login_throttle import Throttled, key_of, settle
from config.models import LoginLimit
from integrations.security.encryption import DecryptionError, decrypt_text, encrypt_text

#: As long as a code is right, with those before and after it.
CODE_LIFE = timedelta(seconds=90)
#: In the session, while an authenticator app is set up. allauth would keep it in clear.
PENDING = "pending_totp_secret"


class CodeForm(AuthenticateForm):  # type: ignore[misc]  # no types
    """A code of `user`'s app, or a recovery code."""

    throttled: Throttled | None = None

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"].strip().replace(" ", "")
        try:
            # Counted apart from passwords: a right password does not make room for more guesses at the code.
            charged = charge_login(context.request, f"{self.user.get_username()} second factor")
        except Throttled as throttled:
            self.throttled = throttled
            raise ValidationError(str(throttled), code="throttled") from None
        found = self._authenticator_of(code)
        if found is None:
            raise ValidationError(_("This code is wrong or has already been used. Enter the one that is shown now."))
        settle(charged)
        self.authenticator = found
        return code

    def _authenticator_of(self, code: str) -> Authenticator | None:
        for found in Authenticator.objects.filter(user=self.user).exclude(type=Authenticator.Type.WEBAUTHN):
            if not found.wrap().validate_code(code):
                continue
            if found.type == Authenticator.Type.TOTP and not _spend(self.user.pk, code):
                return None
            found.user = self.user
            return found
        return None


def _spend(user: int, code: str) -> bool:
    """Whether this code is used for the first time, in whichever web process."""
    now = timezone.now()
    key = key_of("totp", str(user), code)
    LoginLimit.objects.filter(key=key, updated_at__lt=now - CODE_LIFE).delete()
    _row, is_new = LoginLimit.objects.get_or_create(key=key, defaults={"updated_at": now})
    return is_new


class AuthenticatorAppForm(ActivateTOTPForm):  # type: ignore[misc]  # no types
    """The first code of a new authenticator app."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.user = kwargs.pop("user")
        forms.Form.__init__(self, *args, **kwargs)
        self.secret = pending_secret(context.request, is_new=not self.is_bound)


def pending_secret(request: HttpRequest, *, is_new: bool) -> str:
    if not is_new and (kept := request.session.get(PENDING)):
        try:
            return decrypt_text(kept)
        except DecryptionError:
            pass
    secret: str = generate_totp_secret()
    request.session[PENDING] = encrypt_text(secret)
    return secret
