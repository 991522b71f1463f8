"""The page where a superuser resets somebody's second factor."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from config.accounts import second_factor
from config.accounts.history import NAMES
from config.accounts.mail import send_to
from integrations.foundation.audit import Actor

LONGEST_REASON = 500


def reset_page(request: HttpRequest, pk: int, context: dict[str, Any]) -> HttpResponse:
    """Only for superusers, which the caller checks."""
    person = get_object_or_404(User, pk=pk)
    if request.method == "POST":
        reason = request.POST.get("reason", "").strip()[:LONGEST_REASON]
        if reason:
            second_factor.reset(user=person, actor=Actor.of_user(request.user), reason=reason)
            text = _("%(name)s did it. Log in as before and set up a new one under “Login and security”.")
            send_to(person, _("Your second factor was reset"), text % {"name": request.user.get_username()})
            done = _("%(name)s logs in without a second factor and has been logged out everywhere.")
            messages.success(request, done % {"name": person})
            return redirect("admin:auth_user_change", pk)
        context["error"] = _("Say how you know that it is them. Nothing was changed.")
    kinds = Authenticator.objects.filter(user=person).order_by("created_at").values_list("type", flat=True)
    context |= {"person": person, "kinds": [NAMES[kind] for kind in kinds]}
    return TemplateResponse(request, "accounts/reset_second_factor.html", context)
