"""The page that asks for the password again."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters

from config.desk.login import charge_login, remember_browser
from config.desk.login_throttle import Throttled, settle
from config.desk.reauthentication import confirm, take_kept


@sensitive_post_parameters("password")
def confirm_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    given = request.POST if request.method == "POST" else request.GET
    # The header shows figures that an unattended browser must not reveal.
    context |= {"has_permission": False, "next": given.get("next", ""), "kept": given.get("kept", ""), "error": ""}
    status, headers = 200, {}
    if request.method == "POST":
        try:
            if _is_right(request):
                return _go_on(request, context)
            context["error"] = "Wrong password. Nothing was changed."
        except Throttled as throttled:
            context["error"], status = str(throttled), 429
            headers["Retry-After"] = str(throttled.seconds)
    return TemplateResponse(request, "admin/desk/confirm.html", context, status=status, headers=headers)


def _is_right(request: HttpRequest) -> bool:
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


def _go_on(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    confirm(request)
    if context["kept"] and (kept := take_kept(request, context["kept"])) is not None:
        context |= {"title": "Confirmed", "path": kept[0], "fields": kept[1]}
        response: HttpResponse = TemplateResponse(request, "admin/desk/resume.html", context)
    else:
        wanted = context["next"]
        is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
        response = redirect(wanted if is_ours else reverse("admin:index"))
    remember_browser(request, response, request.user.get_username())
    return response
