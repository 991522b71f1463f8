"""Setting up a second factor: it was just used, so this session has passed it."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.views import ActivateTOTPView
from allauth.mfa.webauthn.internal.auth import begin_registration
from allauth.mfa.webauthn.views import AddWebAuthnView
from django.http import HttpRequest, HttpResponse

from config.accounts import second_factor


class AddAppView(ActivateTOTPView):  # type: ignore[misc]  # no types
    request: HttpRequest

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        second_factor.mark_passed(self.request, Authenticator.Type.TOTP)
        return response


class AddPasskeyView(AddWebAuthnView):  # type: ignore[misc]  # no types
    """Always one that can log in by itself, so the device asks for PIN, finger or face."""

    request: HttpRequest
    template_name = "mfa/webauthn/add_form.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().get_context_data(**kwargs)
        shown["js_data"] = {"creation_options": begin_registration(self.request.user, passwordless=True)}
        return shown

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        second_factor.mark_passed(self.request, Authenticator.Type.WEBAUTHN)
        return response


add_app = AddAppView.as_view()
add_passkey = AddPasskeyView.as_view()
