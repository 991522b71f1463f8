"""Replays: by filter, in steps that can be repeated, at a rate, stoppable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries.filters import apply_filters
from deliveries.models import Delivery, FailureGroup, Replay
from deliveries.replay import (
    ReplayError,
    ReplayOutcome,
    Step,
    UnconfirmedError,
    cancel_replay,
    matching,
    outcome_of,
    pause_replay,
    preview,
    resume_replay,
    run,
    run_waiting,
    runner,
    start_replay,
    step,
)
from deliveries.resolution import edit_delivery, history_of
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, Store
from tests.factories import (
    DeliveryFactory,
    FailureGroupFactory,
    IntegrationFactory,
    StoreFactory,
    SubscriptionFactory,
    UserFactory,
)
from tests.receiver import answer

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Actor(None, "ada")


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []
    monkeypatch.setattr(runner, "enqueue", asked.append)
    return asked


def make(count: int = 1, subscription: Any = None, **values: Any) -> list[Delivery]:
    subscription = subscription or SubscriptionFactory()
    return [DeliveryFactory(subscription=subscription, **{"status": "failed"} | values) for _ in range(count)]


def finish(replay: Replay, now: datetime = NOW) -> Replay:
    for _ in range(200):
        if step(replay.id, now).is_over:
            break
        now += timedelta(seconds=1)
    replay.refresh_from_db()
    return replay


def test_all_that_match_are_sent_again_and_nothing_else() -> None:
    failed = make(7, retry_count=5)
    others = make(1, status="succeeded") + make(1, status="pending") + make(1, status="sending", lease=uuid4())
    replay = start_replay(filters={"status": "failed"}, action="retry", actor=ADA, reason="receiver is back")
    assert replay.total == 7
    finish(replay)
    assert (replay.status, replay.done, replay.skipped, replay.percent) == ("done", 7, 0, 100)
    for delivery in failed:
        delivery.refresh_from_db()
        assert (delivery.status, delivery.trigger, delivery.retry_count) == ("pending", "manual", 0)
        assert delivery.due_at == NOW
        assert [(entry.actor, entry.action, entry.reason) for entry in history_of(delivery)] == [
            ("ada", "retry", "receiver is back")
        ]
    assert [Delivery.objects.get(pk=other.pk).status for other in others] == ["succeeded", "pending", "sending"]


def test_a_step_run_again_goes_on_where_the_last_one_stopped() -> None:
    make(10)
    replay = start_replay(filters={}, action="retry", actor=ADA, per_second=4)
    first = step(replay.id, NOW)
    again = step(replay.id, NOW)
    assert (first.handled, again.handled) == (1, 0)
    assert not again.is_over
    assert step(replay.id, NOW + timedelta(seconds=1)).handled == 4
    assert Delivery.objects.filter(status="pending").count() == 5
    finish(replay, NOW + timedelta(seconds=2))
    assert AuditEntry.objects.filter(target_type="delivery").count() == 10


def test_the_rate_holds_however_often_it_is_stepped_and_after_a_pause() -> None:
    make(30)
    replay = start_replay(filters={}, action="retry", actor=ADA, per_second=10, canary=False)
    handled = sum(step(replay.id, NOW + timedelta(seconds=tick / 100)).handled for tick in range(101))
    assert handled <= 13
    assert step(replay.id, NOW + timedelta(hours=1)).handled == 10


def test_deliveries_made_after_the_start_are_not_touched() -> None:
    make(1)
    replay = start_replay(filters={}, action="retry", actor=ADA)
    [late] = make(1)
    finish(replay)
    late.refresh_from_db()
    assert (replay.done, late.status) == (1, "failed")


def test_discarding_in_bulk_closes_the_groups_by_that_name_and_lets_ordered_ones_go() -> None:
    group = FailureGroupFactory()
    make(3, failure_group=group)
    ordered = SubscriptionFactory(is_ordered=True)
    make(1, ordered, order_key="shipment/1", failure_group=group)
    [held] = make(1, ordered, order_key="shipment/1", status="pending", due_at=None)
    finish(start_replay(filters={"group": group.id}, action="discard", actor=ADA, reason="test data"))
    assert Delivery.objects.filter(status="discarded", failure_group=None).count() == 4
    assert FailureGroup.objects.get(pk=group.pk).status == "resolved"
    held.refresh_from_db()
    assert held.due_at == NOW


def test_of_an_ordered_line_only_the_first_becomes_due() -> None:
    subscription = SubscriptionFactory(is_ordered=True)
    first, second, third = make(3, subscription, order_key="shipment/1")
    finish(start_replay(filters={}, action="retry", actor=ADA))
    due = [Delivery.objects.get(pk=one.pk).due_at for one in (first, second, third)]
    assert due == [NOW, None, None]


def test_the_first_of_an_ordered_line_waits_for_one_that_staff_let_pass() -> None:
    subscription = SubscriptionFactory(is_ordered=True)
    [first] = make(1, subscription, order_key="shipment/1")
    [released] = make(1, subscription, order_key="shipment/1", status="pending", due_at=NOW)
    finish(start_replay(filters={"status": "failed"}, action="retry", actor=ADA, now=NOW))
    assert [Delivery.objects.get(pk=one.pk).due_at for one in (first, released)] == [None, NOW]


def test_a_payload_that_awaits_approval_is_skipped() -> None:
    store = StoreFactory(is_approval_required=True)
    [delivery] = make(1, SubscriptionFactory(integration__store=store))
    edit_delivery(delivery=delivery, payload={"id": "x", "a": 1}, actor=ADA)
    replay = finish(start_replay(filters={}, action="retry", actor=ADA))
    assert (replay.done, replay.skipped) == (1, 1)
    assert Delivery.objects.get().status == "failed"


def test_pause_resume_and_cancel(queued: list[Any], django_capture_on_commit_callbacks: Any) -> None:
    make(5)
    with django_capture_on_commit_callbacks(execute=True):
        replay = start_replay(filters={}, action="retry", actor=ADA, per_second=4)
    step(replay.id, NOW)
    pause_replay(replay=replay, actor=ADA, now=NOW)
    assert step(replay.id, NOW + timedelta(minutes=1)) == Step(0, 0.0, True)
    with django_capture_on_commit_callbacks(execute=True):
        resume_replay(replay=replay, actor=ADA, now=NOW + timedelta(minutes=1))
    assert queued == [replay.id, replay.id]
    assert step(replay.id, NOW + timedelta(minutes=2)).handled == 4
    cancel_replay(replay=replay, actor=ADA)
    with pytest.raises(ReplayError, match="too late"):
        resume_replay(replay=replay, actor=ADA)
    entries = AuditEntry.objects.filter(target_type="replay", target_id=str(replay.id)).order_by("id")
    assert [entry.action for entry in entries] == ["start", "pause", "resume", "cancel"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"filters": {"status": "broken"}}, "Unknown status"),
        ({"filters": {"colour": "red"}}, "Unknown filter"),
        ({"action": "explode"}, "Unknown action"),
        ({"per_second": 0}, "between"),
        ({"per_second": 10**6}, "between"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ReplayError, match=words):
        start_replay(**{"filters": {}, "action": "retry", "actor": ADA} | values)
    assert not Replay.objects.exists()


def test_a_discard_needs_a_reason_where_a_store_in_the_selection_asks_for_one() -> None:
    store = StoreFactory(is_reason_required=True)
    with pytest.raises(ReplayError, match="reason"):
        start_replay(filters={}, action="discard", actor=ADA)
    with pytest.raises(ReplayError, match="reason"):
        start_replay(filters={}, action="discard", actor=ADA, store=store)
    start_replay(filters={}, action="discard", actor=ADA, store=StoreFactory())
    start_replay(filters={}, action="discard", actor=ADA, store=store, reason="test data")


def test_a_replay_of_one_store_leaves_the_others_alone() -> None:
    make(1)
    [ours] = make(1)
    replay = start_replay(filters={}, action="retry", actor=ADA, store=Store.objects.get(pk=ours.store_id))
    assert (replay.total, replay.filters) == (1, {"store": str(ours.store_id), "status": "failed"})
    finish(replay)
    assert Delivery.objects.get(status="pending") == ours


def test_the_preview_counts_by_status_and_integration() -> None:
    erp, shop = IntegrationFactory(name="ERP"), IntegrationFactory(name="Shop")
    make(3, SubscriptionFactory(integration=shop))
    make(1, SubscriptionFactory(integration=erp), status="retrying")
    make(1, SubscriptionFactory(integration=erp), status="pending")
    seen = preview(filters={"status": "failed,retrying,pending"}, action="retry", per_second=2)
    assert (seen.total, seen.seconds) == (4, 2.0)
    assert seen.by_status == {"failed": 3, "retrying": 1}
    assert seen.by_integration == [("Shop", 3), ("ERP", 1)]
    assert matching(filters={}, action="discard").count() == 5


def test_without_a_status_it_is_for_those_that_failed() -> None:
    everything = {one.status for status in Delivery.Status.values for one in make(1, status=status, **lease(status))}
    assert everything == set(Delivery.Status.values)
    for action in ("retry", "discard"):
        for filters in ({}, {"status": ""}, {"status": " , "}):
            assert preview(filters=filters, action=action).by_status == {"failed": 1}
            replay = start_replay(filters=filters, action=action, actor=ADA, reason="why")
            assert (replay.total, replay.filters["status"]) == (1, "failed")


def lease(status: str) -> dict[str, Any]:
    return {"lease": uuid4()} if status == "sending" else {}


@pytest.mark.parametrize(("action", "status"), [("retry", "succeeded"), ("discard", "pending")])
@pytest.mark.parametrize("confirmed", [None, 0, 2, 4, 999, -3])
def test_what_was_delivered_is_sent_twice_only_if_its_number_is_given(
    action: str, status: str, confirmed: int | None
) -> None:
    make(3, status=status)
    make(1)
    with pytest.raises(UnconfirmedError, match="number, 3") as refused:
        start_replay(
            filters={"status": f"failed, {status}"}, action=action, actor=ADA, reason="why", confirmed=confirmed
        )
    assert refused.value.guarded == 3
    assert not Replay.objects.exists()
    replay = start_replay(filters={"status": f"failed, {status}"}, action=action, actor=ADA, reason="why", confirmed=3)
    assert finish(replay).done == 4


def test_one_that_succeeds_after_it_was_chosen_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = make(2)
    chosen = runner._next_batch

    def and_then_somebody_resends(replay: Replay, size: int) -> list[Delivery]:
        batch = chosen(replay, size)
        Delivery.objects.filter(pk=one.pk).update(status="succeeded")
        return batch

    monkeypatch.setattr(runner, "_next_batch", and_then_somebody_resends)
    replay = start_replay(filters={}, action="retry", actor=ADA)
    step(replay.id, NOW)
    replay.refresh_from_db()
    one.refresh_from_db()
    assert (one.status, replay.done, replay.skipped) == ("succeeded", 2, 1)
    assert outcome_of(replay) == ReplayOutcome(under_way=1, left_alone=1)
    listed = apply_filters(Delivery.objects.all(), {"left_alone": str(replay.pk)})
    assert list(listed) == [one]
    assert list(apply_filters(Delivery.objects.all(), {"replay": str(replay.pk)})) == [other]


def test_the_result_follows_the_deliveries_through_later_retries(receiver: Any, deliver: Any) -> None:
    integration = IntegrationFactory(url=receiver.url("/hook"), retry_policy=[60], permanent_statuses=[422])
    make(5, SubscriptionFactory(integration=integration))
    replay = start_replay(filters={}, action="retry", actor=ADA, per_second=5000)
    finish(replay, timezone.now())
    assert outcome_of(replay) == ReplayOutcome(under_way=5)
    receiver.script(answer(200), answer(422), answer(500, b"busy"), answer(200))
    deliver()
    outcome = outcome_of(replay)
    assert (outcome.succeeded, outcome.failed, outcome.retrying, outcome.failed_again) == (3, 1, 1, 2)
    assert not outcome.is_settled
    deliver(later=timedelta(seconds=90))
    outcome = outcome_of(replay)
    assert (outcome.succeeded, outcome.failed_again, outcome.is_settled) == (4, 1, True)
    Delivery.objects.filter(status="failed").delete()
    assert outcome_of(replay) == ReplayOutcome(succeeded=4, gone=1)


def test_a_step_costs_the_same_few_statements_however_large() -> None:
    counts = []
    for number in (6, 60):
        make(number, failure_group=FailureGroupFactory())
        replay = start_replay(filters={}, action="discard", actor=ADA, per_second=4000)
        with CaptureQueriesContext(connection) as queries:
            assert step(replay.id, NOW).handled == number
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 30  # of which some are savepoints


def test_the_history_names_the_user() -> None:
    user = UserFactory(username="ada")
    [delivery] = make(1)
    finish(start_replay(filters={}, action="retry", actor=Actor.of_user(user)))
    assert history_of(delivery).get().user == user


def test_a_runner_works_until_it_is_over_or_hands_over(queued: list[Any]) -> None:
    make(3)
    replay = start_replay(filters={}, action="retry", actor=ADA, per_second=5000)
    assert run(replay.id) is True
    make(3)
    replay = start_replay(filters={}, action="retry", actor=ADA, per_second=1)
    assert run(str(replay.id), seconds=0) is False
    assert queued == [replay.id]


def test_the_sweep_finds_replays_that_lost_their_runner(queued: list[Any]) -> None:
    make(3)
    replay = start_replay(filters={}, action="retry", actor=ADA, per_second=1)
    step(replay.id, NOW)
    assert run_waiting(NOW + timedelta(seconds=5)) == 0
    assert run_waiting(NOW + timedelta(minutes=1)) == 1
    assert queued == [replay.id]


def test_a_delivery_that_moves_between_look_and_lock_leaves_no_empty_group_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from deliveries.storage import locks

    one, other = FailureGroupFactory(), FailureGroupFactory()
    (delivery,) = make(failure_group=one)
    lock_groups, moved = locks.lock_groups, []

    def move_first(groups: Any) -> None:
        # Seen in the one, moved to the other before anything is locked, each time until it is known to be there.
        if other.id not in groups:
            Delivery.objects.filter(id=delivery.id).update(failure_group=other)
            moved.append(delivery.id)
        lock_groups(groups)

    monkeypatch.setattr(locks, "lock_groups", move_first)
    replay = start_replay(filters={"status": "failed"}, action="discard", actor=ADA)
    finish(replay)
    delivery.refresh_from_db()
    assert moved
    # The look that found it moved was rolled back with the move itself, so it was left alone where it was.
    assert (delivery.status, delivery.failure_group_id) == ("failed", one.id)
    assert (replay.done, replay.skipped) == (1, 1)
