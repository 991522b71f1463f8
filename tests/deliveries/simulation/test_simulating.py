"""A change is run over past events: what is found, how it is bounded, and what can follow. Nothing is sent by it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery, Replay, Simulation, SimulationItem
from deliveries.replay import UnconfirmedError
from deliveries.replay import runner as replays
from deliveries.simulation import runner, walking
from deliveries.simulation.choosing import ChoiceError, EventChoice, find_events
from deliveries.simulation.service import (
    SimulationError,
    cancel_simulation,
    groups_of,
    save_and_backfill,
    save_and_resend,
    save_simulation,
    start_simulation,
)
from deliveries.simulation.targets import IntegrationTarget, SubscriptionTarget, TopicTarget
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import uuid7
from integrations.models import AuditEntry
from subscriptions.services import update_subscription
from tests.factories import DeliveryFactory, EventFactory, SubscriptionFactory, TopicFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queued")]

ADA = Actor(None, "ada")


@pytest.fixture
def subscription() -> Any:
    return SubscriptionFactory(filter="status == 'sent'", transform="{id: id, phone: phone}")


def event(subscription: Any, minutes_ago: int = 0, **values: Any) -> Any:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    made = {"id": uuid7(int(at.timestamp() * 1000)), "occurred_at": at, "store": subscription.store}
    return EventFactory(**{**made, **values})


def simulated(row: Any, choice: EventChoice | None = None, **values: Any) -> Simulation:
    target = {"subscription": SubscriptionTarget, "integration": IntegrationTarget, "topic": TopicTarget}
    simulation = start_simulation(
        target=target[row._meta.model_name](row), values=values, choice=choice or EventChoice(last=1_000), actor=ADA
    )
    while not runner.step(simulation.pk, timezone.now()):
        pass
    simulation.refresh_from_db()
    return simulation


def kinds(simulation: Simulation, verdict: str) -> dict[str, int]:
    return {group.kind: group.count for group in groups_of(simulation, verdict)}


def test_a_change_of_filter_and_transform_is_compared_with_what_holds_today(subscription: Any) -> None:
    event(subscription, data={"id": "1", "status": "sent", "phone": "+49171"})
    event(subscription, data={"id": "2", "status": "lost", "phone": "+49172"})
    event(subscription, data={"id": "3", "status": "sent", "phone": ""})
    event(subscription, data={"id": "4", "status": "ready", "phone": "1"})
    event(subscription, topic="order.created")
    event(subscription, origin="test")
    EventFactory()
    before = Delivery.objects.count(), AuditEntry.objects.count()
    found = simulated(
        subscription, filter="status == 'lost' || phone != ''", transform="{id: id, phone: replace(phone, '+', '00')}"
    )
    assert (found.status, found.looked_at, found.passed_over) == ("done", 4, 1)
    assert found.counts == {"changed": 1, "newly_matched": 2, "no_longer_matched": 1}
    assert kinds(found, "changed") == {"body.data.phone changed": 1}
    assert found.changes["filter"] == ["status == 'sent'", "status == 'lost' || phone != ''"]
    assert (Delivery.objects.count(), AuditEntry.objects.count()) == before


def test_errors_are_grouped_and_those_of_today_told_apart(subscription: Any) -> None:
    for number in range(3):
        event(subscription, data={"id": str(number), "status": "sent", "price": f"{number}x"})
    found = simulated(subscription, transform="{price: abs(price)}")
    assert found.counts == {"error": 3}
    (kind,) = kinds(found, "error")
    assert kind.startswith("new: The subscription's transform failed on this payload")
    subscription.transform = "{price: abs(price)}"
    subscription.save()
    assert next(iter(kinds(simulated(subscription, transform="[abs(price)]"), "error"))).startswith("also today: ")


def test_another_wire_format_is_tried_for_all_subscriptions_of_an_integration(subscription: Any) -> None:
    SubscriptionFactory(integration=subscription.integration, topics=["shipment.updated"])
    event(subscription)
    found = simulated(subscription.integration, wire_format="flat")
    assert (found.looked_at, found.counts) == (1, {"changed": 2})
    assert {item.subscription_id for item in SimulationItem.objects.all()} == set(
        subscription.integration.subscriptions.values_list("pk", flat=True)
    )
    assert found.changes["wire_format"] == ["standard", "flat"]
    save_simulation(simulation=found, actor=ADA)
    subscription.integration.refresh_from_db()
    assert subscription.integration.wire_format == "flat"


def test_a_schema_names_the_pushes_that_it_would_refuse(subscription: Any) -> None:
    topic = TopicFactory(store=subscription.store, name="shipments.update", schema={"required": ["status"]})
    event(subscription, data={"id": "1", "status": "sent"})
    event(subscription, data={"id": "2", "status": "sent", "phone": 5})
    event(subscription, data={"id": "3"})
    event(subscription, topic="shipment.created", data={})
    found = simulated(topic, schema={"properties": {"phone": {"type": "string"}}})
    assert (found.looked_at, found.counts) == (3, {"same": 3, "violation": 1, "conforms": 1})
    assert next(iter(kinds(found, "violation"))).startswith("new: phone: ")


def test_the_schema_of_today_is_looked_at_too(subscription: Any) -> None:
    TopicFactory(store=subscription.store, name="shipment.updated", schema={"required": ["weight"]})
    event(subscription)
    assert simulated(subscription, filter="").counts == {"same": 1, "violation": 1}


def test_last_events_a_period_or_single_ones_are_chosen(subscription: Any) -> None:
    events = [event(subscription, minutes_ago=10 * number) for number in range(6)]
    event(subscription, topic="order.created")
    change = {"filter": "status == 'lost'"}
    found = simulated(subscription, EventChoice(last=2), **change)
    assert [item.event_id for item in found.items.all()] == [events[0].pk, events[1].pk]
    since = timezone.now() - timedelta(minutes=35)
    period = EventChoice(since=since, until=timezone.now() - timedelta(minutes=15))
    assert [item.event_id for item in simulated(subscription, period, **change).items.all()] == [
        events[2].pk,
        events[3].pk,
    ]
    one = simulated(subscription, EventChoice(ids=(events[5].pk,)), **change)
    assert (one.looked_at, one.oldest_at) == (1, events[5].created_at)
    assert simulated(subscription, EventChoice(since=since, q=events[1].object_id), **change).looked_at == 1


@pytest.mark.parametrize("values", [{}, {"last": 0}, {"last": 10_001}, {"last": 1, "ids": (uuid7(),)}])
def test_a_choice_that_makes_no_sense_is_refused(values: Any) -> None:
    with pytest.raises(ChoiceError):
        EventChoice(**values)


def test_it_goes_on_in_steps_and_a_step_that_runs_twice_counts_once(
    subscription: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "NAMES", 3)
    for number in range(8):
        event(subscription, minutes_ago=number)
    simulation = start_simulation(
        target=SubscriptionTarget(subscription), values={"filter": ""}, choice=EventChoice(last=100), actor=ADA
    )
    stale = runner.progress_of(simulation)
    steps = 0
    while not runner.step(simulation.pk, timezone.now(), seconds=0.0001):
        steps += 1
    assert steps >= 3
    simulation.refresh_from_db()
    assert (simulation.looked_at, simulation.counts) == (8, {"same": 8})
    Simulation.objects.filter(pk=simulation.pk).update(status="running")
    assert not runner._keep(simulation, stale, stale, [], timezone.now())


def test_it_stops_when_the_expressions_have_used_up_their_steps(subscription: Any) -> None:
    for _ in range(3):
        event(subscription)
    Simulation.objects.all().delete()
    simulation = start_simulation(
        target=SubscriptionTarget(subscription), values={"filter": "id"}, choice=EventChoice(last=100), actor=ADA
    )
    Simulation.objects.update(steps_left=1_000)
    assert runner.step(simulation.pk, timezone.now())
    simulation.refresh_from_db()
    assert (simulation.status, simulation.looked_at) == ("done", 1)
    assert "used up" in simulation.stopped_because


def test_it_can_be_cancelled_and_only_a_few_run_at_once(subscription: Any) -> None:
    def start() -> Simulation:
        return start_simulation(
            target=SubscriptionTarget(subscription), values={"filter": "id"}, choice=EventChoice(last=9), actor=ADA
        )

    running = [start() for _ in range(5)]
    with pytest.raises(SimulationError, match="5 simulations"):
        start()
    cancel_simulation(running[0])
    assert runner.step(running[0].pk, timezone.now())
    assert start().status == "running"


def test_a_change_of_nothing_is_refused_and_an_invalid_one_by_field(subscription: Any) -> None:
    with pytest.raises(SimulationError, match="Nothing is changed"):
        simulated(subscription, filter=subscription.filter)
    with pytest.raises(Exception, match="filter"):
        simulated(subscription, filter="status ==")


def test_it_is_saved_once_and_only_on_what_it_was_compared_with(subscription: Any) -> None:
    event(subscription)
    found, other = simulated(subscription, filter="id"), simulated(subscription, filter="phone")
    save_simulation(simulation=found, actor=ADA)
    subscription.refresh_from_db()
    assert subscription.filter == "id"
    for stale, words in ((found, "saved already, by ada"), (other, "was changed since")):
        with pytest.raises(SimulationError, match=words):
            save_simulation(simulation=stale, actor=ADA)
    assert AuditEntry.objects.filter(target_type="subscription", action="change").count() == 1


def test_saving_can_resend_exactly_what_differs(subscription: Any) -> None:
    events = [event(subscription, data={"id": str(n), "status": "sent", "phone": "+1" if n else ""}) for n in range(3)]
    made = [DeliveryFactory(subscription=subscription, event=one, status="succeeded") for one in events]
    DeliveryFactory(
        subscription=SubscriptionFactory(integration=subscription.integration), event=events[1], status="succeeded"
    )
    found = simulated(subscription, transform="{id: id, phone: replace(phone, '+', '')}")
    assert found.counts == {"changed": 2, "same": 1}
    with pytest.raises(UnconfirmedError):
        save_and_resend(simulation=found, actor=ADA, confirmed=None)
    subscription.refresh_from_db()
    assert "replace" not in subscription.transform
    replay = save_and_resend(simulation=found, actor=ADA, confirmed=2, canary=False)
    assert replay.total == 2
    replays.step(replay.pk, timezone.now())
    sent = Delivery.objects.filter(status="pending").values_list("pk", flat=True)
    assert set(sent) == {made[1].pk, made[2].pk}


def test_saving_can_deliver_what_was_missed(subscription: Any) -> None:
    event(subscription, minutes_ago=30, data={"id": "1", "status": "lost"})
    event(subscription, minutes_ago=10, data={"id": "2", "status": "lost"})
    found = simulated(subscription, filter="status == 'lost'")
    replay = save_and_backfill(simulation=found, actor=ADA, canary=False)
    assert (replay.action, replay.total) == (Replay.Action.BACKFILL, 2)


def test_a_change_meanwhile_ends_it(subscription: Any) -> None:
    event(subscription)
    simulation = start_simulation(
        target=SubscriptionTarget(subscription), values={"filter": "id"}, choice=EventChoice(last=9), actor=ADA
    )
    update_subscription(subscription=subscription, actor=ADA, transform="")
    assert runner.step(simulation.pk, timezone.now())
    simulation.refresh_from_db()
    assert "changed meanwhile" in simulation.stopped_because


def test_the_subscriptions_own_last_event_comes_first_and_any_other_is_found(subscription: Any) -> None:
    events = [event(subscription, minutes_ago=number) for number in range(3)]
    DeliveryFactory(subscription=subscription, event=events[2])
    store = subscription.store
    assert find_events(store=store, subscription=subscription)[0] == events[2]
    named = event(subscription, topic="order.paid", object_id="o-7", data={"phone": "+4917112345"}, minutes_ago=9)
    for text in (named.public_id, "order.paid", "o-7", "17112345"):
        assert find_events(store=store, text=text) == [named]
    assert find_events(store=store, text="nothing of the kind") == []
    assert find_events(store=SubscriptionFactory().store, text=named.public_id) == []
