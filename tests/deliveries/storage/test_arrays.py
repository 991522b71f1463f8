"""Values of many rows for one statement, as PostgreSQL and SQLite take them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import DataError, OperationalError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from deliveries.storage.arrays import BIG_NUMBER, BYTES, FLAG, KEY, NUMBER, TEXT, TIME, as_cells
from deliveries.storage.sql import execute_plain, execute_prepared, to_key, to_time

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


@pytest.mark.postgresql
def test_no_connection_compiles_what_runs_for_a_millisecond(db):
    assert execute_prepared("SELECT current_setting('jit'), current_setting('plan_cache_mode')", []) == [
        ("off", "force_generic_plan")
    ]


@pytest.mark.postgresql
def test_values_of_other_types_make_another_statement(db):
    query = "SELECT %s::bigint, %s::text"
    sent = [[1, "a"], [2**40, None], [70_000, "é"]]
    assert [execute_prepared(query, values) for values in sent] == [[tuple(values)] for values in sent]


@pytest.mark.postgresql
def test_a_refused_statement_is_djangos_error_and_the_transaction_can_be_rolled_back(db):
    with pytest.raises(DataError), transaction.atomic():
        execute_prepared("SELECT 1 / %s::int", [0])
    assert execute_prepared("SELECT 1 / %s::int", [1]) == [(1,)]


@pytest.mark.postgresql
def test_a_first_statement_begins_the_transaction_that_django_announced(transactional_db):
    with transaction.atomic():
        execute_plain("SELECT set_config('work_mem', '1234kB', true)")
        assert execute_prepared("SELECT current_setting('work_mem')", []) == [("1234kB",)]
    assert execute_prepared("SELECT current_setting('work_mem')", []) != [("1234kB",)]
    with transaction.atomic():
        execute_prepared("SELECT set_config('work_mem', '1234kB', true)", [])
        assert execute_prepared("SELECT current_setting('work_mem')", []) == [("1234kB",)]


@pytest.mark.postgresql
def test_a_lost_connection_is_an_operational_error_and_the_next_one_works(transactional_db):
    with pytest.raises(OperationalError):
        execute_prepared("SELECT pg_terminate_backend(pg_backend_pid())", [])
    connection.close()
    assert execute_prepared("SELECT 1", []) == [(1,)]


@given(st.lists(st.tuples(st.uuids(), st.none() | TIMES, TEXTS), min_size=1, max_size=8))
def test_cells_are_what_sqlite_keeps(rows):
    cells = as_cells((KEY, TIME, TEXT), rows)
    assert [UUID(key) for key, _, _ in cells] == [to_key(key) for key, _, _ in rows]
    if connection.vendor == "sqlite":
        assert [to_time(moment) for _, moment, _ in cells] == [moment for _, moment, _ in rows]
    assert [text for _, _, text in cells] == [text for _, _, text in rows]
