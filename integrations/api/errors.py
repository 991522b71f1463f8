"""Errors of the API: one body for all of them (docs/contract.md#errors)."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response

from integrations.foundation import request_id

logger = logging.getLogger("hookdesk.api")

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "bad_request",
    406: "bad_request",
    409: "conflict",
    413: "too_large",
    415: "bad_request",
    429: "rate_limit_exceeded",
    503: "service_unavailable",
}


class APIError(exceptions.APIException):
    """An error with its code and, where there is one, the field: `shipments[0].id`."""

    def __init__(
        self,
        status_code: int,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail=message)
        self.status_code = status_code
        self.message = message
        self.error_code = code or CODES[status_code]
        self.field = field
        self.headers = headers or {}


def invalid(message: str, field: str | None = None) -> APIError:
    return APIError(400, message, code="parameter_invalid", field=field)


def missing(field: str, message: str | None = None) -> APIError:
    return APIError(400, message or f"{field} is required.", code="missing_parameter", field=field)


def not_found(what: str) -> APIError:
    return APIError(404, f"There is no such {what} in this store.")


def error_list(errors: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "error.list", "request_id": request_id.current() or uuid.uuid4().hex, "errors": errors}


def error_list_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. A database that cannot commit is a 503; anything unforeseen stays a 500."""
    if isinstance(error, APIError):
        entry = {"code": error.error_code, "message": error.message}
        if error.field:
            entry["field"] = error.field
        return Response(error_list([entry]), status=error.status_code, headers=error.headers)
    if isinstance(error, ValidationError):
        return _refused(error)
    if isinstance(error, Http404):
        error = exceptions.NotFound("Not found.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, OperationalError | InterfaceError):
        logger.warning("database unavailable: %s", error)
        entry = {
            "code": "service_unavailable",
            "message": "The database is unavailable. Nothing was stored; try again.",
        }
        return Response(error_list([entry]), status=503, headers={"Retry-After": "5"})
    if not isinstance(error, exceptions.APIException):
        return None
    return Response(error_list(_entries(error)), status=error.status_code, headers=_headers(error))


def _refused(error: ValidationError) -> Response:
    """A service's ValidationError as an API error. Codes: `required`, `conflict` (409), else an invalid value."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    entries, codes = [], set()
    for field, errors in by_field.items():
        for single in errors:
            codes.add(single.code)
            code = {"required": "missing_parameter", "conflict": "conflict"}.get(str(single.code), "parameter_invalid")
            entry = {"code": code, "message": single.messages[0]}
            entries.append(entry if field == NON_FIELD_ERRORS else entry | {"field": field})
    return Response(error_list(entries), status=409 if codes == {"conflict"} else 400)


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def _entries(error: exceptions.APIException) -> list[dict[str, Any]]:
    if isinstance(error, exceptions.ValidationError):
        return list(_flatten(error.detail, ""))
    status_code = error.status_code
    if status_code == status.HTTP_401_UNAUTHORIZED or isinstance(error, exceptions.NotAuthenticated):
        error.status_code = 401
        code = "unauthorized"
    else:
        code = CODES.get(status_code, "bad_request")
    return [{"code": code, "message": str(error.detail)}]


def _flatten(detail: Any, field: str) -> Any:
    """Flatten DRF's nested validation errors into entries with a path."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            path = field if key == "non_field_errors" else f"{field}.{key}" if field else str(key)
            yield from _flatten(value, path)
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            if isinstance(value, dict | list):
                yield from _flatten(value, f"{field}[{index}]")
            else:
                yield from _flatten(value, field)
    else:
        required = getattr(detail, "code", "") == "required"
        entry = {"code": "missing_parameter" if required else "parameter_invalid", "message": str(detail)}
        if field:
            entry["field"] = field
        yield entry
