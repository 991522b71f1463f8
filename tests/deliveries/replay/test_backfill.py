"""Backfills: what is missing, once, marked, at a rate, stoppable."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery, Replay, ReplayItem
from deliveries.replay import ReplayError, cancel_replay, pause_replay, resume_replay, runner, step
from deliveries.replay.backfill import Wanted, deliver_event, preview_backfill, start_backfill
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry
from subscriptions.services import deactivate_subscription
from tests.factories import DeliveryFactory, EventFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db

ADA = Actor(None, "ada")


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []
    monkeypatch.setattr(runner, "enqueue", asked.append)
    return asked


@pytest.fixture
def subscription() -> Any:
    return SubscriptionFactory(filter="status == 'sent'")


def wanted(**values: Any) -> Wanted:
    now = timezone.now()
    return Wanted(now - timedelta(days=1), now + timedelta(minutes=1), **values)


def started(subscription: Any, **values: Any) -> Replay:
    asked = values.pop("wanted", None) or wanted()
    return start_backfill(subscription=subscription, wanted=asked, actor=ADA, **{"canary": False, **values})


def run(replay: Replay) -> Replay:
    now = timezone.now()
    for _ in range(200):
        now += timedelta(seconds=1)
        if step(replay.pk, now).is_over:
            break
    replay.refresh_from_db()
    return replay


def missed(subscription: Any, count: int = 1, **values: Any) -> list[Any]:
    return [EventFactory(store=subscription.store, **values) for _ in range(count)]


def test_only_what_is_missing_is_made_and_marked(subscription: Any) -> None:
    events = missed(subscription, 3)
    DeliveryFactory(subscription=subscription, event=events[0], status="succeeded")
    missed(subscription, data={"status": "lost"})
    missed(subscription, topic="order.created")
    missed(subscription, origin="test")
    EventFactory()  # another store's
    found = preview_backfill(subscription=subscription, wanted=wanted())
    assert found.counts == {"missing": 2, "already": 1, "filter": 1, "topic": 1}
    assert [choice.event.pk for choice in found.sample] == [events[1].pk, events[2].pk]
    replay = run(started(subscription))
    assert (replay.status, replay.total, replay.done, replay.made) == ("done", 5, 5, 2)
    made = Delivery.objects.filter(backfilled_by="ada").order_by("id")
    assert [one.event_id for one in made] == [events[1].pk, events[2].pk]
    assert {(one.status, one.trigger, one.integration_id) for one in made} == {
        ("pending", "scheduled", subscription.integration_id)
    }
    assert all(one.due_at for one in made)
    assert set(ReplayItem.objects.values_list("delivery_id", flat=True)) == {one.pk for one in made}
    assert AuditEntry.objects.filter(action="backfill", actor="ada").count() == 2


def test_the_same_event_is_never_made_twice_unless_asked(subscription: Any) -> None:
    missed(subscription, 3)
    run(started(subscription))
    assert run(started(subscription)).made == 0
    assert Delivery.objects.count() == 3
    assert run(started(subscription, wanted=wanted(is_again=True))).made == 3
    assert Delivery.objects.count() == 6


def test_topic_and_object_narrow_it(subscription: Any) -> None:
    missed(subscription, object_id="parcel-seven", data={"status": "sent", "phone": "+4917112345"})
    missed(subscription, topic="shipment.created")
    assert preview_backfill(subscription=subscription, wanted=wanted(q="parcel-seven")).missing == 1
    assert preview_backfill(subscription=subscription, wanted=wanted(q="+4917112345")).missing == 1
    assert preview_backfill(subscription=subscription, wanted=wanted(topic="shipment.created")).missing == 1
    assert preview_backfill(subscription=subscription, wanted=wanted(topic="shipment.*")).missing == 2


def test_it_keeps_its_rate_and_can_be_paused_resumed_and_cancelled(subscription: Any) -> None:
    missed(subscription, 30)
    replay = started(subscription, per_second=10)
    now = timezone.now()
    step(replay.pk, now)
    step(replay.pk, now + timedelta(seconds=1))
    assert 10 <= Delivery.objects.count() <= 13
    pause_replay(replay=replay, actor=ADA)
    assert step(replay.pk, now + timedelta(seconds=2)).is_over
    resume_replay(replay=replay, actor=ADA, now=now + timedelta(seconds=3))
    step(replay.pk, now + timedelta(seconds=4))
    before = Delivery.objects.count()
    assert before > 13
    cancel_replay(replay=replay, actor=ADA)
    assert step(replay.pk, now + timedelta(seconds=9)).is_over
    assert Delivery.objects.count() == before


def test_a_canary_waits_for_the_first_and_stops_if_it_fails(subscription: Any) -> None:
    missed(subscription, 30)
    replay = started(subscription, canary=True)
    now = timezone.now()
    step(replay.pk, now)
    step(replay.pk, now + timedelta(seconds=1))
    assert Delivery.objects.count() == 1
    Delivery.objects.update(status="failed", due_at=None, finished_at=now)
    assert step(replay.pk, now + timedelta(seconds=2)).is_over
    replay.refresh_from_db()
    assert (replay.status, replay.made) == ("paused", 1)
    resume_replay(replay=replay, actor=ADA, now=now + timedelta(seconds=3))
    step(replay.pk, now + timedelta(seconds=4))
    assert Delivery.objects.count() == 2, "the old failure still counts"


def test_it_stops_when_its_subscription_is_switched_off(subscription: Any) -> None:
    missed(subscription, 3)
    replay = started(subscription)
    deactivate_subscription(subscription=subscription, reason="410", actor=ADA)
    replay = run(replay)
    assert (replay.status, replay.stopped_because) == ("paused", "the subscription is inactive")
    assert not Delivery.objects.exists()


def test_ordered_deliveries_wait_for_each_other(subscription: Any) -> None:
    type(subscription).objects.update(is_ordered=True)
    missed(subscription, 3, object_id="7")
    run(started(subscription))
    held = [one.is_held for one in Delivery.objects.order_by("id")]
    assert held == [False, True, True]


def test_loops_and_own_answers_are_left_out(subscription: Any) -> None:
    missed(subscription, is_stopped=True, hops=9)
    missed(subscription, origin="pushback", occurred_at=timezone.now() + timedelta(seconds=1))
    found = preview_backfill(subscription=subscription, wanted=wanted())
    assert found.counts == {"loop": 1, "own_answer": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_active": False}, "inactive"),
        ({"deleted_at": timezone.now()}, "deleted"),
    ],
)
def test_nothing_is_made_for_what_is_switched_off(subscription: Any, change: Any, words: str) -> None:
    type(subscription).objects.update(**change)
    subscription.refresh_from_db()
    with pytest.raises(ReplayError, match=words):
        started(subscription)


def test_a_period_from_before_the_retention_is_refused(subscription: Any) -> None:
    now = timezone.now()
    with pytest.raises(ReplayError, match="RETENTION_DAYS"):
        started(subscription, wanted=Wanted(now - timedelta(days=500), now))
    with pytest.raises(ReplayError, match="empty"):
        started(subscription, wanted=Wanted(now, now))


def test_a_disabled_integration_has_no_results_for_a_canary(subscription: Any) -> None:
    type(subscription.integration).objects.update(is_enabled=False)
    subscription.integration.refresh_from_db()
    with pytest.raises(ReplayError, match="Enable it first"):
        started(subscription, canary=True)


def test_one_event_is_delivered_by_hand_whatever_the_filter_says(subscription: Any) -> None:
    (event,) = missed(subscription, data={"status": "lost"})
    made = deliver_event(event=event, subscription=subscription, actor=ADA)
    assert (made.backfilled_by, made.event_id) == ("ada", event.pk)
    with pytest.raises(ReplayError, match="already"):
        deliver_event(event=event, subscription=subscription, actor=ADA)
    deliver_event(event=event, subscription=subscription, actor=ADA, is_again=True)
    assert Delivery.objects.count() == 2
    with pytest.raises(ReplayError, match="different stores"):
        deliver_event(event=EventFactory(), subscription=subscription, actor=ADA)


def test_what_was_made_is_sent(subscription: Any, receiver: Any, deliver: Any) -> None:
    type(subscription.integration).objects.update(url=receiver.url("/hook"))
    (event,) = missed(subscription)
    run(started(subscription))
    deliver(later=timedelta(minutes=1))
    (made,) = Delivery.objects.filter(event=event)
    assert (made.status, made.backfilled_by) == ("succeeded", "ada")
