"""Results and attempts, in both halves of the storage alike."""

from __future__ import annotations

import pytest

from deliveries.models import Attempt, Delivery, FailureGroup
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery
from integrations.foundation.identifiers import uuid7
from tests.deliveries.storage.queued import NOW, attempt_of, due, recorded

pytestmark = pytest.mark.django_db


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
