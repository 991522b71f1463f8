"""A token, a push with it, and subscriptions of its store."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from subscriptions.models import Subscription
from tests.factories import AccessTokenFactory, IntegrationFactory, SubscriptionFactory


@pytest.fixture
def token(db: None) -> Any:  # with `text` and `headers`, which only the factory knows
    return AccessTokenFactory()


@pytest.fixture
def post(token: Any) -> Callable[..., Any]:
    def send(url: str, body: Any, content_type: str = "application/json", **headers: str) -> Any:
        data: Any = body if isinstance(body, bytes | str) else json.dumps(body)
        return APIClient().generic("POST", url, data, content_type=content_type, headers={**token.headers, **headers})

    return send


@pytest.fixture
def subscribe(token: Any) -> Callable[..., Subscription]:
    integration = IntegrationFactory(store=token.store)

    def make(*topics: str, **values: Any) -> Subscription:
        return SubscriptionFactory(integration=integration, topics=list(topics), **values)

    return make
