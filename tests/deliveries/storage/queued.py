"""Deliveries of the conformance suite at its moment, and how their attempts ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deliveries.models import Delivery
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery
from integrations.foundation.identifiers import uuid7
from tests.factories import DeliveryFactory

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def due(**values: Any) -> Delivery:
    return DeliveryFactory(**({"due_at": NOW - timedelta(seconds=1)} | values))


def attempt_of(delivery: Delivery, outcome: str = "succeeded", **values: Any) -> EndedAttempt:
    key = uuid7()
    return EndedAttempt(key, delivery.id, 1, "scheduled", 0, NOW, outcome, error_kind="kind")._replace(**values)


def recorded(delivery: Delivery, **values: Any) -> RecordedDelivery:
    assert delivery.lease is not None
    state = RecordedDelivery("succeeded", None, 0, 200, "", None, NOW, delivery.id, delivery.lease)
    return state._replace(**values)
