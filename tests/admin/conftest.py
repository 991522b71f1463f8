"""Staff of each role, a failed delivery with its look-alikes, and a client that is one of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from deliveries.models import Attempt, Delivery, FailureGroup
from integrations.models import StaffProfile
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    IntegrationFactory,
    SubscriptionFactory,
    UserFactory,
)

WRONG = "'0000000000' is not a phone number"


@pytest.fixture
def staff(db: None) -> Callable[..., User]:
    """`staff("Operator")` is a member of that group and sees all stores; `staff("Operator", stores=[…])` sees these."""

    def make(role: str | None, stores: Any = (), is_unlimited: bool = True, **values: Any) -> User:
        user: User = UserFactory(is_superuser=role is None, **values)
        if role is not None:
            user.groups.add(Group.objects.get(name=role))
        user.stores.set(stores)
        if not stores and is_unlimited:
            StaffProfile.objects.create(user=user, sees_all_stores=True)
        return user

    return make


@pytest.fixture
def browse(staff: Callable[..., User]) -> Callable[..., Client]:
    """A client that is logged in as a superuser, or as somebody of the given role."""

    def make(role: str | None = None, **values: Any) -> Client:
        client = Client()
        client.force_login(staff(role, **values))
        return client

    return make


@pytest.fixture
def admin(browse: Callable[..., Client]) -> Client:
    return browse()


def shipment(number: int, phone: str) -> dict[str, Any]:
    return {"id": str(number), "status": "ready", "shipping_address": {"firstname": "Joe", "phone": phone}}


@pytest.fixture
def failed(db: None) -> Callable[..., Delivery]:
    """A failed delivery in a group with `others` that fail alike; every second one has another phone number."""

    def make(others: int = 0, integration: Any = None, **values: Any) -> Delivery:
        integration = integration or IntegrationFactory(name="Texting", slug="texting", **values)
        subscription = SubscriptionFactory(integration=integration, topics=["shipment.updated"])
        group = FailureGroupFactory(integration=integration, message=WRONG, occurrences=others + 1)
        made = [_failure(subscription, group, number) for number in range(others + 1)]
        group.sample = made[0]
        group.save()
        return made[0]

    return make


def _failure(subscription: Any, group: FailureGroup, number: int) -> Delivery:
    phone = "0000000000" if number % 2 == 0 else f"000000000{number}"
    at = timezone.now() - timedelta(minutes=5)
    event = EventFactory(
        store=subscription.store, object_id=str(1_000 + number), data=shipment(1_000 + number, phone), occurred_at=at
    )
    delivery: Delivery = DeliveryFactory(
        subscription=subscription,
        event=event,
        status="failed",
        failure_group=group,
        attempt_count=1,
        last_status=500,
        last_error=WRONG,
        created_at=at,
    )
    AttemptFactory(
        delivery=delivery,
        outcome=Attempt.Outcome.FAILED,
        error_message=WRONG,
        response_body=b'{"summary":"' + WRONG.encode() + b'"}',
    )
    return delivery
