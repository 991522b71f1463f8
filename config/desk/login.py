"""Login form, and recognising known browsers by a cookie."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from config.desk.login_throttle import Charge, Throttled, charge, key_of, settle
from integrations.security.client_address import client_network

COOKIE = "hookdesk_browser"
SALT = "config.desk.login"
COOKIE_SECONDS = 90 * 24 * 3600
#: How many users one browser can be known for.
MOST_NAMES = 5


class LoginForm(AdminAuthenticationForm):
    """Django's form with a limit on attempts. Names that do not exist are treated like any other."""

    throttled: Throttled | None = None

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not name or not password or self.request is None:
            return super().clean()
        try:
            charged = charge_login(self.request, name)
        except Throttled as throttled:
            self.throttled = throttled
            raise ValidationError(str(throttled), code="throttled") from None
        cleaned = super().clean()
        settle(charged)
        return cleaned


def charge_login(request: HttpRequest, name: str) -> Charge:
    """Count an attempt for `name` from this browser and address; `settle` it if the password is right.

    Raises Throttled.
    """
    return charge(name=name, address=client_network(request), device=_known_names(request).get(_hidden(name), ""))


def remember_browser(request: HttpRequest, response: HttpResponse, name: str) -> None:
    """After a login: this browser is known for this name."""
    known = _known_names(request)
    device = known.pop(_hidden(name), "") or secrets.token_urlsafe(16)
    kept = {_hidden(name): device, **dict(list(known.items())[: MOST_NAMES - 1])}
    response.set_cookie(
        COOKIE,
        signing.dumps(kept, salt=SALT),
        max_age=COOKIE_SECONDS,
        secure=bool(settings.SESSION_COOKIE_SECURE),
        httponly=True,
        samesite="Lax",
    )


def _known_names(request: HttpRequest) -> dict[str, str]:
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=COOKIE_SECONDS)
    except signing.BadSignature:
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _hidden(name: str) -> str:
    """The name as a keyed hash, unreadable to others who use the browser."""
    return key_of("browser", name)[:16]
