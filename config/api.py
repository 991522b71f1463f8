"""The API's schema, its documentation page, and error responses: JSON below /api/, pages of the desk elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2

from config.api_docs import docs_page
from config.desk.language import spoken
from config.desk.roles import permissions_of, role_label
from integrations.api.errors import CODES, error_list


@csrf_exempt
def schema(request: HttpRequest) -> HttpResponse:
    """The OpenAPI schema as JSON, which is also valid YAML."""
    if request.method not in ("GET", "HEAD"):
        return _error(405, f"Method {request.method} not allowed.")
    return HttpResponse(_schema(), content_type="application/json")


@lru_cache(maxsize=1)
def _schema() -> bytes:
    """Built once: it takes a large part of a second, and anyone may request it."""
    described = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    rendered: bytes = OpenApiJsonRenderer2().render(described)
    return rendered


@csrf_exempt
def docs(request: HttpRequest) -> HttpResponse:
    """The schema as a page for people. Anyone may read it, as the schema itself."""
    if request.method not in ("GET", "HEAD"):
        return _error(405, f"Method {request.method} not allowed.")
    described = json.loads(_schema())
    answer: HttpResponse = spoken(request, lambda: docs_page(request, described))
    return answer


@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    """A path below /api/ that does not exist."""
    return _error(404, f"There is no {request.path[:200]} in this API. See /api/v1/docs/ for the available paths.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django refused before it reached a view, for example because of an unknown host name."""
    if not _is_api(request):
        reason = str(exception) if isinstance(exception, BadRequest) else ""
        odd = gettext_lazy("It is malformed, or its Host is not one of ALLOWED_HOSTS.")
        return _page(request, 400, lambda: {"reason": reason or odd})
    return _error(400, "The request is malformed, or its Host is not one of ALLOWED_HOSTS.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """With the navigation for staff, who would be stranded without it."""
    return _page(request, 404, lambda: _frame(request))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Says which role permits it, where the view said which permission is missing."""
    wanted = str(exception)
    names = [name for name, held in permissions_of().items() if wanted in held] if wanted else []

    def shown() -> dict[str, Any]:
        roles = get_text_list([role_label(name) for name in names], _("or"))
        return {**_frame(request), "roles": roles}

    return _page(request, 403, shown)


def _page(request: HttpRequest, status: int, context: Callable[[], dict[str, Any]]) -> HttpResponse:
    answer: HttpResponse = spoken(request, lambda: render(request, f"{status}.html", context(), status=status))
    return answer


def _frame(request: HttpRequest) -> dict[str, Any]:
    return admin.site.each_context(request) if hasattr(request, "user") else {}


def server_error(request: HttpRequest) -> HttpResponse:
    if not _is_api(request):
        return defaults.server_error(request)
    return JsonResponse(
        error_list([{"code": "service_unavailable", "message": "Internal error. See Hookdesk's log for the cause."}]),
        status=500,
    )


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(("/api/", "/in/"))


def _error(status: int, message: str) -> HttpResponse:
    entry: dict[str, Any] = {"code": CODES[status], "message": message}
    return JsonResponse(error_list([entry]), status=status)
