"""“Login and security”: how a person logs in, their second factors, and where they are logged in."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from config.accounts import second_factor, sessions, single_sign_on, ways
from integrations.foundation.audit import Actor, record_change


def security_view(request: HttpRequest) -> HttpResponse:
    found: dict[str, list[Authenticator]] = {}
    for authenticator in Authenticator.objects.filter(user=request.user).order_by("created_at"):
        found.setdefault(authenticator.type, []).append(authenticator)
    codes = next(iter(found.get(Authenticator.Type.RECOVERY_CODES, [])), None)
    shown = {
        "app": next(iter(found.get(Authenticator.Type.TOTP, [])), None),
        "passkeys": found.get(Authenticator.Type.WEBAUTHN, []),
        "codes_left": None if codes is None else len(codes.wrap().get_unused_codes()),
        "is_needed": second_factor.is_missing(request),
        "is_required": second_factor.is_required_of(request.user),
        "sessions": sessions.open_sessions(request.user, request.session.session_key),
        "has_single_sign_on": single_sign_on.is_set_up(),
        "single_sign_on": SocialAccount.objects.filter(user=request.user, provider=single_sign_on.PROVIDER).first(),
        "may_use_password": ways.PASSWORD in ways.first_factors_of(request.user),
    }
    return TemplateResponse(request, "accounts/security.html", shown)


@require_POST
def end_sessions_view(request: HttpRequest) -> HttpResponse:
    """All others, or the one of the row `session`."""
    only = request.POST.get("session", "")
    if only and not only.isdecimal():
        raise Http404("There is no such session.")
    count = sessions.end_sessions(request.user, but=request.session.session_key, only=int(only[:18]) if only else None)
    if count:
        actor = Actor.of_user(request.user)
        record_change(actor=actor, action="end sessions", target=actor.user, store=None, after={"ended": count})  # type: ignore[arg-type]
    ended = ngettext(
        "%(number)d other session has ended. You stay logged in here.",
        "%(number)d other sessions have ended. You stay logged in here.",
        count,
    )
    messages.success(request, ended % {"number": count})
    return redirect("account_security")


@require_POST
def disconnect_view(request: HttpRequest) -> HttpResponse:
    """Single sign-on is no longer theirs; not if it is the only way in."""
    if ways.PASSWORD not in ways.first_factors_of(request.user):
        messages.error(request, _("Single sign-on is your only way to log in, so it cannot be disconnected."))
        return redirect("account_security")
    count, _by_model = SocialAccount.objects.filter(user=request.user, provider=single_sign_on.PROVIDER).delete()
    if count:
        actor = Actor.of_user(request.user)
        record_change(actor=actor, action="disconnect single sign-on", target=actor.user, store=None)  # type: ignore[arg-type]
        messages.success(request, _("Single sign-on is disconnected. You log in with your password."))
    return redirect("account_security")


def only_if_not_last(view: Any) -> Any:
    """Removing a factor: refused to people who must have one and have no other."""

    def guard(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        factors = Authenticator.objects.filter(user=request.user, type__in=second_factor.FACTORS)
        if second_factor.is_required_of(request.user) and factors.count() <= 1:
            messages.error(request, _("Your role requires a second factor. Add another one before you remove this."))
            return redirect("account_security")
        return view(request, *args, **kwargs)

    return guard
