"""The index and the search, on both databases."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.maintenance.retention import prune
from deliveries.models import (
    Delivery,
    DeliveryDocument,
    Event,
    EventDocument,
    Record,
    RecordDocument,
    Revision,
    SearchState,
)
from deliveries.search import indexing, matching
from deliveries.search.documents import forget
from deliveries.search.finding import Kind, Query, Search
from deliveries.search.matching import Scope
from deliveries.storage import backend
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import uuid7
from subscriptions.services import create_topic, update_topic
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    IntegrationFactory,
    RecordFactory,
    StoreFactory,
    SubscriptionFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
NOW = timezone.now()
STAFF = Actor(None, "anna")


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed counts at once."""
    monkeypatch.setattr(indexing, "SETTLED", timedelta())


@pytest.fixture(autouse=True, params=["newest", "index"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the newest documents suffice, as in a small installation, or the index is asked, as in a large one."""
    if request.param == "index":
        monkeypatch.setattr(matching, "NEWEST", 1)
        monkeypatch.setattr(matching, "DENSE", 2)
    return str(request.param)


def fill(after: timedelta = timedelta(milliseconds=20)) -> int:
    """A run of the index, so much later."""
    indexing.state_of_index(timezone.now())
    return indexing.run(timezone.now() + after, seconds=30)


def found(text: str, kind: Kind = "delivery", **options: Any) -> list[Any]:
    """The keys of what is found."""
    names = ("stores", "since", "until", "topic")
    scope = Scope(**({"stores": None} | {name: options.pop(name) for name in names if name in options}))
    return sorted(Search(Query(text, scope, **options), timezone.now()).rows(kind).values_list("pk", flat=True))


def with_phone(phone: str = "+49 171 2345678", **values: Any) -> Delivery:
    usual = {"status": "succeeded", "event__data": {"id": "1", "shipping_address": {"phone": phone}}}
    made: Delivery = DeliveryFactory(**(usual | values))
    return made


def at(moment: datetime) -> uuid.UUID:
    return uuid7(int(moment.timestamp() * 1000))


def test_an_event_is_found_with_its_deliveries_by_what_is_in_its_data() -> None:
    fill()
    mine, _other = with_phone(), with_phone("+49 171 9999999")
    assert found("+491712345678") == []  # it is new, and nothing failed

    fill()

    assert found("+491712345678") == [mine.pk]
    assert found("shipping_address.phone:+49 2345678") == [mine.pk]
    assert found("2345678", "event") == [mine.event_id]
    assert found(mine.public_id[-12:]) == [mine.pk]
    assert found(mine.event.object_id + " 2345678 nothing") == []


def test_a_failure_is_found_at_once_by_its_data_its_error_and_the_answer() -> None:
    failed = with_phone(status="failed", attempt_count=1, last_error="Invalid phone number")
    AttemptFactory(delivery=failed, response_body=b'{"detail": "carrier said Nope"}')

    for when in ("before the index is filled", "after"):
        assert found("2345678 invalid nope") == [failed.pk], when
        assert found("nope", statuses=("failed",)) == [failed.pk], when
        assert found("nope", statuses=("succeeded",)) == [], when
        fill()


def test_a_delivery_that_is_retried_is_found_by_its_error_also_when_it_fails_anew() -> None:
    delivery = with_phone(status="retrying", attempt_count=1, last_error="out of paper")
    fill()
    assert found("paper") == [delivery.pk]

    Delivery.objects.filter(pk=delivery.pk).update(
        status="failed", attempt_count=2, last_error="out of ink", finished_at=timezone.now(), due_at=None
    )
    assert found("of ink") == [delivery.pk]
    fill()
    assert found("of ink") == [delivery.pk]


def test_an_edited_payload_is_found_too() -> None:
    delivery = with_phone(status="failed", attempt_count=1)
    Revision.objects.create(delivery=delivery, number=1, data={"phone": "+4420555"}, patch=[], author_name="anna")
    assert found("+4420555") == [delivery.pk]


def test_a_record_is_found_as_it_is_now() -> None:
    record = RecordFactory(data={"id": "7", "phone": "+491111111"})
    fill()
    assert found("+491111111", "record") == [record.pk]

    changed = {"data": {"id": "7", "phone": "+492222222"}, "version": 2, "updated_at": timezone.now()}
    Record.objects.filter(pk=record.pk).update(**changed)
    fill()

    assert found("+491111111", "record") == []
    assert found("+492222222", "record") == [record.pk]


def test_what_was_there_before_the_index_is_found_in_the_end() -> None:
    old = with_phone(event__id=at(NOW - timedelta(days=9)))
    failed = with_phone(
        event__id=at(NOW - timedelta(days=9)),
        status="failed", last_error="old trouble", finished_at=NOW - timedelta(days=9),
    )  # fmt: skip
    fill()

    assert found("2345678") == sorted([old.pk, failed.pk])
    assert found("trouble") == [failed.pk]
    assert SearchState.objects.get().events_from is None


def test_an_event_whose_commit_came_late_is_found_later() -> None:
    fill()
    with_phone("+49 171 0000001")
    fill()
    late = with_phone(event__id=at(timezone.now() - timedelta(seconds=30)))
    fill()
    assert found("2345678") == []

    fill(indexing.LATEST + timedelta(minutes=1))

    assert found("2345678") == [late.pk]


def test_only_the_given_stores_topics_and_days_are_looked_at() -> None:
    mine = with_phone()
    old = with_phone(event__id=at(NOW - timedelta(days=3)), event__store=mine.store, subscription=mine.subscription)
    other = with_phone(event__topic="order.paid")
    fill()

    assert found("2345678", stores=[mine.store_id]) == sorted([mine.pk, old.pk])
    assert found("2345678", stores=[]) == []
    assert found("2345678", since=NOW - timedelta(days=1), stores=[mine.store_id]) == [mine.pk]
    assert found("2345678", until=NOW - timedelta(days=1)) == [old.pk]
    assert found("2345678", topic="order.*") == [other.pk]
    assert found("2345678", integration=other.integration_id) == [other.pk]


def test_a_topic_that_is_switched_off_is_not_found_and_its_documents_are_deleted() -> None:
    mine = with_phone(status="failed", attempt_count=1)
    kept = with_phone(event__topic="order.paid", event__store=mine.store, subscription=mine.subscription)
    RecordFactory(store=mine.store, type="shipment", data={"phone": "+491712345678"})
    fill()
    assert len(found("2345678")) == 2

    topic = create_topic(store=mine.store, actor=STAFF, name="shipment.updated", is_searchable=False)

    assert found("2345678") == [kept.pk]
    assert found("2345678", "record") == []
    fill()
    assert not DeliveryDocument.objects.exists() and not RecordDocument.objects.exists()
    assert list(EventDocument.objects.values_list("event", flat=True)) == [kept.event_id]
    assert found("2345678") == [kept.pk]

    update_topic(topic=topic, actor=STAFF, is_searchable=True)
    fill()

    assert found("2345678") == sorted([mine.pk, kept.pk])
    assert len(found("2345678", "record")) == 1


def test_pruning_takes_the_documents_with_it() -> None:
    old = NOW - timedelta(days=40)
    with_phone(event__id=at(old), status="failed", attempt_count=1, finished_at=old)
    fill()
    assert EventDocument.objects.count() == DeliveryDocument.objects.count() == 1

    prune(before=NOW - timedelta(days=30))

    assert not EventDocument.objects.exists() and not DeliveryDocument.objects.exists()
    assert found("2345678", "event") == []


def test_what_is_forgotten_is_not_found_and_nothing_else_is() -> None:
    mine, other = (with_phone(status="failed", attempt_count=1) for _ in range(2))
    record = RecordFactory(data={"phone": "+491712345678"})
    fill()

    assert forget("event", [mine.event_id]) == 2
    assert forget("record", [record.pk]) == 1

    assert found("2345678", "event") == [other.event_id]
    assert found("2345678", "record") == []
    assert EventDocument.objects.count() == DeliveryDocument.objects.count() == 1


def test_tests_and_polls_are_not_searched() -> None:
    with_phone(event__origin=Event.Origin.TEST, status="failed", trigger="test")
    with_phone(event__origin=Event.Origin.POLL, status="failed")
    fill()
    assert found("2345678") == found("2345678", "event") == []


def test_more_than_are_counted_are_said_to_be_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MOST", 3)
    monkeypatch.setattr(matching, "LISTED", 3)
    monkeypatch.setattr("deliveries.search.finding.MOST", 3)
    store = StoreFactory()
    ago = [at(NOW - timedelta(minutes=4 - number)) for number in range(5)]
    events = [EventFactory(id=key, store=store, data={"phone": "+491712345678"}) for key in ago]
    fill()

    search = Search(Query("2345678", Scope(None)), timezone.now())

    assert str(search.total("event")) == "more than 3"
    assert sorted(search.rows("event").values_list("pk", flat=True)) == [event.pk for event in events[-3:]]
    assert search.notes(["event"]) == ["More match: the newest 3 are listed."]
    assert str(Search(Query(events[0].object_id + " 2345678", Scope(None)), timezone.now()).total("event")) != "0"


def test_words_that_are_too_short_for_the_index_are_looked_for_in_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "NEWEST", 2)
    monkeypatch.setattr(matching, "WALKED", 2)
    store = StoreFactory()
    ago = [at(NOW - timedelta(minutes=4 - number)) for number in range(4)]
    first, *_, last = [EventFactory(id=key, store=store, data={"x": "q7"}) for key in ago]
    fill()

    search = Search(Query("q7", Scope(None)), timezone.now())

    keys = set(search.rows("event").values_list("pk", flat=True))
    assert last.pk in keys and first.pk not in keys
    assert str(search.total("event")) == "more than 2"
    assert search.notes(["event"]) == [matching.TOO_SHORT]


def test_without_an_index_the_newest_are_looked_through_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = with_phone()
    fill()
    monkeypatch.setattr(type(backend()), "missing_text_index", lambda *_: "There is no index.")
    assert found("2345678") == [mine.pk]


def test_who_searches_is_told_how_far_the_index_is() -> None:
    EventFactory()
    search = Search(Query("x", Scope(None)), timezone.now())
    assert "Nothing is in the search yet" in search.notes([])[0]

    fill()
    with_phone(event__created_at=NOW)
    assert Search(Query("x", Scope(None)), timezone.now()).notes([]) == []
    [note] = Search(Query("x", Scope(None)), timezone.now() + timedelta(minutes=2)).notes([])
    assert "not all in the search yet" in note


def test_one_process_fills_the_index_at_a_time() -> None:
    state = indexing.state_of_index(NOW)
    with_phone()
    SearchState.objects.filter(pk=state.pk).update(leased_until=timezone.now() + timedelta(minutes=1))
    assert fill(timedelta(seconds=5)) == 0
    assert fill(timedelta(minutes=3)) > 0


def test_hostile_words_break_nothing() -> None:
    with_phone()
    fill()
    for text in (
        '"',
        '""',
        "%%%",
        "___",
        "\\\\\\",
        "a\0bc",
        "(((",
        "AND OR NOT",
        "[a-z]:x",
        "*:*",
        "'; DROP",
        "𝒳𝒴𝒵",
        "x" * 500,
    ):
        assert found(text) == [], text


def test_the_words_of_a_user_and_a_subscription_do_not_matter_to_another_store() -> None:
    UserFactory()
    integration = IntegrationFactory()
    mine = with_phone(subscription=SubscriptionFactory(integration=integration), status="failed", attempt_count=1)
    assert found(f"integration:{integration.slug}") == [mine.pk]
    assert found(f"integration:{integration.slug}", stores=[StoreFactory().pk]) == []


def test_events_of_one_moment_are_all_found() -> None:
    store = StoreFactory()
    moment = at(NOW - timedelta(hours=1)).int >> 80
    events = [EventFactory(id=uuid7(moment), store=store, data={"phone": "+491712345678"}) for _ in range(150)]
    fill()
    assert found("2345678", "event") == sorted(event.pk for event in events)


def test_a_run_ends_soon_while_engines_have_much_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "BUSY_ROWS", 3)
    monkeypatch.setattr(indexing, "BUSY_SECONDS", 0.0)
    indexing.state_of_index(timezone.now())
    for _ in range(3):
        EventFactory(id=at(timezone.now() - timedelta(minutes=5)))
    assert not indexing.is_busy(timezone.now())
    for _ in range(3):
        DeliveryFactory(
            event__id=at(timezone.now() - timedelta(minutes=5)), status="succeeded", finished_at=timezone.now()
        )
    assert indexing.is_busy(timezone.now())
    assert indexing.run(timezone.now()) == 0
    monkeypatch.setattr(indexing, "BUSY_ROWS", 100)
    SearchState.objects.update(leased_until=None)
    assert indexing.run(timezone.now()) == 6
