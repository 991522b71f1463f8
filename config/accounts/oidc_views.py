"""The way to the single sign-on server and back."""

from __future__ import annotations

import time
from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from config.accounts.pages import refusal
from config.accounts.single_sign_on import PROVIDER, IssuerAdapter, is_set_up

PURPOSES = {"login": AuthProcess.LOGIN, "connect": AuthProcess.CONNECT, "confirm": AuthProcess.REDIRECT}


def start_view(request: HttpRequest) -> HttpResponse:
    """`?process=login|connect|confirm&next=`. A link, not a form: browsers would apply `form-action` to the server."""
    purpose = PURPOSES.get(request.GET.get("process", "login"))
    if not is_set_up() or purpose is None:
        raise Http404("Single sign-on is not set up.")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return refusal(request, _("Another site sent you here. Log in on Hookdesk’s own page."), status=403)
    if purpose != AuthProcess.LOGIN and not request.user.is_authenticated:
        return refusal(request, _("You are logged out. Log in first."), status=403)
    again = {"prompt": "login", "max_age": "0"} if purpose == AuthProcess.REDIRECT else None
    provider = get_adapter().get_provider(request, PROVIDER)
    try:
        response: HttpResponse = provider.redirect(
            request, purpose, next_url=_own(request), data={"asked_at": time.time()}, auth_params=again
        )
    except OAuth2Error as error:
        response = render_authentication_error(request, provider, exception=error)
    return response


def callback_view(request: HttpRequest, provider_id: str) -> HttpResponse:
    if not is_set_up() or provider_id != PROVIDER:
        raise Http404("Single sign-on is not set up.")
    view: Any = OAuth2CallbackView.adapter_view(IssuerAdapter(request, PROVIDER))
    try:
        response: HttpResponse = view(request)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        # Whatever the server answered is not as it should be; allauth expects it to be.
        provider = get_adapter().get_provider(request, PROVIDER)
        response = render_authentication_error(request, provider, exception=error)
    return response


def _own(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return wanted if is_ours else reverse("admin:index")
