"""Logging in: name and password, a passkey, or single sign-on; then a second factor, if the person has one."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from allauth.core import context
from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from config.accounts.single_sign_on import is_set_up
from config.desk.login import LoginForm
from config.desk.login_throttle import SaysWhenToReturn


@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(never_cache, name="dispatch")
class DeskLoginView(SaysWhenToReturn, LoginView):
    authentication_form = LoginForm
    template_name = "admin/login.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.LOGIN_PASSWORDS:
            # The form is not shown; whoever sends it all the same is told like somebody with a wrong password.
            return self.get(request, *args, **kwargs)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """The password is right. Somebody who has a second factor is not logged in yet."""
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        with context.request_context(self.request):
            response: HttpResponse = perform_password_login(
                self.request, {"username": form.get_user().get_username()}, login
            )
        return response


def login_page(site: AdminSite, request: HttpRequest, extra: dict[str, Any]) -> HttpResponse:
    """As `AdminSite.login`, with the ways to log in that this installation has."""
    if request.method == "GET" and site.has_permission(request):
        return HttpResponseRedirect(reverse("admin:index", current_app=site.name))
    shown = {
        **site.each_context(request),
        "title": _("Log in"),
        "subtitle": None,
        "app_path": request.get_full_path(),
        "username": request.user.get_username(),
        "has_passwords": settings.LOGIN_PASSWORDS,
        "has_single_sign_on": is_set_up(),
    }
    if REDIRECT_FIELD_NAME not in request.GET and REDIRECT_FIELD_NAME not in request.POST:
        shown[REDIRECT_FIELD_NAME] = reverse("admin:index", current_app=site.name)
    shown.update(extra)
    request.current_app = site.name  # as AdminSite.login does
    view: Any = DeskLoginView.as_view(extra_context=shown)
    response: HttpResponse = view(request)
    return response
