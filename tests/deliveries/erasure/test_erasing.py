"""Erasing one person's data: found wherever it is kept, counted first, gone afterwards."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from deliveries import hooks, resolution
from deliveries.erasure import runner
from deliveries.erasure.places import places
from deliveries.erasure.service import (
    ErasureError,
    approve_erasure,
    cancel_erasure,
    confirm_erasure,
    count_first,
    forget_counted,
    start_erasure,
)
from deliveries.models import (
    Attempt,
    CaseComment,
    Delivery,
    Erasure,
    Event,
    Proposal,
    Record,
)
from deliveries.replay import ReplayError, start_replay, step
from deliveries.replay.backfill import deliver_event
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry
from notifications.models import Notification
from tests.deliveries.erasure.conftest import ADA, PHONE
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    StoreFactory,
    SubscriptionFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []
    monkeypatch.setattr(runner, "enqueue", asked.append)
    return asked


def run(erasure: Erasure) -> Erasure:
    now = timezone.now()
    for _ in range(3_000):
        now += timedelta(seconds=1)
        if runner.step(erasure.pk, now).is_over:
            break
    erasure.refresh_from_db()
    return erasure


def erase(store: Any, value: str = PHONE, match: str = "exact", **values: Any) -> Erasure:
    return run(start_erasure(store=store, value=value, match=match, actor=ADA, **values))


def texts_in_database() -> str:
    """All that any table holds, as one text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                found += [
                    bytes(v).decode(errors="replace") if isinstance(v, bytes | memoryview) else str(v) for v in row
                ]
    return "\n".join(found)


def test_nothing_holds_the_value_afterwards(failed: Any) -> None:
    assert PHONE in texts_in_database()

    erasure = erase(failed.store, reason="ticket 17")

    assert erasure.status == "done"
    assert PHONE not in texts_in_database()
    assert not Record.objects.exists()
    assert Proposal.objects.get().status == "rejected"
    session = SessionStore(session_key=Session.objects.get().session_key)
    assert session["wizard"] == {}
    assert session["other"] == "stays"


def test_the_event_goes_whole_with_its_deliveries_and_attempts(failed: Any) -> None:
    erase(failed.store)

    failed.refresh_from_db()
    event, attempt = failed.event, failed.attempts.get()
    assert event.data == {"erased": True}
    assert event.erased_at is not None
    assert event.object_id == "1001", "which object it was does not say whose"
    assert (failed.status, failed.last_error, failed.failure_group) == ("discarded", "", None)
    assert (attempt.url, bytes(attempt.request_body), attempt.response_body) == ("", b"", None)
    assert attempt.bodies_gone == "erased"
    assert attempt.error_kind == "status"
    assert not failed.revisions.filter(is_awaiting_approval=True).exists()


def test_what_was_erased_cannot_be_sent_again_and_says_why(failed: Any) -> None:
    erase(failed.store)

    for send in (
        lambda: resolution.retry_delivery(delivery=failed, actor=ADA),
        lambda: resolution.edit_delivery(delivery=failed, payload={"a": 1}, actor=ADA),
    ):
        with pytest.raises(resolution.ResolutionError, match="was erased on"):
            send()
    failed.event.refresh_from_db()
    with pytest.raises(ReplayError, match="was erased"):
        deliver_event(event=failed.event, subscription=failed.subscription, actor=ADA, is_again=True)
    replay = start_replay(filters={"status": "discarded"}, action="retry", actor=ADA, store=failed.store)
    step(replay.pk, timezone.now())
    failed.refresh_from_db()
    assert failed.status == "discarded"


def test_counting_changes_nothing_and_says_where(failed: Any) -> None:
    before = list(Event.objects.values("data")), list(Attempt.objects.values("url"))

    erasure = run(count_first(store=failed.store, value=PHONE, match="exact", actor=ADA))

    assert erasure.status == "ready"
    assert erasure.found["event"] == 1
    assert erasure.found["deliveries_of_events"] == 1
    assert erasure.found["attempts_of_events"] == 1
    assert {"record", "revision", "case", "audit_entry", "notification", "source_request", "draft"} <= set(
        erasure.found
    )
    assert (list(Event.objects.values("data")), list(Attempt.objects.values("url"))) == before
    confirmed = run(confirm_erasure(erasure=erasure, actor=ADA))
    assert confirmed.status == "done"


def test_the_trail_says_that_and_not_what(failed: Any) -> None:
    erase(failed.store, reason="ticket 17")

    entries = AuditEntry.objects.filter(target_type="erasure").order_by("id")
    assert [entry.action for entry in entries] == ["erase", "erased"]
    assert entries[1].after["erased"]["event"] == 1
    assert entries[1].reason == "ticket 17"
    edit = AuditEntry.objects.get(action="edit")
    assert (edit.before, edit.reason, edit.actor) == ({"erased": True}, "for [erased]", "ada")
    assert Erasure.objects.get().value == ""


def test_others_keep_theirs(failed: Any) -> None:
    other = EventFactory(store=failed.store, data={"phone": f"{PHONE}0"})
    foreign = EventFactory(store=StoreFactory(), data={"phone": PHONE})

    erase(failed.store)

    for event in (other, foreign):
        event.refresh_from_db()
        assert event.erased_at is None


def test_texts_lose_the_value_only(failed: Any) -> None:
    erase(failed.store)

    assert CaseComment.objects.get().text == "Called [erased]: wrong number"
    assert Notification.objects.get().summary == "(erased)", "it is about the erased delivery"


