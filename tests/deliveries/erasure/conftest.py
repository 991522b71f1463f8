"""A delivery of one person, and all that may have come of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from deliveries.models import (
    BulkFix,
    BulkFixItem,
    CaseComment,
    DeliveryDocument,
    IdempotencyKey,
    OperationalEvent,
    Proposal,
    Revision,
    SavedView,
    Simulation,
    SourceRequest,
)
from deliveries.search import indexing
from integrations.foundation.audit import Actor, record_change
from integrations.security.encryption import encrypt_bytes
from notifications.models import ChannelMessage
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    NotificationFactory,
    RecordFactory,
    SourceFactory,
    SubscriptionFactory,
    UserFactory,
)

PHONE = "+4915123456"
ADA = Actor(None, "ada")


@pytest.fixture
def failed() -> Any:
    """A delivery of Anna's, and all that may have come of it."""
    subscription = SubscriptionFactory()
    store = subscription.store
    event = EventFactory(store=store, object_id="1001", data={"id": "1001", "phone": PHONE, "name": "Anna"})
    group = FailureGroupFactory(integration=subscription.integration, message=f"{PHONE} is not a phone number")
    delivery = DeliveryFactory(
        subscription=subscription,
        event=event,
        status="failed",
        failure_group=group,
        attempt_count=1,
        last_error=f"{PHONE} is not a phone number",
    )
    group.sample = delivery
    group.save()
    now = timezone.now()
    AttemptFactory(
        delivery=delivery,
        number=1,
        outcome="failed",
        url=f"https://a.example/{PHONE}",
        request_body=encrypt_bytes(b'{"phone": "%s"}' % PHONE.encode()),
        is_body_encrypted=True,
        response_body=b"Anna has no phone",
        error_kind="status",
        error_message=f"{PHONE} is not a phone number",
    )
    Revision.objects.create(
        delivery=delivery, number=1, data={"phone": f"{PHONE}7"}, patch=[{"value": PHONE}], author_name="bo",
        is_awaiting_approval=True,
    )  # fmt: skip
    RecordFactory(store=store, type="shipment", external_id="1001", data={"phone": PHONE})
    IdempotencyKey.objects.create(store=store, key=PHONE, body_hash="0", response={}, created_at=now)
    fix = BulkFix.objects.create(
        store=store, status="sent", rules=[{"rule": "replace", "find": PHONE}], author_name="bo", created_at=now
    )
    BulkFixItem.objects.create(fix=fix, delivery_id=delivery.pk, change={"value": PHONE})
    CaseComment.objects.create(case=group, author_name="bo", text=f"Called {PHONE}: wrong number", created_at=now)
    notification = NotificationFactory(
        store=store, integration=subscription.integration, delivery=delivery, summary=f"{PHONE} is not a number"
    )
    ChannelMessage.objects.create(
        channel=_channel(), notification=notification, recipient="ops@example.com", text=f"{PHONE} failed",
        send_after=now, window=1, created_at=now, status="sent",
    )  # fmt: skip
    source = SourceFactory(store=store)
    SourceRequest.objects.create(
        source=source, received_at=now, verdict="accepted", status=202, method="POST", body_size=20,
        body=b'{"from": "%s"}' % PHONE.encode(),
    )  # fmt: skip
    record_change(
        actor=ADA, action="edit", target=delivery, store=store, before={"phone": PHONE}, reason=f"for {PHONE}"
    )
    Proposal.objects.create(
        store=store, action="edit", values={"payload": {"phone": PHONE}}, delivery_id=delivery.pk, author_name="a token",
        created_at=now,
    )  # fmt: skip
    proposed: Any = {"filter": f"phone == '{PHONE}'"}
    Simulation.objects.create(
        store=store, kind="subscription", target_id=str(subscription.pk), proposed=proposed,
        limit=1, steps_left=1, created_at=now,
    )  # fmt: skip
    SavedView.objects.create(owner=UserFactory(), name="Anna", query=urlencode({"q": f"phone:{PHONE}"}))
    OperationalEvent.objects.create(
        store=store,
        topic="hookdesk.delivery.failed",
        reference=str(delivery.pk),
        data={"reason": PHONE},
        created_at=now,
    )
    indexing.run(now + timedelta(minutes=5))
    assert DeliveryDocument.objects.filter(text__contains=PHONE).exists()
    session = SessionStore()
    session["wizard"] = {str(delivery.pk): {"text": f'{{"phone": "{PHONE}"}}'}}
    session["other"] = "stays"
    session.save()
    return delivery


def _channel() -> Any:
    from notifications.models import Channel

    return Channel.objects.create(name="ops", kind="email", recipients=["ops@example.com"])
