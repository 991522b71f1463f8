"""A client of one store, as programs use the API."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from tests.factories import AccessTokenFactory, StoreFactory


class ApiClient:
    """Sends JSON with the two headers; an exception in the server fails the test instead of becoming a 500."""

    def __init__(self, store: Any = None, *, scopes: tuple[str, ...] = ("push", "manage")) -> None:
        self.store = store or StoreFactory()
        self.token = AccessTokenFactory(store=self.store, scopes=scopes)
        self._client = Client()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self._client.generic(
            method,
            path if path.startswith("/") else f"/api/v1/{path}",
            raw,
            content_type="application/json",
            headers=self.token.headers | headers,
        )

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Any = None) -> Any:
        return self.call("PATCH", path, body)

    def delete(self, path: str, body: Any = None) -> Any:
        return self.call("DELETE", path, body)


def only_error(response: Any) -> dict[str, Any]:
    """The one error of an error body, whose shape is asserted."""
    body = response.json()
    assert body["type"] == "error.list"
    assert len(body["request_id"]) == 32
    assert len(body["errors"]) == 1, body
    entry: dict[str, Any] = body["errors"][0]
    return entry
