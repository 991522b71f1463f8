"""A client of the API, and a subscription of its store."""

from __future__ import annotations

import pytest

from subscriptions.models import Subscription
from tests.api_client import ApiClient
from tests.factories import IntegrationFactory, SubscriptionFactory


@pytest.fixture
def client() -> ApiClient:
    return ApiClient()


@pytest.fixture
def subscription(client: ApiClient) -> Subscription:
    return SubscriptionFactory(integration=IntegrationFactory(store=client.store, slug="mirror"))
