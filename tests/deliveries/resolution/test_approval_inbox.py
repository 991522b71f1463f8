"""Edits that await approval are decided in batches: by somebody else, each on its own."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from deliveries.models import Delivery, Revision
from deliveries.proposals.waiting import waiting_count
from deliveries.resolution import edit_delivery
from deliveries.resolution.approval_inbox import batches_for, decide
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, StaffProfile
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    StoreFactory,
    SubscriptionFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def person(name: str, *stores: Any) -> Any:
    user = UserFactory(is_superuser=False, username=name)
    user.groups.add(Group.objects.get(name="Manager"))
    user.stores.set(stores)
    if not stores:
        StaffProfile.objects.create(user=user, sees_all_stores=True)
    return user


@pytest.fixture
def max_() -> Any:
    return person("max")


@pytest.fixture
def olga() -> Any:
    return person("olga")


def edited(author: Any, count: int, store: Any = None, reason: str = "no country code") -> list[Delivery]:
    """That many failed deliveries of one case, edited by `author`."""
    store = store or StoreFactory(is_approval_required=True)
    subscription = SubscriptionFactory(integration__store=store)
    group = FailureGroupFactory(integration=subscription.integration)
    made = []
    for number in range(count):
        event = EventFactory(store=store, object_id=str(number), data={"id": str(number), "phone": "0"})
        one = DeliveryFactory(subscription=subscription, event=event, status="failed", failure_group=group)
        edit_delivery(
            delivery=one,
            payload={"id": str(number), "phone": f"+41{number}"},
            actor=Actor.of_user(author),
            reason=reason,
        )
        made.append(one)
    return made


def statuses(deliveries: list[Delivery]) -> list[str]:
    return [Delivery.objects.get(pk=one.pk).status for one in deliveries]


def test_what_one_person_sent_for_one_reason_in_one_case_is_a_batch_with_samples(olga: Any, max_: Any) -> None:
    store = StoreFactory(is_approval_required=True)
    edited(olga, 5, store)
    edited(olga, 1, store, reason="typing error")
    big, small = batches_for(max_)
    assert (big.count, big.author, big.reason, big.is_own, len(big.samples)) == (5, "olga", "no country code", False, 3)
    assert "phone" in big.samples[0].lines[0] and "+410" in big.samples[0].lines[0]
    assert big.case is not None
    assert small.reason == "typing error"
    assert waiting_count(max_) == 6


def test_a_batch_is_approved_with_one_entry_for_all_and_one_for_each(olga: Any, max_: Any) -> None:
    made = edited(olga, 4)
    [batch] = batches_for(max_)
    report = decide(ids=batch.ids, decision="approve", user=max_)
    assert (report.done, report.skipped, statuses(made)) == (4, [], ["pending"] * 4)
    assert [Delivery.objects.get(pk=one.pk).revision for one in made] == [1] * 4
    assert AuditEntry.objects.filter(action="approve", actor="max").count() == 4
    assert AuditEntry.objects.get(action="approve_batch").after == {"done": 4, "skipped": 0}
    assert batches_for(max_) == []


def test_nobody_approves_their_own_edits_however_they_ask(olga: Any, max_: Any) -> None:
    own, others = edited(max_, 2), edited(olga, 1)
    first, last = batches_for(max_)
    assert (first.is_own, last.is_own) == (False, True)
    report = decide(ids=first.ids + last.ids, decision="approve", user=max_)
    assert report.done == 1
    assert report.skipped == ["Someone other than the author must approve an edited payload."] * 2
    assert (statuses(own), statuses(others)) == (["failed"] * 2, ["pending"])


def test_people_see_and_decide_only_what_is_of_their_stores(olga: Any) -> None:
    made = edited(olga, 2)
    stranger = person("sue", StoreFactory())
    assert (batches_for(stranger), waiting_count(stranger)) == ([], 0)
    report = decide(ids=list(Revision.objects.values_list("pk", flat=True)), decision="approve", user=stranger)
    assert (report.done, statuses(made)) == (0, ["failed"] * 2)


def test_what_was_decided_meanwhile_leaves_the_others_alone(olga: Any, max_: Any) -> None:
    made = edited(olga, 3)
    [batch] = batches_for(max_)
    decide(ids=batch.ids[:1], decision="reject", user=max_, reason="the number is wrong")
    report = decide(ids=batch.ids, decision="approve", user=max_)
    assert (report.done, report.skipped) == (2, ["This payload has already been rejected."])
    assert statuses(made) == ["failed", "pending", "pending"]
    assert AuditEntry.objects.get(action="reject").reason == "the number is wrong"
