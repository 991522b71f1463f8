"""How pages below /accounts/ are shown: in the desk's frame, with what allauth needs to know of the request."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from allauth.core import context
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

View = Callable[..., Any]


def with_allauth(view: View) -> View:
    """allauth finds the request in a context variable, which its middleware would set for every request."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with context.request_context(request):
            response = view(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
                response.render()
            return response

    return wrapped


def open_page(view: View, title: StrOrPromise) -> View:
    """For people who are not logged in, or only half."""
    return never_cache(csrf_protect(with_allauth(_framed(view, title, is_inside=False))))


def staff_page(view: View, title: StrOrPromise) -> View:
    """For people who are logged in. Guarded like the desk's own pages: see `config.desk.reauthentication`."""
    page: View = admin.site.admin_view(with_allauth(_framed(view, title, is_inside=True)))
    return page


def refusal(request: HttpRequest, message: str, *, status: int) -> HttpResponse:
    """A page that says why somebody is not let in, and leads back to the login."""
    shown = {
        **admin.site.each_context(request),
        "has_permission": False,
        "title": _("Not logged in"),
        "message": message,
    }
    return TemplateResponse(request, "accounts/refused.html", shown, status=status).render()


def _framed(view: View, title: StrOrPromise, *, is_inside: bool) -> View:
    @wraps(view)
    def framed(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = view(request, *args, **kwargs)
        if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
            frame = {**admin.site.each_context(request), "title": title}
            if not is_inside:
                frame["has_permission"] = False
            response.context_data = {**frame, **(response.context_data or {})}
        return response

    return framed
