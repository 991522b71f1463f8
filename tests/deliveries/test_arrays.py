"""Values of many rows for one statement, as PostgreSQL and SQLite take them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from deliveries.arrays import BIG_NUMBER, BYTES, FLAG, KEY, NUMBER, TEXT, TIME, as_cells
from deliveries.sql import execute_prepared, to_key, to_time

TIMES = st.integers(0, 250_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds + 0.5, UTC))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
KINDS = {
    "uuid[]": (KEY, st.uuids()),
    "timestamptz[]": (TIME, TIMES),
    "int[]": (NUMBER, st.integers(-(2**31), 2**31 - 1)),
    "bigint[]": (BIG_NUMBER, st.integers(-(2**63), 2**63 - 1)),
    "bool[]": (FLAG, st.booleans()),
    "text[]": (TEXT, TEXTS),
    "bytea[]": (BYTES, st.binary()),
}


@pytest.mark.postgresql
@pytest.mark.parametrize("name", KINDS)
def test_an_array_comes_back_as_it_was_sent(db, name):
    kind, values = KINDS[name]
    nullable = values if name == "bool[]" else st.none() | values

    @settings(max_examples=40, deadline=None)
    @given(st.lists(nullable, max_size=8))
    def check(sent):
        ((returned,),) = execute_prepared(f"SELECT %s::{name}", [kind.as_array(sent)])
        assert returned == sent

    check()


@pytest.mark.postgresql
def test_statements_are_prepared_and_keep_their_plan(db):
    for number in range(3):
        assert execute_prepared("SELECT %s::int + 1", [number]) == [(number + 1,)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%int + 1%'"
        )
        assert cursor.fetchall() == [(3, 0)]


@given(st.lists(st.tuples(st.uuids(), st.none() | TIMES, TEXTS), min_size=1, max_size=8))
def test_cells_are_what_sqlite_keeps(rows):
    cells = as_cells((KEY, TIME, TEXT), rows)
    assert [UUID(key) for key, _, _ in cells] == [to_key(key) for key, _, _ in rows]
    if connection.vendor == "sqlite":
        assert [to_time(moment) for _, moment, _ in cells] == [moment for _, moment, _ in rows]
    assert [text for _, _, text in cells] == [text for _, _, text in rows]
