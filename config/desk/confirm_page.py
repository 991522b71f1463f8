"""Asking again who it is: by password, by a code, by passkey, or by logging in at the single sign-on server again."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from allauth.core import context as allauth
from allauth.mfa.webauthn.internal.auth import begin_authentication
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from config.accounts import ways
from config.accounts.codes import CodeForm
from config.accounts.passkeys import PasskeyForm
from config.desk.login import charge_login, remember_browser
from config.desk.login_throttle import Throttled, settle
from config.desk.reauthentication import confirm, is_confirmed, take_kept, ways_to_confirm


@sensitive_post_parameters("password", "code", "credential")
def confirm_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    with allauth.request_context(request):
        return _page(request, context)


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    given = request.POST if request.method == "POST" else request.GET
    offered = ways_to_confirm(request)
    # The header shows figures that an unattended browser must not reveal.
    context |= {"has_permission": False, "next": given.get("next", ""), "kept": given.get("kept", ""), "error": ""}
    status, headers = 200, {}
    if request.method == "POST":
        try:
            context["error"] = _mistake(request, offered)
            if not context["error"]:
                return _go_on(request, context)
        except Throttled as throttled:
            context["error"], status = str(throttled), 429
            headers["Retry-After"] = str(throttled.seconds)
    elif given.get("confirmed") and is_confirmed(request):  # they come back from the single sign-on server
        return _go_on(request, context, is_new=False)
    context |= {"ways": offered, "sign_on_url": _sign_on_url(context)}
    if ways.PASSKEY in offered:
        context["passkey_options"] = {"request_options": begin_authentication(request.user)}
    return TemplateResponse(request, "admin/desk/confirm.html", context, status=status, headers=headers).render()


def _mistake(request: HttpRequest, offered: set[str]) -> str:
    """What was wrong, or nothing. Raises Throttled."""
    if "credential" in request.POST and ways.PASSKEY in offered:
        return _accepted(PasskeyForm(user=request.user, data=request.POST), "credential")
    if "code" in request.POST and ways.CODE in offered:
        return _accepted(CodeForm(user=request.user, data=request.POST), "code")
    if ways.PASSWORD in offered and _is_right_password(request):
        return ""
    return _("Wrong password. Nothing was changed.") if "password" in request.POST else _("Nothing was entered.")


def _accepted(form: Any, field: str) -> str:
    if form.is_valid():
        form.save()
        return ""
    if getattr(form, "throttled", None) is not None:
        raise form.throttled
    return " ".join([*form.errors.get(field, [_("Nothing was entered.")]), _("Nothing was changed.")])


def _is_right_password(request: HttpRequest) -> bool:
    """Counted like a login, so a stolen session cannot be used to guess passwords. Raises Throttled."""
    name, password = request.user.get_username(), request.POST.get("password", "")
    if not password:
        return False
    charged = charge_login(request, name)
    user = authenticate(request, username=name, password=password)
    if user is None or user.pk != request.user.pk:
        return False
    settle(charged)
    return True


def _go_on(request: HttpRequest, context: dict[str, Any], *, is_new: bool = True) -> HttpResponse:
    if is_new:
        confirm(request)
    if context["kept"] and (kept := take_kept(request, context["kept"])) is not None:
        context |= {"title": _("Confirmed"), "path": kept[0], "fields": kept[1]}
        response: HttpResponse = TemplateResponse(request, "admin/desk/resume.html", context)
    else:
        wanted = context["next"]
        is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
        response = redirect(wanted if is_ours else reverse("admin:index"))
    remember_browser(request, response, request.user.get_username())
    return response


def _sign_on_url(context: dict[str, Any]) -> str:
    """To the single sign-on server, and back to here, with what is kept."""
    back = {name: context[name] for name in ("next", "kept") if context[name]} | {"confirmed": "1"}
    wanted = {"process": "confirm", "next": f"{reverse('admin:desk_confirm')}?{urlencode(back)}"}
    return f"{reverse('account_sso')}?{urlencode(wanted)}"
