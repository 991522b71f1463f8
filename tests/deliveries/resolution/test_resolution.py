"""What staff do about a delivery: in which states, under which rules, with what written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from deliveries import hooks
from deliveries.models import Delivery, Event, Record, Revision
from deliveries.resolution import (
    ResolutionError,
    actions_for,
    approve_revision,
    check_payload,
    discard_delivery,
    edit_delivery,
    history_of,
    payload_of,
    reject_revision,
    release_hold,
    retry_delivery,
    schema_problems,
    visit,
    wait_for_source,
)
from integrations.foundation.audit import Actor
from integrations.security.tokens import Principal
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    RecordFactory,
    StoreFactory,
    SubscriptionFactory,
    TopicFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Actor(None, "ada")


@pytest.fixture
def ada() -> Actor:
    return Actor.of_user(UserFactory(username="ada"))


@pytest.fixture
def bob() -> Actor:
    return Actor.of_user(UserFactory(username="bob"))


def failed(**values: Any) -> Delivery:
    data = values.pop("data", {"id": "7", "phone": "0000000000"})
    store = values.pop("store", None) or StoreFactory()
    event = EventFactory(store=store, object_id=str(data.get("id", "")), data=data)
    subscription = values.pop("subscription", None) or SubscriptionFactory(integration__store=store)
    return DeliveryFactory(
        subscription=subscription, event=event, **{"status": "failed", "attempt_count": 3, "retry_count": 2} | values
    )


def code_of(caught: pytest.ExceptionInfo[ResolutionError]) -> str:
    return caught.value.code


# --- resend -------------------------------------------------------------------------------------------------------


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


# --- edit ---------------------------------------------------------------------------------------------------------


def test_an_edit_is_a_new_revision_and_the_event_stays_as_it_came(ada: Actor) -> None:
    delivery = failed()
    revision = edit_delivery(
        delivery=delivery, payload={"id": "7", "phone": "+15550100"}, actor=ada, reason="typo", now=NOW
    )
    delivery = Delivery.objects.get()
    assert (revision.number, revision.author, revision.reason) == (1, ada.user, "typo")
    assert revision.patch == [{"op": "replace", "path": "/phone", "value": "+15550100"}]
    assert (delivery.revision, delivery.status, delivery.due_at, delivery.trigger) == (1, "pending", NOW, "edited")
    assert delivery.retry_count == 0
    assert Event.objects.get().data["phone"] == "0000000000"
    assert payload_of(delivery) == payload_of(delivery, 1) == {"id": "7", "phone": "+15550100"}
    assert payload_of(delivery, 0)["phone"] == "0000000000"
    entry = history_of(delivery).get()
    assert entry.before == {"status": "failed", "revision": 0, "data": {"phone": "0000000000"}}
    assert entry.after["data"] == {"phone": "+15550100"}


def test_edits_build_on_each_other() -> None:
    delivery = failed()
    edit_delivery(delivery=delivery, payload={"id": "7", "phone": "1"}, actor=ADA)
    revision = edit_delivery(delivery=delivery, payload={"id": "7", "phone": "2"}, actor=ADA)
    assert revision.number == 2
    assert revision.patch == [{"op": "replace", "path": "/phone", "value": "2"}]
    with pytest.raises(LookupError):
        payload_of(delivery, 3)


def test_somebody_elses_edit_is_not_overwritten() -> None:
    delivery = failed()
    edit_delivery(delivery=delivery, payload={"id": "7", "phone": "1"}, actor=ADA, expected_revision=0)
    with pytest.raises(ResolutionError) as caught:
        edit_delivery(delivery=delivery, payload={"id": "7", "phone": "2"}, actor=ADA, expected_revision=0)
    assert code_of(caught) == "conflict"
    assert Revision.objects.count() == 1


def test_an_attempt_since_the_caller_looked_is_a_conflict() -> None:
    delivery = failed()
    for call in (
        lambda: retry_delivery(delivery=delivery, actor=ADA, expected_attempt_count=2),
        lambda: discard_delivery(delivery=delivery, actor=ADA, expected_attempt_count=2),
        lambda: edit_delivery(delivery=delivery, payload={"id": "7"}, actor=ADA, expected_attempt_count=2),
    ):
        with pytest.raises(ResolutionError) as caught:
            call()
        assert code_of(caught) == "conflict"


def test_the_same_payload_again_is_no_edit() -> None:
    delivery = failed()
    with pytest.raises(ResolutionError) as caught:
        edit_delivery(delivery=delivery, payload={"phone": "0000000000", "id": "7"}, actor=ADA)
    assert code_of(caught) == "unchanged"
    assert not Revision.objects.exists()


@pytest.mark.parametrize(
    "payload", [[], "text", 5, None, {"a": float("nan")}, {"a": "\0"}, {"a": "\ud800"}, {"a": {1}}]
)
def test_a_payload_that_is_not_a_strict_json_object_is_refused(payload: Any) -> None:
    with pytest.raises(ResolutionError) as caught:
        edit_delivery(delivery=failed(), payload=payload, actor=ADA)
    assert code_of(caught) == "invalid"


def test_nesting_without_end_is_refused() -> None:
    payload: Any = {}
    for _ in range(200):
        payload = {"a": payload}
    with pytest.raises(ResolutionError):
        check_payload(failed(), payload)


def test_text_from_an_editor_is_read_strictly() -> None:
    delivery = failed()
    assert check_payload(delivery, '{"id":"8"}') == {"id": "8"}
    with pytest.raises(ResolutionError, match="line 1"):
        check_payload(delivery, '{"id":}')


def test_the_topics_schema_is_the_truth_and_names_the_place() -> None:
    delivery = failed()
    schema = {
        "properties": {"to": {"properties": {"phone": {"type": "string"}}}, "n": {"type": "integer"}},
        "required": ["id"],
    }
    TopicFactory(store=delivery.store, name=delivery.topic, schema=schema)
    with pytest.raises(ResolutionError) as caught:
        edit_delivery(delivery=delivery, payload={"id": "7", "to": {"phone": 5}}, actor=ADA)
    assert (code_of(caught), caught.value.path) == ("invalid", "to.phone")
    problems = schema_problems(delivery, {"to": {"phone": 5}, "n": "x"})
    assert [problem.path for problem in problems] == ["", "n", "to.phone"]
    assert schema_problems(delivery, {"id": "7"}) == []


def test_a_reason_is_asked_for_where_the_store_wants_one() -> None:
    delivery = failed(store=StoreFactory(is_reason_required=True))
    with pytest.raises(ResolutionError) as caught:
        edit_delivery(delivery=delivery, payload={"id": "7"}, actor=ADA, reason="  ")
    assert code_of(caught) == "reason_required"
    with pytest.raises(ResolutionError):
        discard_delivery(delivery=delivery, actor=ADA)
    edit_delivery(delivery=delivery, payload={"id": "7"}, actor=ADA, reason="typo")


# --- the record ---------------------------------------------------------------------------------------------------


def test_the_record_is_corrected_too_and_emits_nothing() -> None:
    delivery = failed()
    record = RecordFactory(store=delivery.store, external_id="7", data={"id": "7", "phone": "0000000000"})
    edit_delivery(delivery=delivery, payload={"id": "7", "phone": "+15550100"}, actor=ADA, update_record=True, now=NOW)
    record.refresh_from_db()
    assert (record.data, record.version, record.updated_at) == ({"id": "7", "phone": "+15550100"}, 2, NOW)
    assert (Event.objects.count(), Delivery.objects.count()) == (1, 1)


def test_what_was_pushed_since_stays_in_the_record() -> None:
    delivery = failed(data={"id": "7", "phone": "0", "status": "ready", "old": 1})
    record = RecordFactory(
        store=delivery.store, external_id="7", data={"id": "7", "phone": "0", "status": "sent", "old": 1}
    )
    edit_delivery(
        delivery=delivery, payload={"id": "7", "phone": "1", "status": "ready"}, actor=ADA, update_record=True
    )
    record.refresh_from_db()
    assert record.data == {"id": "7", "phone": "1", "status": "sent"}


def test_the_record_is_left_alone_unless_asked_for() -> None:
    delivery = failed()
    RecordFactory(store=delivery.store, external_id="7", data={"id": "7"})
    edit_delivery(delivery=delivery, payload={"id": "7", "phone": "1"}, actor=ADA)
    assert Record.objects.get().version == 1


def test_an_event_without_a_record_can_be_edited_all_the_same() -> None:
    edit_delivery(delivery=failed(data={"n": 1}), payload={"n": 2}, actor=ADA, update_record=True)
    assert not Record.objects.exists()


def test_an_edit_cannot_turn_a_record_into_another_one() -> None:
    delivery = failed()
    RecordFactory(store=delivery.store, external_id="7", data={"id": "7"})
    with pytest.raises(ResolutionError) as caught:
        edit_delivery(delivery=delivery, payload={"id": "8"}, actor=ADA, update_record=True)
    assert caught.value.path == "id"


# --- approval -----------------------------------------------------------------------------------------------------


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


# --- discard, wait ------------------------------------------------------------------------------------------------


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


# --- ordered ------------------------------------------------------------------------------------------------------


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


# --- presence -----------------------------------------------------------------------------------------------------


def test_the_second_in_the_wizard_is_told_of_the_first(ada: Actor, bob: Actor) -> None:
    delivery, other = failed(), failed()
    assert ada.user is not None
    assert bob.user is not None
    assert visit(delivery, ada.user, NOW) == []
    assert visit(delivery, ada.user, NOW) == []
    assert [(visitor.name, visitor.at) for visitor in visit(delivery, bob.user, NOW)] == [("ada", NOW)]
    assert visit(other, bob.user, NOW) == []
    assert visit(delivery, bob.user, NOW + timedelta(minutes=3)) == []
