"""Bodies of the API: JSON whatever the Content-Type says, strictly parsed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from integrations.api.errors import APIError
from integrations.foundation.strict_json import DocumentError, parse_document


def read_body(request: Any) -> bytes:
    """The body of a Django or DRF request: 413 past the limit, 400 if it is shorter than announced."""
    request = getattr(request, "_request", request)
    if cached := getattr(request, "_hookdesk_body", None):
        return bytes(cached)
    limit = settings.MAX_BODY_BYTES
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    if announced > limit:
        raise APIError(413, f"The body is larger than {limit} bytes. Split it into several requests.")
    # Read from the stream: Django's `request.body` would enforce its own limit with an HTML page.
    body: bytes = request.read(announced) if announced else b""
    if len(body) < announced:
        raise APIError(400, f"The body ended after {len(body)} of {announced} announced bytes. Nothing was stored.")
    request._hookdesk_body = body
    return body


class DocumentParser(BaseParser):
    """Takes any media type: real clients send JSON under a form type, or under none (`curl -d` says form)."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        request = parser_context["request"]
        body = read_body(request)
        if not body.strip():
            return {}
        try:
            document = parse_document(body)
        except DocumentError as error:
            raise as_api_error(error) from None
        # Old Intercom clients send the JSON string "" for an empty body.
        return {} if document == "" else document


def as_api_error(error: DocumentError) -> APIError:
    status = 413 if error.code == "too_large" else 400
    return APIError(status, error.message, code=error.code, field=error.field)


class JSONAlways(BaseContentNegotiation):
    """Returns JSON whatever Accept says, as the replaced services do."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type
