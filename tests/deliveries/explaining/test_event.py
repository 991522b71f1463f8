"""The event's page and its lists: who got it, who did not and why, from what is stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.explaining.event import explain_event
from deliveries.explaining.lists import nobody_got, turned_away
from deliveries.ingest import push_objects
from deliveries.maintenance.retention import prune
from deliveries.models import Delivery, Event
from integrations.foundation.audit import Actor
from integrations.security.tokens import authenticate, create_token
from subscriptions.models import SubscriptionVersion
from subscriptions.services import (
    create_subscription,
    deactivate_subscription,
    delete_subscription,
    update_subscription,
)
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, StoreFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db

ADA = Actor(None, "ada")


def push(store: Any, **data: Any) -> Event:
    token, text = create_token(store=store, name="till", scopes=["push"])
    till = authenticate(store_id=None, token=text)
    assert till is not None
    push_objects(principal=till, document={"shipments": [{"id": "7", **data}]}, raw=b"")
    token.delete()
    return Event.objects.latest("id")


def subscribed(store: Any, **values: Any) -> Any:
    integration = IntegrationFactory(store=store)
    return create_subscription(store=store, actor=ADA, integration=integration, **{"topics": ["shipment.*"], **values})


def codes(event: Event) -> dict[Any, str]:
    return {line.subscription.pk: line.code for line in explain_event(event)}


def test_each_subscription_is_explained_as_ingest_decided() -> None:
    store = StoreFactory()
    got = subscribed(store)
    filtered = subscribed(store, filter="status == 'ready'")
    other = subscribed(store, topics=["order.created"])
    inactive = subscribed(store)
    deactivate_subscription(subscription=inactive, reason="410", actor=ADA)
    event = push(store, status="lost")
    later = subscribed(store)
    assert codes(event) == {
        got.pk: "delivered",
        filtered.pk: "filter",
        other.pk: "topic",
        inactive.pk: "inactive",
        later.pk: "made_later",
    }
    assert [row.subscription_id for row in Delivery.objects.filter(event=event)] == [got.pk]


def test_a_changed_filter_does_not_rewrite_the_past() -> None:
    store = StoreFactory()
    changed = subscribed(store, filter="status == 'ready'")
    event = push(store, status="lost")
    update_subscription(subscription=changed, actor=ADA, filter="")
    (line,) = explain_event(event)
    assert line.code == "filter"
    assert 'status is "lost"' in line.text or "status is 'lost'" in line.text
    assert list(changed.versions.values_list("number", "filter", "changed_by")) == [
        (1, "status == 'ready'", "ada"),
        (2, "", "ada"),
    ]


def test_saving_without_a_change_makes_no_version() -> None:
    found = subscribed(StoreFactory())
    update_subscription(subscription=found, actor=ADA, topics=["shipment.*"])
    assert SubscriptionVersion.objects.count() == 1


def test_versions_are_pruned_once_their_events_are_gone() -> None:
    found = subscribed(StoreFactory())
    for text in ("a", "b", "c"):
        update_subscription(subscription=found, actor=ADA, filter=text)
    now = timezone.now()
    found.versions.filter(number__lte=3).update(since=now - timedelta(days=9))
    prune(before=now - timedelta(days=2), batch=1, now=now)
    assert list(found.versions.values_list("number", flat=True)) == [3, 4]


def test_a_deleted_subscription_is_explained_for_what_came_before_only() -> None:
    store = StoreFactory()
    gone = subscribed(store, filter="`false`")
    before = push(store, status="lost")
    delete_subscription(subscription=gone, actor=ADA)
    after = push(store, status="found")
    assert codes(before) == {gone.pk: "filter"}
    assert codes(after) == {}


def test_what_an_older_release_did_not_keep_is_said() -> None:
    old = SubscriptionFactory()
    type(old).objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=9), updated_at=timezone.now())
    event = EventFactory(store=old.store, occurred_at=timezone.now() - timedelta(days=1))
    (line,) = explain_event(event)
    assert (line.code, line.is_certain) == ("unknown", False)


@pytest.mark.parametrize(
    ("values", "code"),
    [({"is_stopped": True, "hops": 9}, "loop"), ({"origin": "test"}, "test"), ({"origin": "pushback"}, "own_answer"), ({}, "gone")],
)  # fmt: skip
def test_what_matched_and_was_not_made_is_explained(values: Any, code: str) -> None:
    subscription = SubscriptionFactory()
    event = EventFactory(store=subscription.store, occurred_at=timezone.now() + timedelta(seconds=1), **values)
    assert codes(event) == {subscription.pk: code}


def test_a_delivery_that_waits_says_for_what() -> None:
    disabled = SubscriptionFactory(integration__is_enabled=False, integration__disabled_reason="It answered 410.")
    event = EventFactory(store=disabled.store)
    DeliveryFactory(subscription=disabled, event=event)
    (line,) = explain_event(event)
    assert line.text == f"It waits: {disabled.integration.name} is disabled. It answered 410."


def period() -> dict[str, Any]:
    now = timezone.now()
    return {"since": now - timedelta(days=1), "until": now + timedelta(minutes=1)}


def test_the_list_of_events_nobody_got_gives_the_most_telling_reason() -> None:
    store = StoreFactory()
    subscribed(store, topics=["order.created"])
    subscribed(store, filter="status == 'ready'")
    lost = push(store, status="lost", phone="+4917112345")
    push(store, status="ready")
    page = nobody_got(stores=[store.pk], **period())
    assert [row.event.pk for row in page.rows] == [lost.pk]
    assert page.rows[0].code == "filter"
    assert page.older is None
    assert len(nobody_got(stores=[store.pk], q="+4917112345", **period()).rows) == 1
    assert nobody_got(stores=[store.pk], q="+4917199999", **period()).rows == []
    assert nobody_got(stores=[], **period()).rows == []


def test_long_lists_go_on_where_they_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deliveries.explaining.lists.SHOWN", 2)
    monkeypatch.setattr("deliveries.explaining.lists.LOOKED_AT", 3)
    store = StoreFactory()
    events = [EventFactory(store=store) for _ in range(5)]
    seen: list[Any] = []
    before = None
    while True:
        page = nobody_got(stores=[store.pk], before=before, **period())
        seen += [row.event.pk for row in page.rows]
        before = page.older
        if before is None:
            break
    assert seen == [event.pk for event in reversed(events)]


def test_a_subscription_lists_what_its_filter_turned_away() -> None:
    store = StoreFactory()
    filtered = subscribed(store, filter="status == 'ready'")
    lost = push(store, status="lost")
    push(store, status="ready")
    EventFactory(store=store, topic="order.created")
    page = turned_away(subscription=filtered, **period())
    assert [row.event.pk for row in page.rows] == [lost.pk]
    assert "status" in page.rows[0].why
