"""Passkeys. What a browser sends is never a server's error."""

from __future__ import annotations

from typing import Any

from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm, LoginWebAuthnForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

UNKNOWN = _("This passkey is not known here, or the request was too old. Try again.")
LONGEST_NAME = 60


class PasskeyForm(AuthenticateWebAuthnForm):  # type: ignore[misc]  # no types
    """A passkey as the second factor of `user`."""

    def clean_credential(self) -> Any:
        try:
            return super().clean_credential()
        except Exception as error:  # whatever the libraries raise for a document that is none of theirs
            raise ValidationError(UNKNOWN) from error


class PasskeyLoginForm(LoginWebAuthnForm):  # type: ignore[misc]  # no types
    """A passkey instead of name and password: whose it is, it says itself. The device has asked for PIN or finger."""

    def clean_credential(self) -> Any:
        try:
            return super().clean_credential()
        except Exception as error:  # as above
            raise ValidationError(UNKNOWN) from error


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]  # no types
    def clean(self) -> Any:
        # Each passkey is good for logging in without a password, so each must have verified its user.
        self.cleaned_data["passwordless"] = True
        try:
            return super().clean()
        except Exception as error:  # as above
            raise ValidationError(_("The browser’s answer could not be read, or came too late. Try again.")) from error

    def clean_name(self) -> str:
        name: str = super().clean_name()
        return name.strip()[:LONGEST_NAME]
