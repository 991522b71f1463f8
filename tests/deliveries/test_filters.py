"""Filters of deliveries: one meaning for the API, the admin and replays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deliveries.filters import FilterError, apply_filters, clean_filters
from deliveries.models import Delivery
from deliveries.stats.topics import known_names, seen_topics
from integrations.foundation.identifiers import public_id, uuid7
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    IntegrationFactory,
    StoreFactory,
    SubscriptionFactory,
    TopicFactory,
)

pytestmark = pytest.mark.django_db


def found(**params: object) -> set[Delivery]:
    return set(apply_filters(Delivery.objects.all(), params))


def test_no_filter_finds_all() -> None:
    delivery = DeliveryFactory()
    assert found(status="", q=None, topic="") == {delivery}


def test_status_takes_one_or_several() -> None:
    failed, retrying = DeliveryFactory(status="failed"), DeliveryFactory(status="retrying")
    DeliveryFactory(status="succeeded")
    assert found(status="failed") == {failed}
    assert found(status="failed,retrying") == found(status=["failed", "retrying"]) == {failed, retrying}


@pytest.mark.parametrize(
    "params",
    [
        {"status": "broken"},
        {"integration": "nowhere"},
        {"integration": "99999999999999999999999"},
        {"store": "no-uuid"},
        {"store": str(uuid7())},
        {"since": "yesterday"},
        {"until": "2026-13-01"},
        {"until": "0001-01-01"},
        {"finished_since": "soon"},
        {"group": "x"},
        {"subscription": "nsub_x"},
        {"colour": "red"},
    ],
)
def test_unknown_names_and_values_are_refused_with_the_filter_named(params: dict[str, str]) -> None:
    with pytest.raises(FilterError) as caught:
        found(**params)
    assert caught.value.field == next(iter(params))
    assert isinstance(caught.value, ValueError)


def test_integration_is_named_by_slug_uuid_or_key_also_after_its_deletion() -> None:
    integration = IntegrationFactory(slug="erp", deleted_at=datetime(2026, 1, 1, tzinfo=UTC))
    delivery = DeliveryFactory(subscription=SubscriptionFactory(integration=integration))
    DeliveryFactory()
    assert (
        found(integration="erp") == found(integration=integration.uuid) == found(integration=integration) == {delivery}
    )


def test_a_slug_means_the_integration_of_the_given_store() -> None:
    ours, theirs = IntegrationFactory(slug="erp"), IntegrationFactory(slug="erp")
    first = DeliveryFactory(subscription=SubscriptionFactory(integration=ours))
    second = DeliveryFactory(subscription=SubscriptionFactory(integration=theirs))
    assert found(integration="erp") == {first, second}
    assert found(integration="erp", store=ours.store) == {first}
    with pytest.raises(FilterError):
        found(integration="erp", store=StoreFactory())


def test_several_stores_can_be_given() -> None:
    one, two = DeliveryFactory(), DeliveryFactory()
    DeliveryFactory()
    assert found(store=[one.store, two.store]) == {one, two}
    assert found(store=f"{one.store_id},{two.store_id}") == {one, two}


def test_topics_match_exactly_or_below_a_star() -> None:
    updated = DeliveryFactory(event=EventFactory(topic="shipment.updated"))
    created = DeliveryFactory(event=EventFactory(topic="shipment.created"))
    other = DeliveryFactory(event=EventFactory(topic="shipments.created"))
    assert found(topic="shipment.updated") == {updated}
    assert found(topic="shipment.*") == {updated, created}
    assert found(topic="*") == {updated, created, other}


def test_times_bound_creation_and_a_bare_date_is_its_midnight() -> None:
    def made(at: datetime) -> Delivery:
        return DeliveryFactory(id=uuid7(int(at.timestamp() * 1000)), created_at=at)

    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    early, late = made(noon), made(noon + timedelta(hours=1))
    last_month = made(noon - timedelta(days=28))
    assert found(since="2026-03-01") == {early, late}
    assert found(since="2026-03-01T13:00:00Z") == {late}
    assert found(since="2026-03-01T14:00:00 01:00") == {late}
    assert found(until=noon + timedelta(hours=1)) == {early, last_month}
    assert found(since="2026-02-01", until="2026-02-28") == {last_month}


def test_the_end_of_a_delivery_can_be_bounded_too() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    made = uuid7(int((noon - timedelta(days=3)).timestamp() * 1000))
    late = DeliveryFactory(id=made, status="failed", created_at=noon - timedelta(days=3), finished_at=noon)
    DeliveryFactory()
    assert found(finished_since=noon, finished_until=noon + timedelta(minutes=5)) == {late}
    assert found(finished_until=noon) == found(finished_since=noon + timedelta(seconds=1)) == set()


def test_search_takes_the_ids_that_people_copy() -> None:
    delivery = DeliveryFactory()
    DeliveryFactory()
    for text in (
        delivery.public_id,
        delivery.request_id,
        str(delivery.id),
        delivery.event.public_id,
        public_id("notif", delivery.id),
    ):
        assert found(q=text) == {delivery}, text


def test_search_takes_an_object_id_even_when_it_looks_like_ours() -> None:
    for text in ("1111111111", str(uuid7()), "Ωmega 7"):
        delivery = DeliveryFactory(event=EventFactory(object_id=text))
        assert found(q=text) == {delivery}


def test_search_takes_the_beginning_of_a_topic_or_intent() -> None:
    shipment = DeliveryFactory(event=EventFactory(topic="shipment.updated"))
    order = DeliveryFactory(
        event=EventFactory(topic=None, intent="order_pizza"), subscription=SubscriptionFactory(intents=["order_pizza"])
    )
    assert found(q="ship") == found(q="Shipment.up") == {shipment}
    assert found(q="order_p") == {order}
    assert found(q="nothing like it") == set()


def test_a_group_and_a_subscription_can_be_filtered() -> None:
    group = FailureGroupFactory()
    delivery = DeliveryFactory(status="failed", failure_group=group)
    DeliveryFactory()
    assert found(group=group.id) == found(failure_group=str(group.id)) == {delivery}
    assert found(subscription=public_id("nsub", delivery.subscription_id)) == {delivery}


def test_clean_filters_leaves_what_can_be_stored() -> None:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    store = StoreFactory()
    assert clean_filters({"store": store, "since": since, "failure_group": 5, "q": " x\0 ", "topic": None}) == {
        "store": str(store.id),
        "since": since.isoformat(),
        "group": "5",
        "q": "x",
    }


def test_seen_topics_are_found_without_reading_every_event() -> None:
    first, second = StoreFactory(), StoreFactory()
    for topic in ("b.x", "a.x", "b.x", "c.x"):
        EventFactory(store=first, topic=topic)
    EventFactory(store=second, topic="d.x")
    EventFactory(store=second, topic=None, intent="order")
    TopicFactory(store=second, name="e.described")
    assert seen_topics() == ["a.x", "b.x", "c.x", "d.x"]
    assert seen_topics([first.id]) == ["a.x", "b.x", "c.x"]
    assert seen_topics([]) == []
    assert known_names(stores=[second.id]) == ["d.x", "e.described"]
