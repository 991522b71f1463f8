"""API paths with and without a trailing slash; clients send either, and nothing is redirected."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path


def both(route: str, view: Any, name: str) -> list[URLPattern]:
    """`route` (without its trailing slash) as it is, and with the slash. The schema lists the first only."""

    def slashed(request: HttpRequest, **values: Any) -> HttpResponse:
        answer: HttpResponse = view(request, **values)
        return answer

    slashed.csrf_exempt = True  # type: ignore[attr-defined]  # as DRF's own views are
    return [path(route, view, name=name), path(f"{route}/", slashed, name=f"{name}-slashed")]
