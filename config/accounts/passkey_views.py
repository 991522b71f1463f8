"""Adding a passkey: always one that can log in by itself, so the device asks for PIN, finger or face."""

from __future__ import annotations

from typing import Any

from allauth.mfa.webauthn.internal.auth import begin_registration
from allauth.mfa.webauthn.views import AddWebAuthnView
from django.http import HttpRequest


class AddPasskeyView(AddWebAuthnView):  # type: ignore[misc]  # no types
    request: HttpRequest
    template_name = "mfa/webauthn/add_form.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().get_context_data(**kwargs)
        shown["js_data"] = {"creation_options": begin_registration(self.request.user, passwordless=True)}
        return shown


add_passkey = AddPasskeyView.as_view()
