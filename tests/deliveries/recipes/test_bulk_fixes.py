"""Bulk fixes: a preview of every member, one send, approval by a second person, undoing what it did to records."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.maintenance.retention import prune
from deliveries.models import BulkFix, Delivery, Event, Record, Revision
from deliveries.recipes.drafts import begin_fix, fields, preview_fix, save_draft, values_now
from deliveries.recipes.drafts import shape_for as shape_of_draft
from deliveries.recipes.rules import RuleError
from deliveries.recipes.sending import approve_fix, reject_fix, send_fix
from deliveries.recipes.suggestions import suggest
from deliveries.recipes.undoing import undo_records
from deliveries.replay import ReplayError, start_replay, step
from deliveries.resolution import ResolutionError, discard_delivery, edit_delivery, retry_delivery
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry
from notifications.models import Notification
from tests.deliveries.recipes.morning import FIELD, RULES, Fleet, fleet, good, spoiled
from tests.factories import TopicFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def morning(receiver: Any, deliver: Callable[..., int]) -> Fleet:
    """Twelve shipments that arrived, then twenty of which each was refused for a phone number of its own."""
    made, rng = fleet(receiver), random.Random(7)
    for number in range(12):
        made.ship(1000 + number, good(rng))
    for number in range(20):
        made.ship(2000 + number, spoiled(good(rng), number))
    deliver()
    assert Delivery.objects.filter(status="failed").count() == 20
    return made


def actor(name: str = "anna") -> Actor:
    return Actor.of_user(UserFactory(username=name))


def scope() -> dict[str, str]:
    delivery = Delivery.objects.filter(status="failed").first()
    assert delivery is not None
    return {"group": str(delivery.failure_group_id)}


def draft(fleet: Fleet, who: Actor | None = None, **values: Any) -> BulkFix:
    fix = begin_fix(scope=scope(), store=fleet.store, actor=who or actor())
    save_draft(fix=fix, **{"rules": RULES, **values})
    return fix


def finish(fix: BulkFix, deliver: Callable[..., int]) -> None:
    now = timezone.now()
    assert fix.replay is not None
    while not step(fix.replay.pk, now).is_over:
        now += timedelta(seconds=1)
    deliver()
    fix.refresh_from_db()


def test_all_different_values_are_one_group_and_the_field_at_fault_is_found(morning: Fleet) -> None:
    assert len(set(Delivery.objects.filter(status="failed").values_list("failure_group_id", flat=True))) == 1
    found = fields(scope(), morning.store)
    assert (found[0].path, found[0].is_suspect) == (FIELD, True)
    assert {field.path for field in found} == {FIELD, "id", "status", "shipping_address.city"}


def test_a_receiver_that_names_nothing_leaves_the_field_to_be_found_by_contrast(morning: Fleet) -> None:
    Delivery.objects.filter(status="failed").update(last_error="The receiver answered 422: no.")
    for delivery in Delivery.objects.filter(status="failed"):
        delivery.attempts.update(error_message="The receiver answered 422: no.")
    found = fields(scope(), morning.store)
    assert [field.path for field in found if field.is_suspect] == [FIELD]


def test_rules_are_suggested_that_make_the_values_like_those_that_arrived(morning: Fleet) -> None:
    fix = begin_fix(scope=scope(), store=morning.store, actor=actor())
    found = suggest(values_now(fix, 50), shape_of_draft(fix))
    assert found is not None
    assert (found.fitting, found.tried) == (20, 20)
    assert {"strip", "prefix"} <= {rule["rule"] for rule in found.rules}


def test_the_preview_counts_every_member_and_says_why_one_does_not_fit(morning: Fleet, deliver: Any) -> None:
    morning.ship(3000, "call me")
    deliver()
    fix = draft(morning)
    plan = preview_fix(fix, is_wanted=lambda number, row: number < 3)
    assert plan.counts == {"fits": 20, "unlike": 1, "unchanged": 0, "breaks": 0}
    assert [row.member.object_id for row in plan.rows] == ["3000", "2019", "2018"]
    assert "characters" in plan.rows[0].why
    TopicFactory(store=morning.store, name="shipment.updated", schema=schema(r"^\+254\d{9}$"))
    plan = preview_fix(fix, is_wanted=lambda number, row: row.verdict == "breaks")
    assert plan.counts["breaks"] == 1
    assert plan.rows[0].why.startswith(f"{FIELD}: ")


def schema(pattern: str) -> dict[str, Any]:
    phone = {"type": "string", "pattern": pattern}
    return {"properties": {"shipping_address": {"properties": {"phone": phone}}}}


def test_one_send_gives_each_delivery_its_own_revision_and_they_arrive(morning: Fleet, deliver: Any) -> None:
    rng = random.Random(7)
    wanted = [good(rng) for _ in range(32)][12:]
    fix = send_fix(fix=draft(morning), actor=actor("bob"), reason="typed by hand at the depot")
    assert fix.replay is not None and fix.replay.total == 20
    finish(fix, deliver)
    assert not Delivery.objects.exclude(status="succeeded").exists()
    assert sorted(morning.courier.taken)[12:] == [(str(2000 + n), phone) for n, phone in enumerate(wanted)]
    for number, phone in enumerate(wanted):
        record = Record.objects.get(external_id=str(2000 + number))
        assert record.data["shipping_address"] == {"city": "Nairobi", "phone": phone}
        event = Event.objects.get(object_id=str(2000 + number))
        assert event.data["shipping_address"]["phone"] != phone  # what was pushed stays
    assert Event.objects.count() == 32  # no record update emitted one
    assert Revision.objects.count() == 20
    assert Delivery.objects.filter(attempt_count=2).count() == 20
    edits = AuditEntry.objects.filter(action="edit", target_type="delivery")
    assert edits.count() == 20
    assert edits[0].actor == "bob" and edits[0].reason == "typed by hand at the depot"
    assert edits[0].after["bulk_fix"] == str(fix.pk)
    assert AuditEntry.objects.filter(target_type="bulkfix", action="send").count() == 1


def test_a_step_that_is_repeated_sends_nothing_twice(morning: Fleet, deliver: Any) -> None:
    fix = send_fix(fix=draft(morning), actor=actor("bob"))
    finish(fix, deliver)
    assert fix.replay is not None
    type(fix.replay).objects.filter(pk=fix.replay.pk).update(status="running", cursor=None)
    finish(fix, deliver)
    assert len(morning.courier.taken) == 32
    with pytest.raises(ResolutionError, match="sent already"):
        send_fix(fix=fix, actor=actor("carl"))


def test_values_typed_by_hand_win_over_the_rules_and_removing_is_a_value_too(morning: Fleet) -> None:
    ids = list(Delivery.objects.filter(status="failed").order_by("-id").values_list("id", flat=True))
    fix = draft(morning, typed={ids[0]: {"value": "+254799999999"}, ids[1]: {}})
    plan = preview_fix(fix, is_wanted=lambda number, row: number < 2)
    assert [row.change for row in plan.rows] == [{"value": "+254799999999"}, {}]
    assert [row.verdict for row in plan.rows] == ["fits", "unlike"]
    save_draft(fix=fix, typed={ids[0]: None})
    plan = preview_fix(fix, is_wanted=lambda number, row: number < 1)
    assert not plan.rows[0].is_typed


def test_what_changed_since_the_review_is_skipped_and_says_why(morning: Fleet, deliver: Any) -> None:
    fix = send_fix(fix=draft(morning), actor=actor("bob"))
    first, second, third = Delivery.objects.filter(status="failed").order_by("id")[:3]
    payload = {**first.event.data, "status": "held"}
    edit_delivery(delivery=first, payload=payload, actor=actor("carl"))
    discard_delivery(delivery=second, actor=actor("dora"))
    TopicFactory(
        store=morning.store,
        name="shipment.updated",
        schema={"properties": {"id": {"not": {"const": third.event.object_id}}}},
    )
    Delivery.objects.filter(pk=first.pk).update(status="failed", finished_at=timezone.now(), due_at=None)
    finish(fix, deliver)
    notes = dict(fix.items.exclude(note="").values_list("delivery_id", "note"))
    assert set(notes) == {first.pk, third.pk}
    assert "edited the payload in the meantime" in notes[first.pk]
    assert fix.items.filter(is_written=True).count() == 17
    second.refresh_from_db()
    assert second.status == "discarded"


def test_a_second_approver_decides_about_the_whole_batch_once(morning: Fleet, deliver: Any) -> None:
    type(morning.store).objects.filter(pk=morning.store.pk).update(is_approval_required=True)
    morning.store.refresh_from_db()
    anna, bob, carl = actor("anna"), actor("bob"), actor("carl")
    mine = draft(morning, anna)
    save_draft(fix=mine, editor=carl)
    fix = send_fix(fix=mine, actor=anna)
    assert (fix.status, fix.replay) == ("awaiting", None)
    assert deliver() == 0
    waiting = Delivery.objects.filter(status="failed").first()
    assert waiting is not None
    with pytest.raises(ResolutionError, match="awaits approval"):
        retry_delivery(delivery=waiting, actor=bob)
    with pytest.raises(ResolutionError, match="other than the author"):
        approve_fix(fix=fix, actor=anna)
    assert Notification.objects.filter(summary__contains="asks for approval of a fix of 20").exists()
    with pytest.raises(ResolutionError, match="You have worked on this fix"):
        approve_fix(fix=fix, actor=carl)  # who has typed values into the draft
    approve_fix(fix=fix, actor=bob)
    assert not Notification.objects.filter(summary__contains="asks for approval", status="open").exists()
    finish(fix, deliver)
    assert Delivery.objects.filter(status="succeeded").count() == 32
    revision = Revision.objects.first()
    assert revision is not None and revision.approved_by == bob.user
    assert sorted(person.username for person in revision.people.all()) == ["anna", "carl"]
    with pytest.raises(ResolutionError, match="is sent"):
        reject_fix(fix=fix, actor=bob)


def test_a_rejected_batch_changes_nothing_and_retries_go_on(morning: Fleet, deliver: Any) -> None:
    type(morning.store).objects.filter(pk=morning.store.pk).update(is_approval_required=True)
    morning.store.refresh_from_db()
    one = Delivery.objects.filter(status="failed").first()
    assert one is not None
    Delivery.objects.filter(pk=one.pk).update(status="retrying", due_at=timezone.now(), finished_at=None)
    fix = send_fix(fix=draft(morning), actor=actor("bob"))
    one.refresh_from_db()
    assert one.due_at is None
    reject_fix(fix=fix, actor=actor("carl"), reason="wrong country")
    one.refresh_from_db()
    assert one.due_at is not None
    assert not Revision.objects.exists()
    retry_delivery(delivery=one, actor=actor("dora"))


def test_a_store_that_wants_a_reason_gets_one(morning: Fleet) -> None:
    type(morning.store).objects.filter(pk=morning.store.pk).update(is_reason_required=True)
    morning.store.refresh_from_db()
    fix = draft(morning)
    fix.store.refresh_from_db()
    with pytest.raises(ResolutionError, match="requires a reason"):
        send_fix(fix=fix, actor=actor("bob"))
    fix.refresh_from_db()
    assert fix.status == "draft"


def test_undo_gives_records_back_their_values_but_not_those_changed_since(morning: Fleet, deliver: Any) -> None:
    before = {record.external_id: record.data for record in Record.objects.all()}
    fix = send_fix(fix=draft(morning), actor=actor("bob"))
    finish(fix, deliver)
    newer = Record.objects.get(external_id="2003")
    newer.data = {**newer.data, "shipping_address": {"city": "Mombasa"}}
    newer.save()
    other = Record.objects.get(external_id="2004")
    other.data = {**other.data, "status": "delivered"}
    other.save()
    outcome = undo_records(fix=fix, actor=actor("carl"), reason="wrong")
    assert outcome.restored == 19
    assert outcome.refused == [("shipment/2003", "The record has been changed since; it was left as it is.")]
    for record in Record.objects.exclude(external_id__in=["2003", "2004"]):
        assert record.data == before[record.external_id]
    other.refresh_from_db()
    assert other.data == {**before["2004"], "status": "delivered"}
    assert Event.objects.count() == 32
    assert AuditEntry.objects.filter(action="undo", target_type="record").count() == 19
    outcome = undo_records(fix=fix, actor=actor("dora"))  # what was refused is looked at again
    assert (outcome.restored, len(outcome.refused)) == (0, 1)


def test_a_fix_without_record_updates_leaves_records_alone(morning: Fleet, deliver: Any) -> None:
    before = {record.external_id: (record.data, record.version) for record in Record.objects.all()}
    fix = send_fix(fix=draft(morning, updates_records=False), actor=actor("bob"))
    finish(fix, deliver)
    assert {record.external_id: (record.data, record.version) for record in Record.objects.all()} == before
    with pytest.raises(ResolutionError, match="has updated no record"):
        undo_records(fix=fix, actor=actor("carl"))


def test_rules_that_are_not_complete_are_kept_in_the_draft_and_cannot_be_sent(morning: Fleet) -> None:
    fix = draft(morning, rules=[{"rule": "replace", "find": "", "with": "x"}])
    assert fix.rules[0]["with"] == "x"
    with pytest.raises(RuleError, match="Find is empty"):
        send_fix(fix=fix, actor=actor("bob"))


def test_nothing_that_fits_is_nothing_to_send(morning: Fleet) -> None:
    with pytest.raises(ResolutionError, match="nothing to send"):
        send_fix(fix=draft(morning, rules=[]), actor=actor("bob"))


def test_only_the_failing_deliveries_of_the_store_and_scope_are_members(morning: Fleet) -> None:
    ids = [str(pk) for pk in Delivery.objects.values_list("id", flat=True)]
    fix = begin_fix(scope={"ids": ids}, store=morning.store, actor=actor())
    save_draft(fix=fix, rules=RULES)
    assert preview_fix(fix, is_wanted=lambda *_: False).counts["fits"] == 20
    stranger = UserFactory()
    from tests.factories import StoreFactory

    with pytest.raises(ResolutionError, match="No delivery"):
        begin_fix(scope={"ids": ids}, store=StoreFactory(), actor=Actor.of_user(stranger))


def test_a_replay_of_fixes_starts_from_its_table_only(morning: Fleet) -> None:
    with pytest.raises(ReplayError, match="from its table"):
        start_replay(filters={"group": "1"}, action="fix", actor=actor())
    fix = draft(morning, actor("bob"))
    with pytest.raises(ReplayError, match="from its table"):
        start_replay(filters={"bulk_fix": fix.public_id}, action="retry", actor=actor("x"))


def test_what_is_older_than_the_retention_goes_and_old_drafts_go(morning: Fleet, deliver: Any) -> None:
    fix = send_fix(fix=draft(morning), actor=actor("bob"))
    finish(fix, deliver)
    old = timezone.now() - timedelta(days=8)
    BulkFix.objects.filter(pk=begin_fix_again(morning).pk).update(created_at=old)
    prune(before=timezone.now() + timedelta(days=1))
    assert not fix.items.exists()
    assert BulkFix.objects.get() == fix


def begin_fix_again(fleet: Fleet) -> BulkFix:
    delivery = fleet.ship(4000, "x", status="failed")
    return begin_fix(scope={"ids": [str(delivery.pk)]}, store=fleet.store, actor=actor("zoe"))


def test_two_drafts_of_one_author_for_one_group_are_the_same(morning: Fleet) -> None:
    anna = actor()
    assert draft(morning, anna).pk == begin_fix(scope=scope(), store=morning.store, actor=anna).pk
    assert draft(morning, anna).pk != begin_fix(scope=scope(), store=morning.store, actor=actor("bob")).pk
