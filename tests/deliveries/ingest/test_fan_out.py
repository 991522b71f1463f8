"""One event for thousands of subscriptions, and all of their receivers answer at length: others hardly notice."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from deliveries.models import Attempt, Delivery
from integrations.models import Integration
from subscriptions.models import Subscription
from tests.api_client import ApiClient
from tests.factories import IntegrationFactory, SubscriptionFactory
from tests.receiver import Receiver, answer

pytestmark = pytest.mark.django_db
ANSWER = b"x" * 64 * 1024
SIZES = pytest.mark.parametrize("count", [500, pytest.param(5_000, marks=pytest.mark.slow)])


def resident_bytes() -> int:
    """0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def fan(client: ApiClient, receiver: Receiver, count: int) -> None:
    """So many subscriptions, over fifty integrations."""
    integrations = [
        IntegrationFactory(store=client.store, url=receiver.url("/fan"), retry_policy=[60]) for _ in range(50)
    ]
    Subscription.objects.bulk_create(
        Subscription(store=client.store, integration=integrations[number % 50], topics=["order.*"])
        for number in range(count)
    )
    Integration.objects.filter(store=client.store).update(name="fan")  # the caches look again


@SIZES
def test_an_event_for_very_many_is_stored_in_few_statements_and_sent_to_each(
    receiver: Receiver, deliver: Any, count: int
) -> None:
    client, other = ApiClient(), ApiClient()
    fan(client, receiver, count)
    quiet = SubscriptionFactory(
        integration=IntegrationFactory(store=other.store, url=receiver.url("/quiet")), topics=["order.*"]
    )
    receiver.script(answer(200, ANSWER), path="/fan")
    before = resident_bytes()

    with CaptureQueriesContext(connection) as queries:
        assert client.post("events", {"topic": "order.made", "data": {"id": "1"}}).status_code == 202
    assert len(queries) < 40 + count / 20
    assert other.post("events", {"topic": "order.made", "data": {"id": "1"}}).status_code == 202
    deliver()

    assert Delivery.objects.filter(store=client.store, status="succeeded").count() == count
    assert Delivery.objects.get(subscription=quiet).status == "succeeded"
    targets = [request.target for request in receiver.requests]
    assert (targets.count("/fan"), targets.count("/quiet")) == (count, 1)
    # It came last, and is sent with the first few hundred: engines take from each integration in turn.
    assert targets.index("/quiet") < 1_000
    if connection.vendor == "postgresql":  # SQLite's database of the tests is in this process's memory
        assert resident_bytes() - before < 150_000_000


def test_what_is_kept_of_long_answers_is_bounded(receiver: Receiver, deliver: Any) -> None:
    client = ApiClient()
    fan(client, receiver, 100)
    receiver.script(answer(500, ANSWER * 2))
    client.post("events", {"topic": "order.made", "data": {"id": "1"}})
    deliver()

    kept = [len(bytes(body)) for body in Attempt.objects.values_list("response_body", flat=True)]
    assert len(kept) == 100
    assert max(kept) <= 64 * 1024
    assert max(map(len, Delivery.objects.values_list("last_error", flat=True))) < 2_000


#: All of these have one hash, and so have their negatives.
COLLIDING = [(2**61 - 1) * number for number in range(1, 10_001)]


def test_numbers_with_one_hash_cost_no_more_than_others() -> None:
    client = ApiClient()
    client.post("topics", {"name": "order.made", "schema": {"properties": {"a": {"uniqueItems": True}}}})
    spent = []
    for numbers in (list(range(10**18, 10**18 + len(COLLIDING))), COLLIDING):
        started = time.process_time()
        assert client.post("events", {"topic": "order.made", "data": {"a": numbers}}).status_code == 202
        assert client.post("push", {"orders": [{"id": number} for number in numbers[:2_000]]}).status_code == 202
        spent.append(time.process_time() - started)
    # Quadratic, it would be some hundred times as much.
    assert spent[1] < 10 * spent[0] + 1
