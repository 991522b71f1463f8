"""Each page's times are in the zone of whoever looks at it. Its page chooses the language too.

`desk.js` writes the browser's zone into a cookie; a zone that somebody chooses on the page of this module goes into
another one and wins. Neither: `settings.TIME_ZONE`. Cookies, and no column of the user: where a person sits is known to
their browser only, and nothing but pages is shown in it (what is sent and stored stays in UTC).
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Awaitable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from config.desk import language
from config.server.page_middleware import PagesOnly

#: What the browser says, and what its user chose.
BROWSER_COOKIE, CHOICE_COOKIE = "hookdesk_zone", "hookdesk_zone_choice"
A_YEAR = 365 * 24 * 3600
OTHERS = ("Etc/", "SystemV/", "US/", "posix/", "right/")


class PageZoneMiddleware(PagesOnly):
    """Activates the viewer's zone while their page is made."""

    def answer_page(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        zone = zone_of(request)
        if zone is None:
            return self.get_response(request)
        with timezone.override(zone):
            return self.get_response(request)


def zone_of(request: HttpRequest) -> zoneinfo.ZoneInfo | None:
    """The chosen zone, else the browser's; None if neither is known."""
    for name in (CHOICE_COOKIE, BROWSER_COOKIE):
        if zone := known(request.COOKIES.get(name, "")):
            return zoneinfo.ZoneInfo(zone)
    return None


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def known(name: str) -> str:
    """`name`, or nothing if it is no zone's."""
    return name if name in known_zones() else ""


def choices() -> list[str]:
    """Places and UTC, without the old names and offsets that no browser reports."""
    return ["UTC", *sorted(name for name in known_zones() if "/" in name and not name.startswith(OTHERS))]


def zone_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Choose a zone and a language, or the browser's again."""
    if request.method == "POST":
        wanted, spoken = request.POST.get("zone", ""), request.POST.get("language", "")
        if wanted and not known(wanted):
            context["error"] = _("This is not a time zone. Choose one from the list.")
        elif spoken and language.known(spoken) != spoken:
            context["error"] = _("Hookdesk does not speak this language. Choose one from the list.")
        else:
            response = redirect("admin:desk_zone")
            _keep(response, CHOICE_COOKIE, wanted)
            _keep(response, str(settings.LANGUAGE_COOKIE_NAME), spoken)
            with translation.override(spoken or translation.get_language()):
                messages.success(request, _("Saved for you in this browser."))
            return response
    context |= {
        "languages": settings.LANGUAGES,
        "chosen_language": language.chosen(request),
        "zones": choices(),
        "chosen": known(request.COOKIES.get(CHOICE_COOKIE, "")),
        "browser_zone": known(request.COOKIES.get(BROWSER_COOKIE, "")),
        "fallback": settings.TIME_ZONE,
        "now": timezone.now(),
    }
    return TemplateResponse(request, "admin/desk/time_zone.html", context)


def _keep(response: HttpResponse, cookie: str, choice: str) -> None:
    """In this browser, for a year; an empty one is forgotten."""
    if choice:
        secure = settings.SESSION_COOKIE_SECURE
        response.set_cookie(cookie, choice, max_age=A_YEAR, samesite="Lax", httponly=True, secure=secure)
    else:
        response.delete_cookie(cookie, samesite="Lax")