def test_any_part_finds_what_is_not_a_whole_value(failed: Any) -> None:
    event = EventFactory(store=failed.store, data={"note": f"call{PHONE}now"})

    assert erase(failed.store, match="exact").status == "done"
    event.refresh_from_db()
    assert event.erased_at is None
    erase(failed.store, match="contains")
    event.refresh_from_db()
    assert event.erased_at is not None


def test_an_answer_alone_empties_its_attempt_and_the_delivery_can_be_sent_again() -> None:
    delivery = DeliveryFactory(status="succeeded", attempt_count=2)
    kept = AttemptFactory(delivery=delivery, number=1)
    AttemptFactory(delivery=delivery, number=2, response_body=f"texted {PHONE}".encode())

    assert erase(delivery.store).erased == {"attempt": 1}

    kept.refresh_from_db()
    assert kept.bodies_gone is None
    assert resolution.retry_delivery(delivery=delivery, actor=ADA).status == "pending"


def test_what_is_being_sent_is_erased_when_it_has_been(failed: Any) -> None:
    now = timezone.now()
    Delivery.objects.filter(pk=failed.pk).update(
        status="sending", lease=uuid.uuid4(), due_at=now + timedelta(minutes=1), finished_at=None
    )
    erasure = start_erasure(store=failed.store, value=PHONE, match="exact", actor=ADA)
    while (found := Erasure.objects.get(pk=erasure.pk)).round == 1:
        runner.step(found.pk, now)
    assert found.postponed == 0
    assert Event.objects.get(pk=failed.event_id).erased_at is None

    Delivery.objects.filter(pk=failed.pk).update(status="succeeded", lease=None, due_at=None, finished_at=now)
    assert run(erasure).status == "done"
    failed.refresh_from_db()
    assert (failed.status, failed.event.erased_at is not None) == ("succeeded", True)


def test_a_second_approver_is_someone_else() -> None:
    store = StoreFactory(is_approval_required=True)
    event = EventFactory(store=store, data={"phone": PHONE})
    author, other = Actor.of_user(UserFactory()), Actor.of_user(UserFactory())

    erasure = run(start_erasure(store=store, value=PHONE, match="exact", actor=author))
    assert erasure.status == "awaiting"
    assert Notification.objects.open().filter(store=store).count() == 1
    for actor, sentence in ((author, "Someone other"), (ADA, "not by a program")):
        with pytest.raises(ErasureError, match=sentence):
            approve_erasure(erasure=erasure, actor=actor)
    event.refresh_from_db()
    assert event.erased_at is None

    assert run(approve_erasure(erasure=erasure, actor=other)).status == "done"
    assert not Notification.objects.open().exists()


def test_a_reason_must_not_repeat_the_value() -> None:
    store = StoreFactory(is_reason_required=True)
    with pytest.raises(ErasureError, match="must not contain the value"):
        start_erasure(store=store, value=PHONE, match="exact", actor=ADA, reason=f"{PHONE} asked for it")
    with pytest.raises(ErasureError, match="requires a reason"):
        start_erasure(store=store, value=PHONE, match="exact", actor=ADA)
    assert not Erasure.objects.exists()


def test_cancelling_forgets_the_value_and_so_does_time() -> None:
    store = StoreFactory()
    cancelled = cancel_erasure(erasure=count_first(store=store, value=PHONE, match="exact", actor=ADA), actor=ADA)
    assert (cancelled.status, cancelled.value) == ("cancelled", "")
    with pytest.raises(ErasureError, match="too late"):
        cancel_erasure(erasure=cancelled, actor=ADA)

    left = run(count_first(store=store, value=PHONE, match="exact", actor=ADA))
    assert forget_counted(timezone.now()) == 0
    assert forget_counted(timezone.now() + timedelta(days=2)) == 1
    left.refresh_from_db()
    assert left.value == ""


def test_configuration_is_reported_and_left_to_staff() -> None:
    subscription = SubscriptionFactory(filter=f"phone == '{PHONE}'")

    erasure = run(count_first(store=subscription.store, value=PHONE, match="exact", actor=ADA))
    assert erasure.found == {"subscription": 1}
    assert run(confirm_erasure(erasure=erasure, actor=ADA)).erased == {}
    subscription.refresh_from_db()
    assert PHONE in subscription.filter


def test_whoever_keeps_copies_is_told_in_the_same_transaction(failed: Any) -> None:
    told: dict[str, list[Any]] = {}

    def listener(kind: str, keys: Any) -> None:
        told.setdefault(kind, []).extend(keys)

    with hooks.payloads_erased.connected(listener):
        erase(failed.store)
    assert told["event"] == [failed.event_id]
    assert told["delivery"] == [failed.pk]
    assert len(told["record"]) == 1


def test_many_rows_are_taken_in_bounded_steps() -> None:
    store = StoreFactory()
    for _ in range(runner.BATCH + 5):
        EventFactory(store=store, data={"phone": PHONE})
    erasure = start_erasure(store=store, value=PHONE, match="exact", actor=ADA)
    runner.step(erasure.pk, timezone.now())
    assert Event.objects.filter(erased_at=None).count() == 5
    assert run(erasure).erased == {"event": runner.BATCH + 5}


def test_every_place_can_be_searched() -> None:
    """On both databases, whatever its columns are."""
    store = StoreFactory()
    for value in ("O'Neill_100%\\", "Ünïcode"):
        erasure = run(count_first(store=store, value=value, match="contains", actor=ADA))
        assert (erasure.status, erasure.found) == ("ready", {})
    assert len(places()) > 20
