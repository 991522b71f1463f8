"""A day at the desk: deliveries on three integrations, one of which refuses; and a row of everything else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.utils import timezone

from deliveries.models import Engine, Revision
from deliveries.results.attempt_bodies import readable_body, readable_response
from integrations.foundation.identifiers import uuid7
from integrations.models import IntegrationHealth
from tests.doors.addresses import keys_of, routes
from tests.doors.world import make_shared, make_side, make_version
from tests.e2e.desk.morning import BAD, SmsApp, failing_morning
from tests.factories import (
    AccessTokenFactory,
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    IntegrationFactory,
    RecordFactory,
    SecretFactory,
    SubscriptionFactory,
)


@pytest.fixture
def busy_day(receiver: Any, running: Callable[..., None]) -> Any:
    """A day of deliveries on three integrations, one of which refuses."""
    now = timezone.now()
    receiver.script(SmsApp())
    morning = failing_morning(receiver.url(""), 12)
    running()
    delivery = morning.deliveries[0]
    # Somebody has tried another number, and it was refused as well.
    first = delivery.attempts.get(number=1)
    first.delivery = delivery
    again = {name: getattr(first, name) for name in ("method", "url", "request_headers", "response_headers", "outcome",
             "response_status", "error_kind", "error_message", "duration_ms")}  # fmt: skip
    other = "000000000"
    AttemptFactory(
        **again, delivery=delivery, number=2, trigger="manual",
        request_body=readable_body(first).replace(BAD, other).encode(),
        response_body=(readable_response(first) or "").replace(BAD, other).encode(),
    )  # fmt: skip
    Revision.objects.create(
        delivery=delivery, number=1, data={**delivery.event.data, "status": "sent"}, patch=[], author_name="anna",
        reason="It was sent long ago", rejected_at=now,
    )  # fmt: skip
    delivery.refresh_from_db()
    AccessTokenFactory(store=morning.store, name="shop plugin")
    SecretFactory(integration=delivery.integration)
    RecordFactory(store=morning.store, external_id=delivery.event.object_id, data=delivery.event.data)
    erp = IntegrationFactory(store=morning.store, name="ERP", slug="erp")
    subscription = SubscriptionFactory(integration=erp, topics=["order.*"])
    for position in range(240):
        at = now - timedelta(minutes=position * 5 + (position * 7) % 11)
        event = EventFactory(
            id=uuid7(int(at.timestamp() * 1000)), store=morning.store, topic="order.created", object_type="order",
            occurred_at=at, data={"id": str(position)},
        )  # fmt: skip
        for copy in range(1 + position % 3):
            DeliveryFactory(
                id=uuid7(int(at.timestamp() * 1000) + copy), subscription=subscription, event=event, status="succeeded",
                created_at=at, finished_at=at + timedelta(milliseconds=40 + position * 3 % 400), attempt_count=1,
            )  # fmt: skip
    slow = FailureGroupFactory(integration=erp, kind="timeout", message="No answer within 30 s", occurrences=5)
    for _ in range(5):
        DeliveryFactory(
            subscription=subscription, status="retrying", due_at=now + timedelta(minutes=4), failure_group=slow,
            last_error="No answer within 30 s", attempt_count=2,
        )  # fmt: skip
    IntegrationHealth.objects.update_or_create(
        integration=erp, defaults={"breaker": "half_open", "probe_at": now + timedelta(seconds=12)}
    )
    Engine.objects.all().delete()
    Engine.objects.create(host="desk", slot=9, token=uuid.uuid4(), pid=1, started_at=now, beat_at=now)
    return delivery


#: The session's own pages, files for scripts, and what a browser downloads.
LEFT_OUT = {
    "login",
    "logout",
    "jsi18n",
    "autocomplete",
    "deliveries_bulkfix_export",
    "deliveries_delivery_raw",
    "deliveries_delivery_payload",
    "deliveries_delivery_revision",
}


def everything(delivery: Any) -> dict[str, Model]:
    """A row of every model, by the model's name: those of the busy day, and others where it has none."""
    make_version(delivery.subscription, "busy")
    return {
        **make_shared(),
        **make_side("Outlet").rows,
        "delivery": delivery,
        "integration": delivery.integration,
        "store": delivery.store,
        "event": delivery.event,
        "subscription": delivery.subscription,
        "failuregroup": delivery.failure_group,
        "attempt": delivery.attempts.first(),
    }


def addresses(rows: dict[str, Model]) -> dict[str, str]:
    """Every page of the admin by the name of its route, also those that come later; and some with a query."""
    pages = {
        route.name or route.pattern: route.filled(keys_of(route, rows))
        for route in routes()
        if route.name not in LEFT_OUT and "(?P" not in route.pattern
    }
    delivery = f"/admin/deliveries/delivery/{rows['delivery'].pk}"
    return {
        **pages,
        "deliveries_replay_repair_result": f"{pages['deliveries_replay_repair_result']}?tested={rows['delivery'].pk}",
        "all deliveries": "/admin/deliveries/delivery/?tab=all",
        "discard": f"{delivery}/resolve/confirm/?action=discard",
        "revisions": f"{delivery}/compare/?of=revisions",
        "bulk resend": "/admin/deliveries/replay/add/?status=failed",
        "new hub": "/admin/integrations/integration/add/?kind=hub",
        "resolved failures": "/admin/deliveries/failuregroup/?tab=resolved",
        "no event found": "/admin/deliveries/event/?q=nothing",
        "api": "/api/v1/docs/",
    }
