"""Sessions, users and messages, for pages only: the API identifies callers by tokens, sources by signatures."""

from __future__ import annotations

from collections.abc import Awaitable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class PagesOnly(MiddlewareMixin):
    """Skips a middleware for the API and sources, where these would take a sixth of Django's time for a push."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info.startswith(("/api/", "/in/")):
            return self.get_response(request)
        return self.answer_page(request)

    def answer_page(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """What the middleware does for a page: by default that of the class it is mixed into."""
        return super().__call__(request)


class PageSessionMiddleware(PagesOnly, SessionMiddleware):
    pass


class PageUserMiddleware(PagesOnly, AuthenticationMiddleware):
    pass


class PageMessageMiddleware(PagesOnly, MessageMiddleware):
    pass
