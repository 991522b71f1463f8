"""Deliveries that fail, and the messages that staff get about them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from deliveries.hooks import DeliveryChange
from deliveries.models import Delivery, FailureGroup
from notifications.channels import CHANNEL_KINDS
from notifications.models import Channel
from notifications.services import on_settled
from tests.factories import DeliveryFactory, FailureGroupFactory, SubscriptionFactory
from tests.receiver import Received, Receiver, answer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TAKEN = answer(201, json.dumps({"sid": "SM1", "status": "queued"}).encode())


def sms_channel(**values: Any) -> Channel:
    base = {"name": "on call", "kind": "sms", "recipients": ["+15550100"], "sender": "+15550199"}
    return Channel.objects.create(**base | {"account_sid": "AC123", "auth_token": "twilio-secret"} | values)


def channel_of(kind: str, **options: str) -> Channel:
    target = CHANNEL_KINDS[kind].target(options)
    values: dict[str, Any] = {"recipients": [target], "options": options}
    return Channel.objects.create(name="on call", kind=kind, **values)


def failing(integration: Any = None) -> tuple[Delivery, FailureGroup]:
    group = FailureGroupFactory(**({"integration": integration} if integration else {}))
    subscription = SubscriptionFactory(integration=group.integration)
    return DeliveryFactory(subscription=subscription, status="failed", failure_group=group), group


def fail(delivery: Delivery, group: FailureGroup, now: datetime = NOW, message: str = "out of paper") -> None:
    settled = DeliveryChange(
        delivery.id, delivery.store_id, delivery.integration_id, "failed", message, group.id, message
    )
    on_settled([settled], now)


def sent_sms(twilio: Receiver) -> list[dict[str, str]]:
    return [{key: values[0] for key, values in parse_qs(request.body.decode()).items()} for request in twilio.requests]


def body(request: Received) -> Any:
    return json.loads(request.body)
