"""`POST /api/v1/push` and `POST /api/v1/events` (docs/contract.md#push-api)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.views import APIView

from deliveries.api.limits import check_rate
from deliveries.api.past_events import EventsList
from deliveries.ingest import Receipt, publish_events, push_objects
from deliveries.ingest.loops import stated_hops
from deliveries.ingest.parsing import CONTROL, MAX_BATCH, MAX_NAME, Invalid
from deliveries.ingest.plan import TooMuchWork
from deliveries.ingest.service import KeyConflict, Revoked, ScopeRevoked, TooMuchContention
from deliveries.stats.pushes import count_push
from integrations.api.authentication import MESSAGE, CachedStoreAuthentication, lacks_scope, principal_of
from integrations.api.errors import APIError
from integrations.api.openapi import answers
from integrations.api.parsing import as_api_error, read_body
from integrations.foundation import tracing
from integrations.foundation.strict_json import DocumentError, dump_document, parse_document
from integrations.models import AccessToken
from integrations.security.tokens import Principal
from integrations.wire_formats.base import HOPS_HEADER
from subscriptions.routing import SchemaViolation

HOPS_PARAMETER = OpenApiParameter(
    HOPS_HEADER,
    {"type": "integer", "minimum": 0, "maximum": 9999},
    OpenApiParameter.HEADER,
    description="A program that forwards what it received from Hookdesk copies this header, so that loops can "
    "be stopped.",
)
KEY_PARAMETER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255},
    OpenApiParameter.HEADER,
    description="A request with the same key and body returns the first response and stores nothing.",
)


INGEST_ANSWERS = answers(None, status=202, more=(400, 409, 429))
PUSH_BODY = {
    "type": "object",
    "description": "Arrays of objects, keyed by plural type (`^[a-z][a-z0-9_-]*$`).",
    "additionalProperties": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"oneOf": [{"type": "string", "minLength": 1, "maxLength": MAX_NAME}, {"type": "integer"}]}
            },
            "additionalProperties": True,
        },
    },
    "example": {"shipments": [{"id": "12836", "status": "ready"}]},
}
PUSH_ANSWER = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
_EVENT = {
    "type": "object",
    "description": "One of topic and intent is required.",
    "properties": {
        "topic": {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "nullable": True},
        "intent": {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "nullable": True},
        "data": {"type": "object", "additionalProperties": True},
        "occurred_at": {
            "oneOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 1}],
            "nullable": True,
            "description": "ISO 8601 or Unix seconds; defaults to now.",
        },
    },
    "example": {"topic": "user.created", "data": {"id": "7"}},
}
EVENTS_BODY = {"oneOf": [_EVENT, {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": MAX_BATCH}]}
_PUBLISHED = {
    "type": "object",
    "required": ["id", "topic", "intent", "created_at"],
    "properties": {
        "id": {"type": "string"},
        "topic": {"type": "string", "nullable": True},
        "intent": {"type": "string", "nullable": True},
        "created_at": {"type": "string", "format": "date-time"},
    },
}
EVENTS_ANSWER = {
    "oneOf": [
        _PUBLISHED,
        {
            "type": "object",
            "required": ["events"],
            "properties": {"events": {"type": "array", "items": _PUBLISHED}},
        },
    ]
}


class IngestView(APIView):
    """Parse, call the service, return the receipt."""

    authentication_classes = [CachedStoreAuthentication]
    required_scope: str | None = AccessToken.Scope.PUSH
    ingest: Callable[..., Receipt]
    _span: tracing.Span

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return super().dispatch(request, *args, **kwargs)
        self._span = tracing.begin("push", request.META.get("HTTP_TRACEPARENT"))
        response = super().dispatch(request, *args, **kwargs)
        caller = self.request.user
        store = {"hookdesk.store": str(caller.store_id)} if isinstance(caller, Principal) else {}
        self._span.end(response.status_code, **store)
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Of whatever became of it, refusals too."""
        finished = super().finalize_response(request, response, *args, **kwargs)
        if request.method == "POST":
            caller = getattr(request, "_user", None)  # `user` would raise again where nobody was authenticated
            count_push(caller.store_id if isinstance(caller, Principal) else None, finished.status_code)
        return finished

    def post(self, request: Request) -> HttpResponse:
        check_rate(principal_of(request).store_id)
        raw = read_body(request)
        key = _idempotency_key(request)
        try:
            receipt = type(self).ingest(
                principal=principal_of(request),
                document=parse_document(raw),
                raw=raw,
                key=key,
                hops=_hops(request),
                traceparent=self._span.traceparent,
            )
        except DocumentError as error:
            raise as_api_error(error) from None
        except Invalid as error:
            raise APIError(400, error.message, code=error.code, field=error.field) from None
        except SchemaViolation as error:
            message = f"The data violates the schema of {error.topic}: {error.message}"
            raise APIError(400, message, code="parameter_invalid", field=error.path or None) from None
        except TooMuchWork as error:
            raise APIError(400, error.message, code="parameter_invalid", field=error.path or None) from None
        except KeyConflict:
            raise APIError(409, "This Idempotency-Key was used with another body.", field="Idempotency-Key") from None
        except ScopeRevoked:
            raise lacks_scope(AccessToken.Scope.PUSH) from None
        except Revoked:
            raise exceptions.AuthenticationFailed(MESSAGE) from None
        except TooMuchContention:
            raise APIError(
                503,
                "The same records are changing too quickly. Nothing was stored; try again.",
                headers={"Retry-After": "1"},
            ) from None
        headers = {"Idempotent-Replay": "true"} if receipt.is_replay else None
        # Django's own response: DRF's is a template that finds its renderer, which takes a tenth of Python's time here.
        response = HttpResponse(dump_document(receipt.response), "application/json", 202, headers=headers)
        response._csp_exempt = True  # type: ignore[attr-defined]  # JSON for programs
        return response


