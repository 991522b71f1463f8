"""`POST /in/<id>`: where senders' webhooks come in (docs/contract.md#sources). No API of ours: each vendor has its own.

Answers are the vendor's; errors are those of the API.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from deliveries.ingest.loops import stated_hops
from deliveries.ingest.service import TooMuchContention
from deliveries.sources.lookup import source_at
from deliveries.sources.receive import Refused, receive
from integrations.api.errors import CODES, APIError, error_list
from integrations.api.parsing import read_body
from integrations.foundation import tracing
from integrations.foundation.strict_json import compact_json
from integrations.models import Source
from integrations.models.source import address_url
from integrations.security.encryption import DecryptionError
from integrations.sources.base import Answer, Incoming, Unreadable
from integrations.sources.bodies import decompressed
from integrations.wire_formats.base import HOPS_HEADER

logger = logging.getLogger("hookdesk.sources")

BUSY = "The same records are changing too quickly. Nothing was stored; try again."
AWAY = "The database is unavailable. Nothing was stored; try again."
UNREADABLE = "This source's secrets cannot be read at the moment. Nothing was stored; try again."


@csrf_exempt
def receive_view(request: HttpRequest, token: str) -> HttpResponse:
    span = tracing.begin("source", request.META.get("HTTP_TRACEPARENT"))
    response = _answered(request, token, span.traceparent)
    span.end(response.status_code)
    return response


def _answered(request: HttpRequest, token: str, traceparent: str | None) -> HttpResponse:
    try:
        return _shown(_received(request, token, traceparent))
    except (Refused, Unreadable) as error:
        headers = getattr(error, "headers", None)
        return _error(error.status, error.message, error.field, headers)
    except APIError as error:  # of the size and the length of the body
        return _error(error.status_code, error.message)
    except TooMuchContention:
        return _error(503, BUSY, headers={"Retry-After": "1"})
    except DecryptionError:
        logger.exception("a source's secrets cannot be decrypted")
        return _error(503, UNREADABLE, headers={"Retry-After": "60"})
    except (OperationalError, InterfaceError) as error:
        logger.warning("database unavailable: %s", error)
        return _error(503, AWAY, headers={"Retry-After": "5"})


def _received(request: HttpRequest, token: str, traceparent: str | None) -> Answer:
    now = timezone.now()
    source = source_at(token, now)
    if source is None:
        raise Refused(404, "There is no source at this address.")
    if not source.is_enabled:
        raise Refused(410, "This source is disabled.")
    try:
        methods = source.adapter.methods
    except LookupError as error:
        logger.error("source %s: %s", source.slug, error)
        raise Refused(503, "This kind of source is not available.", headers={"Retry-After": "60"}) from None
    if request.method not in methods:
        raise Refused(405, f"Send {', '.join(methods)}.", headers={"Allow": ", ".join(methods)})
    try:
        hops = stated_hops(request.META.get("HTTP_X_HOOKDESK_HOPS"), request.META.get("HTTP_USER_AGENT", ""))
    except ValueError as error:
        raise Refused(400, f"{HOPS_HEADER} {error}", HOPS_HEADER) from None
    incoming = _incoming(request, token, source)
    return receive(source=source, request=incoming, hops=hops, now=now, traceparent=traceparent)


def _incoming(request: HttpRequest, token: str, source: Source) -> Incoming:
    raw, query = read_body(request), request.META.get("QUERY_STRING", "")
    body = decompressed(raw, request.META.get("HTTP_CONTENT_ENCODING", ""), settings.MAX_BODY_BYTES)
    url = address_url(token)
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=None)
    return Incoming(
        method=request.method or "",
        url=f"{url}?{query}" if query else url,
        headers=_headers(request),
        query={name.replace("\0", ""): value.replace("\0", "") for name, value in pairs},
        body=body,
        options=source.options,
        is_from_proxy=_is_proxy(request.META.get("REMOTE_ADDR", "")),
    )


def _headers(request: HttpRequest) -> dict[str, str]:
    """By name in lower case. Those with underscores, which our server keeps apart, under their own spelling."""
    found = {name.lower(): value for name, value in request.headers.items()}
    for name, value in request.META.get("hookdesk.underscored", ()):
        found.setdefault(name, value)
    return found


@lru_cache(maxsize=1024)
def _is_proxy(address: str) -> bool:
    try:
        client = ip_address(address)
    except ValueError:
        return False
    return any(client in ip_network(network, strict=False) for network in settings.TRUSTED_PROXIES)


def _shown(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    del response["Content-Type"]
    for name, value in answer.headers:
        response[name] = _header_value(value)
    return _for_programs(response)


def _header_value(value: str) -> str:
    """What a kind sends back of a request must be one line."""
    return "".join(character for character in value if character.isprintable())[:1000]


def _error(status: int, message: str, field: str | None = None, headers: Any = None) -> HttpResponse:
    entry = {"code": CODES.get(status, "bad_request"), "message": message} | ({"field": field} if field else {})
    response = HttpResponse(compact_json(error_list([entry])), "application/json", status, headers=headers)
    return _for_programs(response)


def _for_programs(response: HttpResponse) -> HttpResponse:
    """No page; and Django must not log the address, which is a secret."""
    response._csp_exempt = True  # type: ignore[attr-defined]
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
