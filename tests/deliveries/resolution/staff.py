"""Who resolves, and what has failed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from deliveries.models import Delivery
from deliveries.resolution import ResolutionError
from integrations.foundation.audit import Actor
from tests.factories import DeliveryFactory, EventFactory, StoreFactory, SubscriptionFactory

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Actor(None, "ada")


def failed(**values: Any) -> Delivery:
    data = values.pop("data", {"id": "7", "phone": "0000000000"})
    store = values.pop("store", None) or StoreFactory()
    event = EventFactory(store=store, object_id=str(data.get("id", "")), data=data)
    subscription = values.pop("subscription", None) or SubscriptionFactory(integration__store=store)
    return DeliveryFactory(
        subscription=subscription, event=event, **{"status": "failed", "attempt_count": 3, "retry_count": 2} | values
    )


def code_of(caught: pytest.ExceptionInfo[ResolutionError]) -> str:
    return caught.value.code
