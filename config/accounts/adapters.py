"""How django-allauth behaves here: no signup, our client addresses, our limits, our encryption."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from config.accounts import second_factor
from config.accounts.sessions import browser_name
from config.desk.login import remember_browser
from integrations.security.client_address import client_address
from integrations.security.encryption import decrypt_text, encrypt_text

REFUSED = _("This account may not use the desk. Ask a superuser.")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_reauthentication_required(self, *, app: str, **_kwargs: Any) -> bool:
        """Never by allauth: `config.desk.reauthentication` guards these pages like all that are delicate."""
        return False

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse("admin:index")

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or "127.0.0.1"

    def get_login_stages(self) -> list[str]:
        return ["allauth.mfa.stages.AuthenticateStage"]

    def pre_login(self, request: HttpRequest, user: Any, **_kwargs: Any) -> HttpResponse | None:
        if user.is_active and user.is_staff:
            return None
        messages.error(request, REFUSED)
        return redirect("admin:login")

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        sociallogin = (kwargs.get("signal_kwargs") or {}).get("sociallogin")
        if sociallogin is not None and sociallogin.state.get("is_second_factor"):
            second_factor.mark_passed(request, "single_sign_on")
        response: HttpResponse = super().post_login(request, user, **kwargs)
        remember_browser(request, response, user.get_username())
        return response

    def logout(self, request: HttpRequest) -> None:
        logout(request)

    def add_message(self, request: HttpRequest, level: int, *args: Any, message: str = "", **_kwargs: Any) -> None:
        """Only messages of ours: allauth's are templates in other words."""
        if message:
            messages.add_message(request, level, message)

    def send_notification_mail(self, *_args: Any, **_kwargs: Any) -> None:
        """`config.accounts.history` writes to people whose second factor has changed."""


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # no types
    def encrypt(self, text: str) -> str:
        return encrypt_text(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt_text(encrypted_text)

    def get_totp_label(self, user: Any) -> str:
        return str(user.get_username())

    def generate_authenticator_name(self, user: Any, type: str) -> str:  # noqa: A002  # allauth's name
        """What is suggested: `Firefox on Linux`."""
        return browser_name(context.request.META.get("HTTP_USER_AGENT", ""))

    def _get_site_name(self) -> str:
        return "Hookdesk"

    def send_notification_mail(self, *_args: Any, **_kwargs: Any) -> None:
        """As above."""
