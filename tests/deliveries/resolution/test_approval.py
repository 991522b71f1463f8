"""Edited payloads that wait for a second person."""

from __future__ import annotations

import pytest

from deliveries.models import Delivery
from deliveries.resolution import (
    ResolutionError,
    approve_revision,
    edit_delivery,
    history_of,
    reject_revision,
    retry_delivery,
)
from integrations.foundation.audit import Actor
from tests.deliveries.resolution.staff import ADA, NOW, code_of, failed
from tests.factories import RecordFactory, StoreFactory

pytestmark = pytest.mark.django_db


def test_an_edited_payload_waits_for_a_second_person(ada: Actor, bob: Actor) -> None:
    delivery = failed(store=StoreFactory(is_approval_required=True), status="retrying", finished_at=None)
    record = RecordFactory(store=delivery.store, external_id="7", data={"id": "7", "phone": "0000000000"})
    revision = edit_delivery(delivery=delivery, payload={"id": "7", "phone": "1"}, actor=ada, update_record=True)
    delivery.refresh_from_db()
    assert revision.is_awaiting_approval
    assert (delivery.revision, delivery.status, delivery.due_at) == (0, "retrying", None)
    for actor in (ada, ADA):
        with pytest.raises(ResolutionError) as caught:
            approve_revision(revision=revision, actor=actor)
        assert code_of(caught) == "not_allowed"
    with pytest.raises(ResolutionError) as caught:
        retry_delivery(delivery=delivery, actor=ada)
    assert code_of(caught) == "awaiting_approval"
    record.refresh_from_db()
    assert record.version == 1

    approve_revision(revision=revision, actor=bob, now=NOW)
    delivery.refresh_from_db()
    revision.refresh_from_db()
    record.refresh_from_db()
    assert (delivery.revision, delivery.status, delivery.due_at, delivery.trigger) == (1, "pending", NOW, "edited")
    assert (revision.is_awaiting_approval, revision.approved_by, revision.approved_at) == (False, bob.user, NOW)
    assert record.data["phone"] == "1"
    assert [entry.actor for entry in history_of(delivery)] == ["bob", "ada"]
    with pytest.raises(ResolutionError, match="already been approved"):
        approve_revision(revision=revision, actor=bob)


def test_a_rejected_payload_never_goes_out_and_the_old_one_goes_on(ada: Actor, bob: Actor) -> None:
    delivery = failed(store=StoreFactory(is_approval_required=True), status="retrying", finished_at=None)
    revision = edit_delivery(delivery=delivery, payload={"id": "7", "phone": "1"}, actor=ada)
    reject_revision(revision=revision, actor=bob, reason="wrong number", now=NOW)
    delivery.refresh_from_db()
    revision.refresh_from_db()
    assert (delivery.revision, delivery.due_at, revision.rejected_by) == (0, NOW, bob.user)
    assert edit_delivery(delivery=delivery, payload={"id": "7", "phone": "2"}, actor=ada).number == 2


def test_a_failed_delivery_stays_failed_while_its_edit_waits_and_after_its_rejection(ada: Actor, bob: Actor) -> None:
    delivery = failed(store=StoreFactory(is_approval_required=True))
    revision = edit_delivery(delivery=delivery, payload={"id": "7", "phone": "1"}, actor=ada)
    assert Delivery.objects.get().status == "failed"
    reject_revision(revision=revision, actor=bob)
    assert Delivery.objects.get().status == "failed"


def test_another_edit_overtakes_the_one_that_waits(ada: Actor, bob: Actor) -> None:
    delivery = failed(store=StoreFactory(is_approval_required=True))
    first = edit_delivery(delivery=delivery, payload={"id": "7", "phone": "1"}, actor=ada)
    edit_delivery(delivery=delivery, payload={"id": "7", "phone": "2"}, actor=bob)
    with pytest.raises(ResolutionError, match="already been rejected"):
        approve_revision(revision=first, actor=bob)
