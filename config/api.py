"""The API's schema, its documentation page, and errors raised outside any view."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request

from integrations.api.errors import CODES, error_list

ODD_PAGE = "It is malformed, or its Host is not one of ALLOWED_HOSTS."


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


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own server: no inline script, so that it runs under the content security policy."""

    template_name = "api_docs.html"

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """Returns the usual API error, although this view otherwise renders a page."""
        return _error(405, f"Method {request.method} not allowed.")


@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    """A path below /api/ that does not exist."""
    return _error(404, f"There is no {request.path[:200]} in this API. See /api/v1/docs/ for the available paths.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django refused before it reached a view, for example because of an unknown host name."""
    if not _is_api(request):
        reason = str(exception) if isinstance(exception, BadRequest) else ODD_PAGE
        return render(request, "400.html", {"reason": reason}, status=400)
    return _error(400, "The request is malformed, or its Host is not one of ALLOWED_HOSTS.")


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