@extend_schema_view(
    post=extend_schema(
        operation_id="push",
        summary="Push objects",
        request={"application/json": PUSH_BODY},
        responses=INGEST_ANSWERS | {202: OpenApiResponse(PUSH_ANSWER, "Committed: how many of each type.")},
        parameters=[KEY_PARAMETER, HOPS_PARAMETER],
    )
)
class PushView(IngestView):
    ingest = staticmethod(push_objects)


@extend_schema_view(
    post=extend_schema(
        operation_id="publish_events",
        summary="Publish one event, or an array of up to 1,000",
        request={"application/json": EVENTS_BODY},
        responses=INGEST_ANSWERS | {202: OpenApiResponse(EVENTS_ANSWER, "Committed.")},
        parameters=[KEY_PARAMETER, HOPS_PARAMETER],
    )
)
class EventsView(EventsList, IngestView):
    ingest = staticmethod(publish_events)
    required_scope = None  # reading takes another scope
    change_scope = AccessToken.Scope.PUSH


def _hops(request: Request) -> int:
    stated, agent = request.META.get("HTTP_X_HOOKDESK_HOPS"), request.META.get("HTTP_USER_AGENT", "")
    try:
        return stated_hops(stated, agent)
    except ValueError as error:
        raise APIError(400, f"{HOPS_HEADER} {error}", code="parameter_invalid", field=HOPS_HEADER) from None


def _idempotency_key(request: Request) -> str | None:
    key: Any = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    try:
        # Header bytes reach Django as latin-1; keys may be any text.
        key = key.encode("latin-1").decode()
    except (UnicodeEncodeError, UnicodeDecodeError):
        raise APIError(
            400, "The Idempotency-Key is not UTF-8.", code="parameter_invalid", field="Idempotency-Key"
        ) from None
    if not 1 <= len(key) <= 255 or CONTROL.search(key):
        message = "An Idempotency-Key has 1 to 255 characters and no control characters."
        raise APIError(400, message, code="parameter_invalid", field="Idempotency-Key")
    return str(key)
