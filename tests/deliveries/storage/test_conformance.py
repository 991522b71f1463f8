"""What both halves of the storage must do alike. Run on SQLite by default, on PostgreSQL with its DATABASE_URL.

Its other parts are `test_claims`, `test_reservations`, `test_pushes` and `test_results`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import pytest
from django.db import connection, transaction

from deliveries.models import FailureGroup
from deliveries.storage import Backend
from deliveries.storage.columns import Selected
from deliveries.storage.counters import Counters
from deliveries.storage.postgresql import PostgreSQL
from deliveries.storage.rows.claims import ClaimedDelivery
from deliveries.storage.sqlite import SQLite
from integrations.models import Store
from tests.deliveries.storage.queued import NOW, due

pytestmark = pytest.mark.django_db


def public(of: type) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")}


def test_both_halves_have_all_of_the_interface_and_nothing_else():
    assert public(SQLite) == public(PostgreSQL) == public(Backend)


class Numbers(NamedTuple):
    sql: str
    expected: int


def test_expressions_mean_the_same(storage):
    delivery = due(created_at=NOW, finished_at=NOW + timedelta(milliseconds=250))
    expressions = [
        Numbers(storage.unix_seconds("created_at"), int(NOW.timestamp())),
        Numbers(f"round({storage.milliseconds('created_at', 'finished_at')})", 250),
        *(Numbers(storage.bin_of(str(value), (5, 10)), place) for value, place in [(4, 0), (5, 1), (9, 1), (10, 2)]),
    ]
    columns = ", ".join(expression.sql for expression in expressions)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM deliveries_delivery WHERE created_at IS NOT NULL AND 1 = %s", [1])
        (row,) = cursor.fetchall()
    assert [int(value) for value in row] == [expression.expected for expression in expressions]
    assert delivery.pk


def test_text_sorts_as_python_does_under_the_byte_collation(storage):
    from django.db.models.functions import Collate

    stores = [Store.objects.create(name=name) for name in ("b", "B", "a-b", "aa", "Ä", "_")]
    found = Store.objects.filter(id__in=[store.id for store in stores]).order_by(
        Collate("name", storage.byte_collation)
    )
    assert [store.name for store in found] == sorted(store.name for store in stores)


def test_large_tables_are_estimated_without_an_error_when_they_are_empty(storage):
    assert storage.estimated_rows("deliveries_delivery") >= 0
    with transaction.atomic():
        storage.prefer_indexes()


def test_the_servers_clock_is_a_moment_or_this_machines(storage):
    clock = storage.server_clock()
    assert clock is None or clock.tzinfo is not None


def test_counters_add_replace_compute_and_keep():
    delivery = due()
    counters = Counters(
        FailureGroup,
        unique=("integration_id", "kind", "fingerprint"),
        added=("occurrences",),
        replaced=("message", "last_at"),
        computed={"title": "deliveries_failuregroup.title || excluded.title"},
    )
    row = {
        "store_id": delivery.store_id, "integration_id": delivery.integration_id, "kind": "k", "fingerprint": "f",
        "message": "old", "title": "a", "status": "open", "occurrences": 2, "sample_id": delivery.id,
        "first_at": NOW, "last_at": NOW,
    }  # fmt: skip
    (pk,) = counters.add([row]).values()
    later = NOW + timedelta(hours=1)
    news = row | {"message": "new", "title": "b", "occurrences": 3, "first_at": later, "last_at": later}
    assert counters.add([news, news | {"fingerprint": "g"}])[delivery.integration_id, "k", "f"] == pk
    group = FailureGroup.objects.get(id=pk)
    assert (group.occurrences, group.message, group.title) == (5, "new", "ab")
    assert (group.first_at, group.last_at, group.sample_id) == (NOW, later, delivery.id)
    assert FailureGroup.objects.count() == 2


def test_a_spelling_of_a_column_that_is_none_is_refused():
    with pytest.raises(ValueError, match="ClaimedDelivery has no column first_sent"):
        Selected(ClaimedDelivery, converted={}, spelled={"first_sent": "now()"})
