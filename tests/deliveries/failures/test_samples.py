"""Which payloads are compared: of the same subscription and topic, as they were sent, within limits."""

from __future__ import annotations

import time
from itertools import count as count_from
from typing import Any

import pytest
from django.utils import timezone

from deliveries.failures import samples
from deliveries.failures.samples import findings_for
from deliveries.models import Delivery, FailureGroup, Revision
from tests.factories import DeliveryFactory, EventFactory, FailureGroupFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db

NUMBERS = count_from(1)


@pytest.fixture
def subscription() -> Any:
    return SubscriptionFactory()


def make(subscription: Any, count: int, phone: str, **values: Any) -> list[Delivery]:
    topic = values.pop("topic", "shipment.updated")
    made = []
    for _ in range(count):
        number = next(NUMBERS) * 61_803 % 99_991  # in no order
        data = {"id": str(number % 7), "phone": f"{phone}{number:05d}", "status": "sent"}
        event = EventFactory(store=subscription.store, topic=topic, data=data)
        made.append(DeliveryFactory(subscription=subscription, event=event, topic=topic, **values))
    return made


def failing(subscription: Any, count: int, phone: str, group: FailureGroup | None = None, **values: Any) -> Delivery:
    group = group or FailureGroupFactory(integration=subscription.integration)
    return make(subscription, count, phone, status="failed", failure_group=group, **values)[-1]


def said(delivery: Delivery) -> list[str]:
    return [str(finding) for finding in findings_for(delivery)]


def test_failures_of_a_group_are_compared_with_the_subscription_s_successes(subscription: Any) -> None:
    make(subscription, 40, "+49", status="succeeded")
    delivery = failing(subscription, 6, "00")
    assert said(delivery) == ["phone starts with 0 in 6 of 6 failures and in 0 of 40 successes"]


def test_other_topics_subscriptions_and_tests_are_not_looked_at(subscription: Any) -> None:
    make(subscription, 30, "+49", status="succeeded")
    make(subscription, 20, "00", status="succeeded", topic="shipment.created")
    make(subscription, 20, "00", status="succeeded", trigger="test")
    make(SubscriptionFactory(integration=subscription.integration), 20, "00", status="succeeded")
    delivery = failing(subscription, 6, "00")
    failing(subscription, 6, "+49")  # another cause: another group
    assert said(delivery) == ["phone starts with 0 in 6 of 6 failures and in 0 of 30 successes"]


def test_small_groups_of_one_kind_are_taken_together(subscription: Any) -> None:
    """A receiver that words its answer differently each time."""
    make(subscription, 40, "+49", status="succeeded")
    delivery = [failing(subscription, 1, "00") for _ in range(5)][-1]
    assert said(delivery) == ["phone starts with 0 in 5 of 5 failures and in 0 of 40 successes"]


def test_an_edited_payload_is_compared_as_it_was_sent(subscription: Any) -> None:
    make(subscription, 40, "+49", status="succeeded")
    delivery = failing(subscription, 6, "00")
    for other in Delivery.objects.filter(status="failed"):
        data = {**other.event.data, "phone": other.event.data["phone"].replace("00", "+49", 1), "status": "lost"}
        Revision.objects.create(delivery=other, number=1, data=data, patch=[], author_name="bo")
    Delivery.objects.filter(status="failed").update(revision=1)
    assert said(delivery) == ["status is lost in 6 of 6 failures and in 0 of 40 successes"]


def test_successes_from_before_the_outage_are_found(subscription: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SCANNED", 20)
    make(subscription, 20, "+49", status="succeeded")
    time.sleep(0.002)  # ids know milliseconds: the last success is of an earlier one than the outage
    group = FailureGroupFactory(integration=subscription.integration, first_at=timezone.now())
    delivery = failing(subscription, 25, "00", group)
    [finding] = findings_for(delivery)
    assert (finding.failures, finding.successes) == (25, 20)


def test_without_successes_or_a_subscription_nothing_is_said(subscription: Any) -> None:
    delivery = failing(subscription, 6, "00")
    assert said(delivery) == []
    make(subscription, 9, "+49", status="succeeded")
    assert said(delivery) == []
    delivery.subscription_id = None
    assert said(delivery) == []


def test_large_payloads_are_sampled_and_huge_ones_left_out(
    subscription: Any, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(samples, "TEXT_LIMIT", 2_000)
    monkeypatch.setattr(samples, "PAYLOAD_LIMIT", 300)
    make(subscription, 60, "+49", status="succeeded")
    make(subscription, 1, "+49" * 200, status="succeeded")
    delivery = failing(subscription, 60, "00")
    with django_assert_max_num_queries(16):
        [finding] = findings_for(delivery)
    assert 20 < finding.failures < 60
    assert 20 < finding.successes < 60
