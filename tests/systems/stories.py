"""Saying in a line what a story needs: services that answer, integrations, what was delivered."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.api_client import ApiClient
from tests.receiver import Behaviour, Exchange, Received, answer

#: A service in Python: from a request to status and body (JSON unless it is bytes), and headers if it likes.
Service = Callable[[Received], tuple[Any, ...]]


def service(respond: Service) -> Behaviour:
    """A receiver's behaviour that works out its answer from the request."""

    def behave(exchange: Exchange) -> bool:
        status, body, *headers = respond(exchange.request)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return answer(status, raw, headers[0] if headers else {"Content-Type": "application/json"})(exchange)

    return behave


def made(response: Any, status: int = 200) -> Any:
    """The body of an answer with this status."""
    assert response.status_code == status, response.content
    return response.json()


def integrate(store: ApiClient, slug: str, **values: Any) -> Any:
    return made(store.post("integrations", {"name": slug.title(), "slug": slug, **values}), 201)


def subscribe(store: ApiClient, **values: Any) -> Any:
    return made(store.post("subscriptions", values))


def push(store: ApiClient, **objects: Sequence[Any]) -> Any:
    return made(store.post("push", objects), 202)


def publish(store: ApiClient, **event: Any) -> Any:
    return made(store.post("events", event), 202)


def deliveries(store: ApiClient, slug: str) -> list[Any]:
    """Oldest first."""
    items: list[Any] = store.get(f"deliveries?integration={slug}").json()["items"]
    return items[::-1]


def attempts(store: ApiClient, delivery: Any) -> list[Any]:
    items: list[Any] = store.get(f"deliveries/{delivery['id']}/attempts").json()["items"]
    return items


def notifications(store: ApiClient, level: str) -> list[Any]:
    return [item for item in store.get("notifications").json()["items"] if item["level"] == level]
