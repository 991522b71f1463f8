"""What both halves of the storage must do alike. Run on SQLite by default, on PostgreSQL with its DATABASE_URL."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from django.db import connection, transaction
from django.utils import timezone

from deliveries.models import Attempt, Delivery, Event, FailureGroup, IdempotencyKey, PushWindow, Record
from deliveries.storage import Backend, backend
from deliveries.storage.columns import Selected
from deliveries.storage.counters import Counters
from deliveries.storage.locks import lock_order_keys
from deliveries.storage.postgresql import PostgreSQL
from deliveries.storage.rows.claims import LEASE_GRACE, ClaimedDelivery
from deliveries.storage.rows.pushes import (
    DeliveryRow,
    EventRow,
    IdempotencyRecord,
    PlanIsStale,
    PushRows,
    RecordRow,
    RecordsExist,
)
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery
from deliveries.storage.sqlite import SQLite
from integrations.foundation.identifiers import uuid7
from integrations.models import ConfigVersion, IntegrationHealth, Store
from tests.factories import DeliveryFactory, IntegrationFactory, RecordFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def storage() -> Backend:
    return backend()


def public(of: type) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")}


def test_both_halves_have_all_of_the_interface_and_nothing_else():
    assert public(SQLite) == public(PostgreSQL) == public(Backend)


# --- claims -----------------------------------------------------------------------------------------------------------


def due(**values) -> Delivery:
    return DeliveryFactory(**({"due_at": NOW - timedelta(seconds=1)} | values))


def leased(storage: Backend, *deliveries: Delivery, room: int = 10, now: datetime = NOW):
    lease = uuid7()
    with transaction.atomic():
        storage.lock_claims()
        shares = dict.fromkeys([delivery.integration_id for delivery in deliveries], room)
        return lease, storage.lease(shares, lease, now)


def test_a_leased_row_is_what_the_database_holds_after_the_claim(storage):
    delivery = due(attempt_count=2, retry_count=1, crash_count=1, order_key="order/1", revision=3)
    lease, found = leased(storage, delivery)
    (row,) = found.rows
    before, event = delivery, delivery.event
    delivery = Delivery.objects.get(id=delivery.id)
    assert (row.id, row.lease, delivery.lease) == (delivery.id, lease, lease)
    assert (row.store_id, row.integration_id) == (delivery.store_id, delivery.integration_id)
    assert row.subscription_id == delivery.subscription_id
    assert (row.attempt_number, delivery.attempt_count) == (3, 3)
    assert (row.retry_count, row.crash_count, delivery.crash_count) == (1, 1, 1)
    assert (row.revision, row.order_key, row.failure_group_id) == (3, "order/1", None)
    assert row.first_sent_at == delivery.first_sent_at == NOW
    assert (row.event_topic, row.event_intent) == (event.topic, event.intent)
    assert (row.object_type, row.object_id, row.origin) == (event.object_type, event.object_id, event.origin)
    assert abs(row.occurred_at - event.occurred_at) < timedelta(microseconds=2)
    assert (row.hops, row.cascade_left) == (event.hops, event.cascade_left)
    assert (row.trigger, row.was_sending, row.is_test) == (before.trigger, False, False)
    assert row.timeout == delivery.integration.timeout
    assert delivery.status == Delivery.Status.SENDING
    assert delivery.due_at == NOW + timedelta(seconds=delivery.integration.timeout + LEASE_GRACE)
    assert found.config_version == ConfigVersion.objects.get(id=1).version
    assert found.unreadable == []


def test_types_of_a_leased_row_are_exact(storage):
    (row,) = leased(storage, due(order_key=None))[1].rows
    assert [type(value) for value in (row.id, row.store_id, row.subscription_id)] == [uuid.UUID] * 3
    assert row.lease_ended_at is None
    assert row.first_sent_at.tzinfo is not None
    assert row.occurred_at.tzinfo is not None
    assert type(row.data_json) is str


def test_a_lease_that_ran_out_counts_as_a_crash_and_keeps_when_it_was_first_sent(storage):
    first = NOW - timedelta(minutes=5)
    delivery = due(status="sending", lease=uuid7(), attempt_count=1, crash_count=1, first_sent_at=first)
    _, found = leased(storage, delivery)
    (row,) = found.rows
    assert (row.was_sending, row.crash_count, row.first_sent_at) == (True, 2, first)
    assert row.lease_ended_at == delivery.due_at
    delivery.refresh_from_db()
    assert (delivery.crash_count, delivery.first_sent_at) == (2, first)


@pytest.mark.parametrize(("before", "after"), [("test", "test"), ("manual", "scheduled"), ("scheduled", "scheduled")])
def test_a_trigger_stays_until_its_attempt_has_ended_and_is_used_up_then(storage, before, after):
    delivery = due(trigger=before)
    _, found = leased(storage, delivery)
    delivery.refresh_from_db()
    assert ([row.trigger for row in found.rows], delivery.trigger) == ([before], before)
    storage.record_results([recorded(delivery)], [attempt_of(delivery)])
    delivery.refresh_from_db()
    assert (delivery.status, delivery.trigger) == ("succeeded", after)


@pytest.mark.parametrize(("before", "after"), [("test", "test"), ("manual", "scheduled"), ("scheduled", "scheduled")])
def test_a_trigger_is_used_up_by_an_attempt_that_nobody_lived_to_record(storage, before, after):
    delivery = due(status="sending", lease=uuid7(), attempt_count=1, trigger=before)
    (row,) = leased(storage, delivery)[1].rows
    delivery.refresh_from_db()
    assert (row.interrupted_trigger, row.trigger, delivery.trigger) == (before, after, after)


def test_each_integration_gets_its_share_earliest_first_and_nothing_that_is_not_due(storage):
    first = due(due_at=NOW - timedelta(seconds=9))
    same = {"subscription": first.subscription}
    second, _third = due(due_at=NOW - timedelta(seconds=8), **same), due(due_at=NOW - timedelta(seconds=7), **same)
    due(due_at=NOW + timedelta(seconds=1), **same)
    other, later = due(), due(due_at=NOW + timedelta(microseconds=1))
    _, found = leased(storage, first, other, later, room=2)
    assert {row.id for row in found.rows} == {first.id, second.id, other.id}


def test_nothing_due_is_no_rows_and_no_version(storage):
    assert leased(storage, due(due_at=NOW + timedelta(seconds=1)))[1] == ([], None, [])


def test_queues_are_those_of_enabled_integrations_with_anything_queued(storage):
    delivery = due()
    integration = delivery.integration
    due(subscription=delivery.subscription, due_at=NOW + timedelta(minutes=1))
    due(subscription=delivery.subscription, status="sending", lease=uuid7(), due_at=NOW + timedelta(minutes=1))
    due(subscription=delivery.subscription, status="sending", lease=uuid7(), due_at=NOW - timedelta(minutes=1))
    due(subscription=SubscriptionFactory(integration=IntegrationFactory(is_enabled=False)))
    due(status="succeeded", due_at=None)
    IntegrationHealth.objects.update_or_create(
        integration_id=integration.id,
        defaults={"breaker": "open", "probe_at": NOW, "rate_tokens": 1.5, "rate_refilled_at": NOW,
                  "last_success_at": NOW, "consecutive_failures": 0},
    )  # fmt: skip
    (queue,) = storage.queued_integrations(NOW)
    assert (queue.integration_id, queue.next_due, queue.in_flight) == (integration.id, NOW - timedelta(minutes=1), 1)
    assert (queue.max_in_flight, queue.rate_limit) == (integration.max_in_flight, integration.rate_limit)
    assert (queue.breaker, queue.probe_at, queue.throttled_until) == ("open", NOW, None)
    assert (queue.rate_tokens, queue.rate_refilled_at) == (1.5, NOW)
    assert (queue.is_failing, queue.answered_last) == (False, True)


def test_an_integration_without_health_is_well(storage):
    integration = due().integration
    IntegrationHealth.objects.filter(integration=integration).delete()
    (queue,) = storage.queued_integrations(NOW)
    assert (queue.breaker, queue.probe_at, queue.rate_tokens) == ("closed", None, 0)
    assert (queue.is_failing, queue.answered_last) == (False, False)


def test_locks_may_be_taken_again(storage):
    with transaction.atomic():
        storage.lock_claims()
        storage.lock_claims()
        lock_order_keys({(uuid7(), "order/1"), (uuid7(), "order/2")})
        lock_order_keys(())


# --- pushes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def subscription():
    return SubscriptionFactory()


def rows_for(subscription, *, read_version: int = 0, hops: int = 0) -> PushRows:
    store = Store.objects.get(id=subscription.integration.store_id)
    event = EventRow(uuid7(), "order.created", None, "order", "O'1", '{"id":"O\'1","n":"é"}', NOW, hops)
    if hops:
        event.cascade_left, event.is_stopped = 7, True
    held = DeliveryRow(uuid7(), event.id, subscription.integration_id, subscription.id, "order.created", "order/O'1")
    sent = replace(held, id=uuid7(), order_key=None, due_at=NOW)
    record = RecordRow("order", "O'1", event.data_json, read_version + 1, read_version)
    return PushRows(store.id, store.config_version, "push", NOW, False, [record], [event], [held, sent])


@pytest.mark.parametrize("hops", [0, 2])
def test_a_push_is_stored_as_it_was_given(storage, subscription, hops):
    rows = rows_for(subscription, hops=hops)
    storage.write_push(rows, IdempotencyRecord("k", "hash", {"order": 1}))
    (event,), (record,), (key,) = Event.objects.all(), Record.objects.all(), IdempotencyKey.objects.all()
    (given,) = rows.events
    assert (event.id, event.store_id, event.topic, event.intent) == (given.id, rows.store_id, given.topic, None)
    assert (event.object_type, event.object_id, event.data) == ("order", "O'1", {"id": "O'1", "n": "é"})
    assert (event.origin, event.occurred_at, event.created_at) == ("push", NOW, NOW)
    assert (event.hops, event.cascade_left, event.is_stopped) == (hops, 7 if hops else None, bool(hops))
    assert (record.type, record.external_id, record.version, record.data) == ("order", "O'1", 1, event.data)
    assert (key.key, key.body_hash, key.response, key.store_id) == ("k", "hash", {"order": 1}, rows.store_id)
    held, sent = (Delivery.objects.get(id=row.id) for row in rows.deliveries)
    assert (held.due_at, held.order_key, held.status, held.trigger) == (None, "order/O'1", "pending", "scheduled")
    assert (sent.due_at, sent.order_key, sent.created_at) == (NOW, None, NOW)
    assert (sent.event_id, sent.integration_id, sent.subscription_id) == (
        event.id, subscription.integration_id, subscription.id,
    )  # fmt: skip
    assert (sent.attempt_count, sent.retry_count, sent.crash_count, sent.revision) == (0, 0, 0, 0)
    assert (sent.is_awaiting_source, sent.last_error, sent.lease) == (False, "", None)


def changed_configuration(storage, rows: PushRows) -> None:
    rows.config_version += 1


def record_that_came_to_be(storage, rows: PushRows) -> None:
    RecordFactory(store_id=rows.store_id, type="order", external_id="O'1", data={}, version=1)


def record_that_changed(storage, rows: PushRows) -> None:
    record_that_came_to_be(storage, rows)
    rows.records[0].read_version = 2


def key_that_was_used(storage, rows: PushRows) -> None:
    IdempotencyKey.objects.create(
        store_id=rows.store_id, key="k", body_hash="other", response={}, created_at=timezone.now()
    )


@pytest.mark.parametrize(
    "spoil", [changed_configuration, record_that_came_to_be, record_that_changed, key_that_was_used]
)
@pytest.mark.parametrize("is_inside", [False, True])
def test_a_premise_that_does_not_hold_stores_nothing(storage, subscription, spoil, is_inside):
    rows = rows_for(subscription)
    spoil(storage, rows)
    if is_inside:
        with transaction.atomic():
            with pytest.raises(PlanIsStale):
                storage.write_push(rows, IdempotencyRecord("k", "hash", {}))
            assert Store.objects.filter(id=rows.store_id).exists()  # the transaction around it goes on
    else:
        with pytest.raises(PlanIsStale):
            storage.write_push(rows, IdempotencyRecord("k", "hash", {}))
    assert not Event.objects.exists()
    assert not Delivery.objects.exists()


def test_a_record_is_written_over_the_version_that_was_read(storage, subscription):
    storage.write_push(rows_for(subscription))
    storage.write_push(rows_for(subscription, read_version=1))
    assert Record.objects.get().version == 2
    with pytest.raises(PlanIsStale):
        storage.write_push(rows_for(subscription, read_version=1))


def test_a_wrong_guess_stores_nothing_and_gives_what_there_is(storage, subscription):
    rows = rows_for(subscription)
    rows.assumes_new = True
    storage.write_push(rows)
    again = rows_for(subscription)
    again.assumes_new = True
    with pytest.raises(RecordsExist) as raised:
        storage.write_push(again)
    assert raised.value.known == {("order", "O'1"): (1, {"id": "O'1", "n": "é"})}
    assert Event.objects.count() == 1


def test_a_push_of_nothing_but_a_key_and_one_that_notifies(storage, subscription):
    rows = rows_for(subscription)
    empty = PushRows(rows.store_id, rows.config_version, "push", NOW)
    storage.write_push(empty, IdempotencyRecord("k", "hash", []), notifies=True)
    assert IdempotencyKey.objects.get().response == []


@pytest.mark.parametrize("method", ["existing_records", "locked_records"])
def test_records_that_exist_are_found_by_type_and_id(storage, subscription, method):
    store = subscription.integration.store
    for kind, external_id in [("order", "1"), ("order", "ü"), ("item", "1"), ("order", "3")]:
        RecordFactory(store=store, type=kind, external_id=external_id, data={"a": [kind]}, version=4)
    wanted = {("order", "1"), ("order", "ü"), ("item", "1"), ("item", "2")}
    with transaction.atomic():
        found = getattr(storage, method)(store.id, wanted)
    assert found == {key: (4, {"a": [key[0]]}) for key in wanted - {("item", "2")}}


def test_more_records_than_one_statement_takes_are_found(storage, subscription):
    store = subscription.integration.store
    Record.objects.bulk_create(
        RecordFactory.build(store=store, type="order", external_id=str(number), version=1) for number in range(1_201)
    )
    assert len(storage.existing_records(store.id, {("order", str(number)) for number in range(1_300)})) == 1_201


def test_configuration_can_be_held_by_a_push_that_then_writes(storage, subscription):
    rows = rows_for(subscription)
    with transaction.atomic():
        storage.hold_configuration(rows.store_id)
        storage.write_push(rows)
    assert Event.objects.count() == 1


def test_pushes_are_counted_within_a_second_and_never_back(storage, subscription):
    store = subscription.integration.store
    before = storage.count_pushes(store.id, 2)
    assert before.used == 2
    assert before.second <= before.now
    # A clock that is ahead has been here: what is counted now counts into its second.
    PushWindow.objects.filter(store_id=store.id).update(second=before.second + 1_000, used=5)
    assert storage.count_pushes(store.id, 3)[:2] == (8, before.second + 1_000)
    PushWindow.objects.filter(store_id=store.id).update(second=before.second - 1_000, used=5)
    assert storage.count_pushes(store.id, 3).used == 3


# --- results ----------------------------------------------------------------------------------------------------------


def attempt_of(delivery: Delivery, outcome: str = "succeeded", **values) -> EndedAttempt:
    key = uuid7()
    return EndedAttempt(key, delivery.id, 1, "scheduled", 0, NOW, outcome, error_kind="kind")._replace(**values)


def recorded(delivery: Delivery, **values) -> RecordedDelivery:
    assert delivery.lease is not None
    state = RecordedDelivery("succeeded", None, 0, 200, "", None, NOW, delivery.id, delivery.lease)
    return state._replace(**values)


def outcomes(delivery: Delivery) -> list[str]:
    return list(Attempt.objects.filter(delivery=delivery).order_by("number").values_list("outcome", flat=True))


def test_an_attempt_is_written_as_it_was_given(storage):
    delivery = due()
    row = EndedAttempt(
        uuid7(), delivery.id, 2, "manual", 3, NOW, "failed", 12, "kind", "mess\n'age", "summary",
        "POST", "https://x/é", '[["C","d"]]', b"\0'\xff", True, 200, '[["A","b"]]', b"\0\xff", True,
    )  # fmt: skip
    storage.write_attempts([row, attempt_of(delivery)])
    attempt = Attempt.objects.get(id=row.id)
    assert (attempt.delivery_id, attempt.number, attempt.trigger, attempt.revision) == (delivery.id, 2, "manual", 3)
    assert (attempt.started_at, attempt.outcome, attempt.duration_ms) == (NOW, "failed", 12)
    assert (attempt.error_kind, attempt.error_message, attempt.summary) == ("kind", "mess\n'age", "summary")
    assert (attempt.method, attempt.url, attempt.request_headers) == ("POST", "https://x/é", [["C", "d"]])
    assert (bytes(attempt.request_body), attempt.is_body_encrypted) == (b"\0'\xff", True)
    assert (attempt.response_status, attempt.response_headers) == (200, [["A", "b"]])
    assert (bytes(attempt.response_body), attempt.is_response_truncated) == (b"\0\xff", True)
    other = Attempt.objects.get(delivery=delivery, number=1)
    assert (other.method, other.request_headers, bytes(other.request_body)) == ("", [], b"")
    assert (other.response_status, other.response_headers, other.response_body) == (None, None, None)


@pytest.mark.parametrize(
    ("before", "after"),
    [("unknown", "failed"), ("running", "failed"), ("succeeded", "succeeded"), ("late", "late")],
)
def test_only_an_attempt_whose_end_is_unknown_is_replaced(storage, before, after):
    delivery = due()
    first = attempt_of(delivery, before)
    storage.write_attempts([first])
    storage.write_attempts([attempt_of(delivery, "failed", method="POST", request_body=b"exact")])
    attempt = Attempt.objects.get(delivery=delivery)
    is_replaced = after == "failed"
    assert (attempt.id, attempt.outcome) == (first.id, after)
    assert (attempt.method, bytes(attempt.request_body)) == (("POST", b"exact") if is_replaced else ("", b""))


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, "unknown"), ("running", "unknown"), ("unknown", "unknown"), ("late", "late"), ("succeeded", "succeeded")],
)
def test_an_interrupted_attempt_gets_its_row_once_and_takes_nothing_from_one_that_is_there(storage, before, after):
    delivery = due()
    if before is not None:
        storage.write_attempts([attempt_of(delivery, before, method="POST", request_body=b"exact")])
    for _ in range(2):
        storage.interrupt_attempts([attempt_of(delivery, "unknown", error_kind="interrupted")])
    attempt = Attempt.objects.get(delivery=delivery)
    assert (attempt.outcome, bytes(attempt.request_body)) == (after, b"" if before is None else b"exact")
    assert (attempt.error_kind == "interrupted") == (before in (None, "running"))


@pytest.mark.parametrize("is_alone", [False, True])
def test_only_those_whose_lease_stands_are_recorded_and_the_attempts_of_the_others_are_late(storage, is_alone):
    ours, taken, ended = (due(status="sending", lease=uuid7(), crash_count=2) for _ in range(3))
    Delivery.objects.filter(id=ended.id).update(status="discarded", due_at=None, lease=None, finished_at=NOW)
    group = FailureGroup.objects.create(
        store_id=ours.store_id, integration=ours.integration, kind="k", fingerprint="f", message="", title="",
        first_at=NOW, last_at=NOW,
    )  # fmt: skip
    state = RecordedDelivery("retrying", NOW, 3, 500, "it's", group.id, None, ours.id, ours.lease)
    others = [state._replace(id=taken.id, lease=uuid7()), state._replace(id=ended.id, lease=ended.lease)]
    record = storage.record_alone if is_alone else storage.record_results
    assert record([state, *others], [attempt_of(one, "failed") for one in (ours, taken, ended)]) == {ours.id}
    ours.refresh_from_db()
    assert (ours.status, ours.due_at, ours.retry_count, ours.last_status) == ("retrying", NOW, 3, 500)
    assert (ours.last_error, ours.failure_group_id, ours.finished_at) == ("it's", group.id, None)
    assert (ours.lease, ours.crash_count) == (None, 0)
    assert Delivery.objects.get(id=taken.id).lease == taken.lease
    assert Delivery.objects.get(id=ended.id).status == "discarded"
    assert [outcomes(one) for one in (ours, taken, ended)] == [["failed"], ["late"], ["late"]]


def test_a_late_result_of_a_delivery_that_was_pruned_leaves_nothing(storage):
    delivery = due(status="sending", lease=uuid7())
    rows = [recorded(delivery)], [attempt_of(delivery)]
    Delivery.objects.filter(id=delivery.id).delete()
    assert (storage.record_results(*rows), storage.record_alone(*rows)) == (set(), set())
    storage.write_attempts(rows[1])
    assert not Attempt.objects.exists()


def test_recording_again_what_was_recorded_changes_nothing(storage):
    delivery = due(status="sending", lease=uuid7())
    rows = [recorded(delivery)], [attempt_of(delivery)]
    assert (storage.record_results(*rows), storage.record_results(*rows)) == ({delivery.id}, set())
    assert outcomes(delivery) == ["succeeded"]


def test_nothing_is_recorded_alone_while_a_delivery_awaits_its_source(storage):
    delivery, awaiting = due(status="sending", lease=uuid7()), due(status="failed", due_at=None, finished_at=NOW)
    rows = [recorded(delivery)], [attempt_of(delivery)]
    Delivery.objects.filter(id=awaiting.id).update(is_awaiting_source=True)
    assert storage.record_alone(*rows) is None
    assert (Delivery.objects.get(id=delivery.id).status, outcomes(delivery)) == ("sending", [])
    Delivery.objects.filter(id=awaiting.id).update(is_awaiting_source=False)
    assert storage.record_alone(*rows) == {delivery.id}


def test_nothing_to_write_is_nothing_written(storage):
    storage.write_attempts([])
    storage.interrupt_attempts([])
    assert storage.record_results([], []) == set()


# --- the rest ---------------------------------------------------------------------------------------------------------


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
