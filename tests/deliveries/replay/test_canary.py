"""The canary of a resend: 1, then 10, then ever faster; it stops by itself when too many fail again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from deliveries.models import Delivery, Replay
from deliveries.replay import ReplayError, cancel_replay, resume_replay, runner, start_replay, step
from deliveries.replay.canary import WINDOW, Results, judge
from deliveries.resolution import history_of
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry
from notifications.models import Notification
from tests.factories import DeliveryFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Actor(None, "ada")


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []
    monkeypatch.setattr(runner, "enqueue", asked.append)
    return asked


def failed(count: int, subscription: Any = None, **values: Any) -> list[Delivery]:
    subscription = subscription or SubscriptionFactory()
    return [DeliveryFactory(subscription=subscription, **{"status": "failed"} | values) for _ in range(count)]


def answer(status: str, count: int | None = None) -> None:
    """The receiver answers what is under way, oldest first."""
    ids = list(Delivery.objects.filter(status="pending", due_at__isnull=False).order_by("id").values_list("id")[:count])
    is_over = status != "retrying"
    Delivery.objects.filter(id__in=[pk for (pk,) in ids]).update(
        status=status, due_at=None if is_over else NOW, finished_at=NOW if is_over else None
    )


def sent() -> int:
    return Delivery.objects.exclude(status="failed", trigger="scheduled").count()


def drive(replay: Replay, answering: Callable[[], None], seconds: int, start: datetime = NOW) -> list[int]:
    """A step each quarter of a second, answers after each; how many were sent after each second."""
    seen = []
    for tick in range(seconds * 4):
        step(replay.pk, start + timedelta(seconds=tick / 4))
        answering()
        if tick % 4 == 3:
            seen.append(sent())
    replay.refresh_from_db()
    return seen


def test_one_is_sent_first_then_ten_then_the_rest() -> None:
    failed(40)
    replay = start_replay(filters={}, action="retry", actor=ADA, canary=True)
    numbers = []
    for tick in range(8):
        step(replay.pk, NOW + timedelta(seconds=tick))
        numbers.append(sent())
    assert numbers == [1] * 8  # nothing more without its result
    answer("succeeded")
    for tick in range(8, 16):
        step(replay.pk, NOW + timedelta(seconds=tick))
        numbers.append(sent())
    assert numbers[-1] == 11
    answer("succeeded", 9)
    step(replay.pk, NOW + timedelta(seconds=17))
    assert sent() == 11  # nor without the last of the ten
    answer("succeeded")
    drive(replay, lambda: answer("succeeded"), 10, NOW + timedelta(seconds=18))
    assert (replay.status, replay.done, Delivery.objects.filter(status="succeeded").count()) == ("done", 40, 40)


@pytest.mark.parametrize("status", ["failed", "retrying"])
def test_a_first_one_that_fails_again_stops_all_the_others(status: str) -> None:
    deliveries = failed(30)
    replay = start_replay(filters={}, action="retry", actor=ADA)
    step(replay.pk, NOW)
    answer(status)
    assert step(replay.pk, NOW + timedelta(seconds=1)).is_over
    replay.refresh_from_db()
    assert (replay.status, replay.done) == ("paused", 1)
    assert replay.stopped_because == "1 of 1 failed again (100 %; at most 10 % may)"
    assert sent() == 1
    entry = AuditEntry.objects.get(target_type="replay", action="stop")
    assert (entry.actor, entry.reason) == ("Hookdesk", replay.stopped_because)
    told = Notification.objects.get(key=f"replay:{replay.pk}")
    assert (told.store_id, told.integration_id, told.status) == (
        deliveries[0].store_id,
        deliveries[0].integration_id,
        "open",
    )
    assert "stopped by itself: 1 of 1 failed again" in told.summary
    assert "29 of 30 deliveries have not been resent" in told.summary


def test_a_share_within_the_limit_does_not_stop_it_and_one_above_does() -> None:
    failed(60)
    replay = start_replay(filters={}, action="retry", actor=ADA, stop_above=20)
    step(replay.pk, NOW)
    answer("succeeded")
    for tick in range(1, 4):
        step(replay.pk, NOW + timedelta(seconds=tick))
    answer("failed", 2)  # 2 of 11
    answer("succeeded")
    step(replay.pk, NOW + timedelta(seconds=5))
    replay.refresh_from_db()
    assert replay.status == "running"
    answer("failed")
    step(replay.pk, NOW + timedelta(seconds=6))
    replay.refresh_from_db()
    assert (replay.status, replay.done < 60) == ("paused", True)


def test_resuming_begins_with_one_again_and_judges_only_what_comes_after() -> None:
    failed(50)
    replay = start_replay(filters={}, action="retry", actor=ADA)
    step(replay.pk, NOW)
    answer("failed")
    step(replay.pk, NOW + timedelta(seconds=1))
    resume_replay(replay=replay, actor=ADA, now=NOW + timedelta(minutes=5))
    replay.refresh_from_db()
    assert (replay.status, replay.stopped_because) == ("running", "")
    assert Notification.objects.get(key=f"replay:{replay.pk}").status == "resolved"
    for tick in range(3):
        step(replay.pk, NOW + timedelta(minutes=5, seconds=tick + 1))
    assert sent() == 2
    answer("succeeded")
    drive(replay, lambda: answer("succeeded"), 12, NOW + timedelta(minutes=6))
    assert (replay.status, replay.done) == ("done", 50)


def test_cancelling_what_stopped_resolves_its_notification() -> None:
    failed(30)
    replay = start_replay(filters={}, action="retry", actor=ADA)
    step(replay.pk, NOW)
    answer("failed")
    step(replay.pk, NOW + timedelta(seconds=1))
    cancel_replay(replay=replay, actor=ADA)
    told = Notification.objects.get(key=f"replay:{replay.pk}")
    assert (told.status, told.resolved_by) == ("resolved", "ada")


def test_the_rate_doubles_while_the_receiver_keeps_up() -> None:
    failed(200)
    replay = start_replay(filters={}, action="retry", actor=ADA, per_second=1_000)
    seen = drive(replay, lambda: answer("succeeded"), 16)
    assert (replay.status, seen[-1]) == ("done", 200)
    steps = [after - before for before, after in pairwise(seen)]
    assert max(steps[:3]) <= 22  # slow at first …
    assert max(steps) >= 60  # … and fast in the end


def test_it_waits_for_a_receiver_that_does_not_keep_up() -> None:
    failed(200)
    replay = start_replay(filters={}, action="retry", actor=ADA, per_second=1_000)
    drive(replay, lambda: answer("succeeded"), 3)
    drive(replay, lambda: None, 30, NOW + timedelta(minutes=1))
    waiting = Delivery.objects.filter(status="pending").count()
    assert replay.status == "running"
    assert 0 < waiting < 160


def test_one_that_is_held_behind_another_of_its_record_is_no_trial() -> None:
    ordered = SubscriptionFactory(is_ordered=True)
    failed(3, ordered, order_key="shipment/1")
    failed(30, ordered)
    replay = start_replay(filters={}, action="retry", actor=ADA)
    step(replay.pk, NOW)
    answer("succeeded")
    drive(replay, lambda: answer("succeeded"), 10, NOW + timedelta(seconds=1))
    assert replay.status == "done"


def test_it_is_the_default_for_many_resent_and_never_for_discards() -> None:
    failed(21)
    many = start_replay(filters={}, action="retry", actor=ADA)
    assert many.stop_above == 10
    assert start_replay(filters={}, action="retry", actor=ADA, canary=False).stop_above is None
    assert start_replay(filters={}, action="discard", actor=ADA, reason="why").stop_above is None
    Delivery.objects.first().delete()  # type: ignore[union-attr]
    assert start_replay(filters={}, action="retry", actor=ADA).stop_above is None
    assert start_replay(filters={}, action="retry", actor=ADA, canary=True, stop_above=0).stop_above == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"action": "discard", "canary": True}, "no results to wait for"),
        ({"stop_above": 100}, "between 0 and 99"),
        ({"stop_above": -1}, "between 0 and 99"),
    ],
)
def test_a_canary_that_makes_no_sense_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ReplayError, match=words):
        start_replay(**{"filters": {}, "action": "retry", "actor": ADA, "reason": "why"} | values)
    assert not Replay.objects.exists()


def test_while_it_waits_the_sweep_starts_no_second_runner(queued: list[Any]) -> None:
    failed(30)
    replay = start_replay(filters={}, action="retry", actor=ADA)
    step(replay.pk, NOW)
    step(replay.pk, NOW + timedelta(minutes=2))
    queued.clear()
    assert runner.run_waiting(NOW + timedelta(minutes=2, seconds=10)) == 0


def test_a_person_s_replay_is_named_in_each_delivery_s_history() -> None:
    [delivery, *_] = failed(30)
    replay = start_replay(filters={}, action="retry", actor=ADA)
    step(replay.pk, NOW)
    [entry] = history_of(delivery)
    assert entry.after is not None
    assert entry.after["replay"] == str(replay.pk)


@pytest.mark.parametrize(
    ("results", "rate", "room", "speed"),
    [
        (Results(), None, 1, 1),
        (Results(1, 0, 0), 1, 0, 1),
        (Results(1, 1, 0), 1, 10, 11),
        (Results(11, 10, 1), 11, 0, 11),
        (Results(11, 11, 1), 11, 200, 22),
        (Results(300, 200, 0), 88, 200, 88),  # more under way than at this rate in a second: not faster
        (Results(900, 400, 0), 88, 0, 88),
        (Results(WINDOW, 0, 0), 150, 0, 150),
        (Results(WINDOW, WINDOW, 200), 150, 200, 200),
    ],
)
def test_what_the_results_allow(results: Results, rate: int | None, room: int, speed: int) -> None:
    since = NOW - timedelta(seconds=5)
    verdict = judge(results, stop_above=10, rate=rate, rate_since=since, most=200, now=NOW)
    assert (verdict.stop, verdict.room, verdict.rate) == (None, room, speed)


def test_none_may_fail_where_that_is_asked_for() -> None:
    verdict = judge(Results(200, 200, 1), stop_above=0, rate=50, rate_since=NOW, most=200, now=NOW)
    assert str(verdict.stop) == "1 of 200 failed again (0 %; none may)"
