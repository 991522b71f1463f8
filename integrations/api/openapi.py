"""Credentials and errors in the OpenAPI schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from integrations.api.authentication import scope_for
from integrations.api.paging import DEFAULT_LIMIT, LARGEST_LIMIT, LONGEST_QUERY_TEXT

CURSOR = OpenApiParameter(
    "cursor", {"type": "string", "maxLength": LONGEST_QUERY_TEXT}, description="From `pages.next` of the previous page."
)
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT},
    description="Items per page.",
)


class APISchema(AutoSchema):
    """An operation of the API: its body is JSON, and its description ends with the scope that a token needs."""

    def map_parsers(self) -> list[str]:
        # Bodies are read as JSON whatever their type says; clients that are made from the schema send this one.
        return ["application/json"]

    def get_description(self) -> str:  # type: ignore[override]  # the one that it has, not its base
        said = super().get_description() or ""
        return f"{said}\n\n{self._scopes()}".strip()

    def _scopes(self) -> str:
        if not self.view.permission_classes:
            return "Any valid token."
        scope = scope_for(self.method, self.view)
        is_proposable = self.method == "POST" and getattr(self.view, "is_proposable", False)
        return f"Scope: `{scope}`, or `propose`." if is_proposable else f"Scope: `{scope}`."


class StoreScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Any one of the three ways (docs/contract.md#authentication)."""

    target_class = "integrations.api.authentication.StoreAuthentication"
    match_subclasses = True
    name = ["bearer", "basic", "store", "accessToken"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        return [{"bearer": []}, {"basic": []}, {"store": [], "accessToken": []}]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {"type": "http", "scheme": "bearer", "description": "An access token."},
            {"type": "http", "scheme": "basic", "description": "Store id and access token, or the token as the user."},
            {"type": "apiKey", "in": "header", "name": "X-Hub-Store", "description": "The store id."},
            {"type": "apiKey", "in": "header", "name": "X-Hub-Access-Token"},
        ]


class CachedStoreScheme(StoreScheme):  # type: ignore[no-untyped-call]
    """The same three ways; described by `StoreScheme`."""

    target_class = "integrations.api.authentication.CachedStoreAuthentication"
    match_subclasses = False
    priority = 1
    name = []


class ErrorEntrySerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    field = serializers.CharField(required=False, help_text="`shipments[0].id`")


class ErrorListSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    request_id = serializers.CharField()
    errors = ErrorEntrySerializer(many=True)  # type: ignore[assignment]  # the API's word


class PagesSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True, help_text="The full URL, or null on the last page.")


_MEANINGS = {
    400: "The request or a value in it is malformed.",
    401: "No valid credentials.",
    403: "The access token lacks the scope.",
    404: "Not found in this store.",
    409: "Not possible in the current state.",
    413: "The body is larger than 10 MB.",
    429: "Rate limit exceeded: Retry-After says when to retry.",
    502: "The integration returned no valid response.",
    503: "The database is unavailable. Nothing was stored: try again.",
}


def answers(success: Any, *, status: int = 200, more: tuple[int, ...] = (400, 404)) -> dict[int, Any]:
    """The responses of an operation: success, and the errors that any call can return."""
    codes = sorted({400, 401, 403, 413, 503, *more})
    return {status: success} | {code: OpenApiResponse(ErrorListSerializer, _MEANINGS[code]) for code in codes}


def page_of(serializer: type[serializers.Serializer[Any]], name: str) -> Any:
    """The envelope of a list."""
    fields = {"items": serializer(many=True), "pages": PagesSerializer()}
    return type(f"{name}Page", (serializers.Serializer,), fields)
