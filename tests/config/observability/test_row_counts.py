"""`/metrics` reads indexes and a bounded number of rows, however much the tables hold."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.observability import metrics, row_counts
from deliveries.models import Delivery
from deliveries.storage import backend
from tests.factories import AttemptFactory, DeliveryFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept() -> None:
    """Eight deliveries that succeeded, and one or two of each other status."""
    subscription = SubscriptionFactory()
    now = timezone.now()
    for status, number in {"succeeded": 8, "failed": 2, "discarded": 1, "superseded": 2}.items():
        DeliveryFactory.create_batch(number, subscription=subscription, status=status)
    DeliveryFactory.create_batch(2, subscription=subscription, due_at=now)
    DeliveryFactory(subscription=subscription, status="retrying", due_at=now + timedelta(hours=1))
    AttemptFactory(delivery=Delivery.objects.first())


EXPECTED = {
    "succeeded": 8, "failed": 2, "discarded": 1, "superseded": 2, "pending": 2, "retrying": 1, "sending": 0,
}  # fmt: skip


def test_few_are_counted_exactly(kept: None) -> None:
    assert row_counts.delivery_counts() == EXPECTED
    assert row_counts.event_count() == sum(EXPECTED.values())


def test_many_come_from_indexes_and_an_estimate(kept: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_counts, "EXACT", 5)
    monkeypatch.setattr(backend(), "estimated_rows", lambda table: 1_016)
    assert row_counts.delivery_counts() == EXPECTED | {"succeeded": 1_008}


def test_the_estimate_is_the_databases(kept: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_counts, "EXACT", 5)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE deliveries_event")
    assert row_counts.event_count() == sum(EXPECTED.values())


def test_what_an_index_gives_is_bounded(kept: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_counts, "EXACT", 5)
    monkeypatch.setattr(row_counts, "MOST_COUNTED", 1)
    found = row_counts.delivery_counts()
    assert (found["failed"], found["superseded"]) == (1, 1)


@pytest.mark.parametrize("exact", [5, 10_000])
def test_no_statement_of_a_scrape_counts_a_table(kept: None, monkeypatch: pytest.MonkeyPatch, exact: int) -> None:
    monkeypatch.setattr(row_counts, "EXACT", exact)
    monkeypatch.setattr(metrics, "_kept", None)
    with CaptureQueriesContext(connection) as queries:
        assert Client().get("/metrics").status_code == 200
    monkeypatch.setattr(metrics, "_kept", None)
    statements = [query["sql"] for query in queries]
    large = re.compile(r"deliveries_(delivery|event|attempt|record)\b")
    statements = [text for text in statements if "pg_class" not in text]
    counting = [text for text in statements if large.search(text) and re.search(r"count\(|sum\(", text, re.IGNORECASE)]
    assert counting
    for text in counting:
        assert re.search(r"FROM \(SELECT .* LIMIT \d+\) AS", text), text


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        *((condition, status) for status, condition in row_counts._BY_INDEX.items()),
        ("due_at IS NOT NULL", "pending"),
    ],
)
def test_each_condition_is_that_of_an_index(kept: None, condition: str, index: str) -> None:
    names: dict[str, Any] = {
        "sending": "delivery_in_flight", "retrying": "delivery_failing", "failed": "delivery_failing",
        "discarded": "delivery_set_aside", "superseded": "delivery_set_aside", "pending": "delivery_due",
    }  # fmt: skip
    query = f"SELECT 1 FROM deliveries_delivery WHERE {condition} LIMIT 100"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {query}")
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {query}")
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert names[index] in plan
