"""One correction for many: only where it fits, and every outcome is told."""

from __future__ import annotations

import sys
import threading
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections
from hypothesis import given
from hypothesis import strategies as st

from deliveries.models import Delivery, FailureGroup, Record, Revision
from deliveries.resolution import ResolutionError, alike, change, edit_delivery, edit_similar, fits, history_of
from integrations.foundation.audit import Actor
from integrations.foundation.json_documents import apply_patch, is_same
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    RecordFactory,
    SubscriptionFactory,
    TopicFactory,
)

ADA = Actor(None, "ada")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def in_group(group: FailureGroup, data: dict[str, Any], **values: Any) -> Delivery:
    subscription = SubscriptionFactory(integration=group.integration)
    event = EventFactory(store=group.store, object_id=str(data.get("id", "")), data=data)
    return DeliveryFactory(subscription=subscription, event=event, failure_group=group, **{"status": "failed"} | values)


@given(json_values, json_values)
def test_a_change_leads_from_before_to_after(before: Any, after: Any) -> None:
    assert is_same(apply_patch(before, change(before, after)), after)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"id": "2", "to": {"phone": "0"}}, ""),
        ({"id": "2", "to": {"phone": "0"}, "more": [1]}, ""),
        ({"id": "2", "to": {"phone": "5"}}, "to.phone has another value here"),
        ({"id": "2", "to": {}}, "to.phone"),
        ({"id": "2"}, "to.phone"),
        ({"id": "2", "to": ["0"]}, "to.phone"),
        ({"id": "2", "to": {"phone": "0"}, "country": "FR"}, 'It already has a country: "FR".'),
        ({"id": "2", "to": {"phone": "1"}, "country": "US"}, "to.phone has another value here"),
    ],
)
def test_a_change_fits_where_the_same_values_stand_in_the_same_places(data: dict[str, Any], why: str) -> None:
    patch = change({"id": "1", "to": {"phone": "0"}}, {"id": "1", "to": {"phone": "1"}, "country": "US"})
    is_fitting, reason = fits(patch, in_group(FailureGroupFactory(), data))
    assert is_fitting is (why == "")
    assert why.lower() in reason.lower()


@pytest.mark.django_db
def test_a_change_that_breaks_the_schema_there_does_not_fit() -> None:
    group = FailureGroupFactory()
    other = in_group(group, {"id": "2", "phone": "0", "n": "many"})
    TopicFactory(store=group.store, name=other.topic, schema={"properties": {"n": {"type": "integer"}}})
    assert fits(change({"phone": "0"}, {"phone": "1"}), other) == (False, "n: 'many' is not of type 'integer'")


@pytest.mark.django_db
def test_alike_are_the_others_of_the_group_that_still_fail() -> None:
    group = FailureGroupFactory()
    one, other = in_group(group, {"id": "1"}), in_group(group, {"id": "2"}, status="retrying")
    in_group(group, {"id": "3"}, status="pending")
    in_group(FailureGroupFactory(), {"id": "4"})
    assert list(alike(one)) == [other]
    assert not alike(DeliveryFactory(status="failed")).exists()


@pytest.mark.django_db
def test_the_same_change_goes_into_all_that_it_fits_and_each_outcome_is_told() -> None:
    group = FailureGroupFactory()
    one, fitting = in_group(group, {"id": "1", "phone": "0"}), in_group(group, {"id": "2", "phone": "0"})
    different = in_group(group, {"id": "3", "phone": "9"})
    sending = in_group(group, {"id": "4", "phone": "0"}, status="sending", lease=uuid4())
    foreign = in_group(FailureGroupFactory(), {"id": "5", "phone": "0"})
    record = RecordFactory(store=group.store, external_id="2", data={"id": "2", "phone": "0"})
    report = edit_similar(
        delivery=one,
        payload={"id": "1", "phone": "1"},
        deliveries=[fitting, different.pk, sending, foreign, one, fitting],
        actor=ADA,
        reason="area code",
        update_record=True,
    )
    assert report.revision.data == {"id": "1", "phone": "1"}
    assert report.done_count == 1
    assert [(result.delivery_id, result.is_done) for result in report.results] == [
        (fitting.pk, True),
        (different.pk, False),
        (sending.pk, False),
        (foreign.pk, False),
    ]
    assert Revision.objects.get(delivery=fitting).data == {"id": "2", "phone": "1"}
    assert history_of(fitting).get().reason == "area code"
    record.refresh_from_db()
    assert record.data == {"id": "2", "phone": "1"}
    assert Record.objects.count() == 1
    assert Delivery.objects.get(pk=different.pk).status == "failed"


@pytest.mark.django_db
def test_nothing_is_changed_when_the_delivery_itself_cannot_be_edited() -> None:
    group = FailureGroupFactory()
    one, other = in_group(group, {"id": "1", "phone": "0"}), in_group(group, {"id": "2", "phone": "0"})
    with pytest.raises(ResolutionError):
        edit_similar(delivery=one, payload={"id": "1", "phone": "0"}, deliveries=[other], actor=ADA)
    assert not Revision.objects.exists()


@pytest.mark.django_db
def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[edit_similar.__module__], "ALIKE_LIMIT", 1)
    one = in_group(FailureGroupFactory(), {"id": "1"})
    with pytest.raises(ResolutionError) as caught:
        edit_similar(delivery=one, payload={"id": "1", "a": 1}, deliveries=[uuid4(), uuid4()], actor=ADA)
    assert caught.value.code == "too_many"


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_edit_at_once_one_is_told() -> None:
    delivery = in_group(FailureGroupFactory(), {"id": "1", "phone": "0"})
    outcomes: list[str] = []
    # SQLite has one writer at a time; in the tests' shared memory it refuses the second instead of making it wait.
    parallel = connection.vendor == "postgresql"
    barrier = threading.Barrier(2 if parallel else 1)

    def edit(phone: str) -> None:
        barrier.wait(5)
        try:
            edit_delivery(delivery=delivery, payload={"id": "1", "phone": phone}, actor=ADA, expected_revision=0)
            outcomes.append("done")
        except ResolutionError as error:
            outcomes.append(error.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=edit, args=(phone,)) for phone in "12"]
    for thread in threads:
        thread.start()
        if not parallel:
            thread.join(20)
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["conflict", "done"]
    assert Revision.objects.count() == 1
