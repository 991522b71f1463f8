"""Edited payloads: revisions, what is refused, the record that is corrected too."""

from __future__ import annotations

from typing import Any

import pytest

from deliveries.models import Delivery, Event, Record, Revision
from deliveries.resolution import (
    ResolutionError,
    check_payload,
    discard_delivery,
    edit_delivery,
    history_of,
    payload_of,
    retry_delivery,
    schema_problems,
)
from integrations.foundation.audit import Actor
from tests.deliveries.resolution.staff import ADA, NOW, code_of, failed
from tests.factories import RecordFactory, StoreFactory, TopicFactory

pytestmark = pytest.mark.django_db


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
