"""Texts to copy or download: the bodies of an attempt, its request as a curl command, a payload."""

from __future__ import annotations

import json
import uuid

from django.http import Http404, HttpRequest, HttpResponse

from deliveries.admin.access import open_delivery
from deliveries.models import Attempt
from deliveries.resolution import payload_of
from deliveries.results.attempt_bodies import readable_body, readable_response
from deliveries.results.curl_command import curl_command


def attempt_text(request: HttpRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """`?part=` request (default), answer or curl; credentials are masked, and placeholders in the command."""
    delivery = open_delivery(request, pk)
    attempt = delivery.attempts.filter(number=number).first()
    if attempt is None:
        raise Http404
    attempt.delivery = delivery
    part = request.GET.get("part", "request")
    if part == "answer":
        text = readable_response(attempt) or ""
    elif part == "curl":
        text = curl_of(attempt)
    else:
        part, text = "request", readable_body(attempt)
    return _download(text, f"{pk}-{number}-{part}.txt")


def curl_of(attempt: Attempt) -> str:
    return curl_command(
        method=attempt.method, url=attempt.url, headers=attempt.request_headers or [], body=readable_body(attempt)
    )


def payload_text(request: HttpRequest, pk: uuid.UUID, number: int = 0) -> HttpResponse:
    """The original payload as JSON, or that of a revision."""
    delivery = open_delivery(request, pk)
    try:
        payload = payload_of(delivery, number)
    except LookupError as error:
        raise Http404(str(error)) from None
    return _download(json.dumps(payload, indent=2, ensure_ascii=False), f"{pk}-revision-{number}.json")


def _download(text: str, name: str) -> HttpResponse:
    """To be saved as plain text, whatever it says that it is."""
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
