"""A store with sources, and senders that post to them as vendors do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from deliveries.sources import requests
from integrations.sources import SOURCE_KINDS
from tests.api_client import ApiClient


@dataclass
class Sender:
    """Knows a source's address and secret."""

    store: ApiClient
    slug: str
    kind: str
    address: str
    secret: str
    options: dict[str, Any]

    def sample(self, key: str = "k1", **changes: Any) -> Any:
        from dataclasses import replace

        now = timezone.now()
        request = SOURCE_KINDS[self.kind].sample(self.secret, self.address, self.options, now, key)
        return replace(request, **changes)

    def send(self, request: Any = None, **more: Any) -> Any:
        """Post it as it is; `more` are headers."""
        request = request or self.sample()
        parts = urlsplit(request.url)
        headers = {name: value for name, value in request.headers.items() if name != "content-type"} | more
        return Client().generic(
            request.method,
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            request.body,
            content_type=request.header("content-type") or "application/octet-stream",
            headers=headers,
        )

    def shown(self) -> Any:
        return self.store.get(f"sources/{self.slug}").json()

    def requests(self) -> list[Any]:
        items: list[Any] = self.store.get(f"sources/{self.slug}/requests").json()["items"]
        return items


@pytest.fixture
def store(db: None) -> ApiClient:
    return ApiClient()


@pytest.fixture
def sender(store: ApiClient) -> Callable[..., Sender]:
    """`sender("stripe")` is a source of that kind, and who knows its secret."""

    def make(kind: str, *, slug: str = "", **values: Any) -> Sender:
        given = SOURCE_KINDS[kind].key_from == "theirs" and "secret" not in values
        values |= {"secret": "a-secret-of-the-vendor"} if given else {}
        response = store.post("sources", {"name": (slug or kind).title(), "slug": slug or kind, "kind": kind, **values})
        assert response.status_code == 201, response.content
        body = response.json()
        secret = values.get("secret") or body["secret"] or ""
        return Sender(store, slug or kind, kind, body["address"], secret, dict(values.get("options") or {}))

    return make


@pytest.fixture(autouse=True)
def nothing_refused_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deliveries.sources.receive.refusals", requests.Refusals())
