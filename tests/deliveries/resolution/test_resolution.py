"""What staff do about a delivery: resend, discard or wait; in which states, with what written down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from deliveries import hooks
from deliveries.models import Delivery
from deliveries.resolution import (
    ResolutionError,
    actions_for,
    discard_delivery,
    edit_delivery,
    history_of,
    retry_delivery,
    visit,
    wait_for_source,
)
from integrations.foundation.audit import Actor
from integrations.security.tokens import Principal
from tests.deliveries.resolution.staff import ADA, NOW, code_of, failed
from tests.factories import FailureGroupFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", ["failed", "retrying", "pending", "succeeded", "discarded", "superseded"])
def test_a_resend_is_due_at_once_with_the_whole_schedule_before_it(status: str, ada: Actor) -> None:
    delivery = failed(status=status)
    retry_delivery(delivery=delivery, actor=ada, reason="they fixed it", now=NOW)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.due_at, delivery.trigger, delivery.retry_count) == ("pending", NOW, "manual", 0)
    assert delivery.finished_at is None
    entry = history_of(delivery).get()
    assert (entry.actor, entry.action, entry.reason) == ("ada", "retry", "they fixed it")
    assert (entry.before["status"], entry.after["status"]) == (status, "pending")


def test_what_is_being_sent_is_left_alone() -> None:
    delivery = failed(status="sending", lease=uuid4())
    for service in (retry_delivery, discard_delivery, wait_for_source):
        with pytest.raises(ResolutionError) as caught:
            service(delivery=delivery, actor=ADA)
        assert code_of(caught) == "conflict"
    with pytest.raises(ResolutionError) as caught:
        edit_delivery(delivery=delivery, payload={"id": "7"}, actor=ADA)
    assert code_of(caught) == "conflict"
    delivery.refresh_from_db()
    assert delivery.status == "sending"
    assert not history_of(delivery).exists()


def test_a_group_stays_open_until_the_resend_has_succeeded() -> None:
    group = FailureGroupFactory()
    delivery = failed(failure_group=group)
    retry_delivery(delivery=delivery, actor=ADA)
    group.refresh_from_db()
    delivery.refresh_from_db()
    assert (group.status, delivery.failure_group) == ("open", group)


def test_a_program_is_named_by_its_token() -> None:
    delivery = failed()
    principal = Principal(delivery.store_id, uuid4(), "till 4", frozenset({"manage"}), None, 0)
    retry_delivery(delivery=delivery, actor=Actor.of_principal(principal))
    assert history_of(delivery).get().actor == "token till 4"


def test_a_discarded_delivery_leaves_its_group_which_closes_by_that_name(ada: Actor) -> None:
    heard: list[Any] = []
    group = FailureGroupFactory()
    delivery = failed(failure_group=group, status="retrying", finished_at=None)
    with (
        hooks.groups_resolved.connected(lambda ids, by, now: heard.append((list(ids), by))),
        hooks.settled.connected(lambda batch, now: heard.append(batch[0].status)),
    ):
        discard_delivery(delivery=delivery, actor=ada, reason="test order", now=NOW)
    delivery.refresh_from_db()
    group.refresh_from_db()
    assert (delivery.status, delivery.due_at, delivery.finished_at) == ("discarded", None, NOW)
    assert (delivery.failure_group, group.status) == (None, "resolved")
    assert heard == [([group.id], "ada"), "discarded"]


@pytest.mark.parametrize("status", ["succeeded", "discarded", "superseded"])
def test_what_is_finished_cannot_be_discarded(status: str) -> None:
    with pytest.raises(ResolutionError) as caught:
        discard_delivery(delivery=failed(status=status), actor=ADA)
    assert code_of(caught) == "finished"


def test_waiting_for_the_source_stops_the_retries() -> None:
    delivery = failed(status="retrying", finished_at=None)
    wait_for_source(delivery=delivery, actor=ADA, now=NOW)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.due_at, delivery.is_awaiting_source) == ("failed", None, True)
    assert "wait" not in actions_for(delivery)
    retry_delivery(delivery=delivery, actor=ADA)
    assert not Delivery.objects.get().is_awaiting_source


def test_nothing_can_supersede_what_is_of_no_record_or_is_ordered() -> None:
    for delivery in (failed(data={"n": 1}), failed(order_key="shipment/7")):
        with pytest.raises(ResolutionError) as caught:
            wait_for_source(delivery=delivery, actor=ADA)
        assert code_of(caught) == "not_allowed"


def test_the_second_in_the_wizard_is_told_of_the_first(ada: Actor, bob: Actor) -> None:
    delivery, other = failed(), failed()
    assert ada.user is not None
    assert bob.user is not None
    assert visit(delivery, ada.user, NOW) == []
    assert visit(delivery, ada.user, NOW) == []
    assert [(visitor.name, visitor.at) for visitor in visit(delivery, bob.user, NOW)] == [("ada", NOW)]
    assert visit(other, bob.user, NOW) == []
    assert visit(delivery, bob.user, NOW + timedelta(minutes=3)) == []
