"""What staff do about deliveries of an ordered subscription, each of which waits for the one before."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from deliveries.models import Delivery
from deliveries.resolution import (
    ResolutionError,
    actions_for,
    approve_revision,
    discard_delivery,
    edit_delivery,
    history_of,
    release_hold,
    retry_delivery,
)
from integrations.foundation.audit import Actor
from tests.deliveries.resolution.staff import ADA, NOW, code_of, failed
from tests.factories import StoreFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db


def line(*statuses: str) -> list[Delivery]:
    """Deliveries of one record of an ordered subscription, in their order; `held` is pending and not due."""
    store = StoreFactory()
    subscription = SubscriptionFactory(integration__store=store, is_ordered=True)
    made = []
    for status in statuses:
        values: dict[str, Any] = {"status": status} if status != "held" else {"status": "pending", "due_at": None}
        if status == "sending":
            values["lease"] = uuid4()
        made.append(failed(store=store, subscription=subscription, order_key="shipment/7", **values))
    return made


def test_discarding_the_first_in_line_lets_the_next_one_go() -> None:
    first, second, third = line("failed", "held", "held")
    discard_delivery(delivery=first, actor=ADA, now=NOW)
    second.refresh_from_db()
    third.refresh_from_db()
    assert (second.due_at, third.is_held) == (NOW, True)


def test_a_hold_is_released_when_the_earlier_one_has_failed() -> None:
    _, second = line("failed", "held")
    assert actions_for(second) >= {"release"}
    release_hold(delivery=second, actor=ADA, reason="urgent", now=NOW)
    second.refresh_from_db()
    assert (second.due_at, second.trigger) == (NOW, "manual")
    assert history_of(second).get().action == "release_hold"


@pytest.mark.parametrize("status", ["sending", "retrying", "pending"])
def test_a_hold_stays_while_an_earlier_one_is_under_way(status: str) -> None:
    _, second = line(status, "held")
    with pytest.raises(ResolutionError) as caught:
        release_hold(delivery=second, actor=ADA)
    assert code_of(caught) == "conflict"


def test_only_what_is_held_can_be_released() -> None:
    with pytest.raises(ResolutionError) as caught:
        release_hold(delivery=failed(), actor=ADA)
    assert code_of(caught) == "conflict"


def test_a_resend_in_an_ordered_line_waits_for_what_is_under_way() -> None:
    first, _ = line("succeeded", "sending")
    retry_delivery(delivery=first, actor=ADA)
    first.refresh_from_db()
    assert first.is_held
    head, later = line("failed", "failed")
    retry_delivery(delivery=later, actor=ADA)
    retry_delivery(delivery=head, actor=ADA, now=NOW)
    head.refresh_from_db()
    later.refresh_from_db()
    assert (head.due_at, later.is_held) == (NOW, True)


def test_an_edit_that_waits_for_approval_is_not_released(ada: Actor, bob: Actor) -> None:
    _, second = line("succeeded", "held")
    second.store.is_approval_required = True
    second.store.save()
    revision = edit_delivery(delivery=second, payload={"id": "7"}, actor=ada)
    with pytest.raises(ResolutionError):
        release_hold(delivery=second, actor=ada)
    approve_revision(revision=revision, actor=bob, now=NOW)
    assert Delivery.objects.get(pk=second.pk).due_at == NOW
