"""Each page is in the language of whoever looks at it.

A language that somebody chose, on the page of `time_zone`, is kept in Django's own cookie; else the browser's
`Accept-Language` counts, then `settings.DESK_LANGUAGE`. The API, the commands, logs and what is stored stay in English:
programs read them, and people of all languages the same row. What is sent to staff is in `DESK_LANGUAGE`: a channel has
many readers (`integrations.foundation.languages`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header

from config.server.page_middleware import PagesOnly


class PageLanguageMiddleware(PagesOnly):
    """Activates the viewer's language while their page is made."""

    def answer_page(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        response: HttpResponseBase | Awaitable[HttpResponseBase] = spoken(request, lambda: self.get_response(request))
        return response


def spoken(request: HttpRequest, answer: Callable[[], Any]) -> Any:
    """What `answer` returns, made in the language of whoever asks. For pages that the middleware does not reach, too:
    those that refuse a request before it, and the API's documentation.
    """
    language = language_of(request)
    with translation.override(language):
        response = answer()
    if isinstance(response, HttpResponseBase):
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language",))
    return response


def language_of(request: HttpRequest) -> str:
    """The chosen language, else the first of the browser's that the desk speaks, else the installation's."""
    accepted = [code for code, _ in parse_accept_lang_header(request.headers.get("Accept-Language", ""))]
    for code in (chosen(request), *accepted):
        if found := known(code):
            return found
    return str(settings.DESK_LANGUAGE)


def chosen(request: HttpRequest) -> str:
    """What somebody chose in this browser; an empty text if nothing."""
    return known(request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, ""))


def known(code: str) -> str:
    """The language of the desk for `code` (`de-AT` → `de`); an empty text if it has none."""
    base = code.lower().partition("-")[0]
    return base if base in dict(settings.LANGUAGES) else ""
