"""Why a subscription wants an event: in the same way as ingest decides, and in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.explaining import Code, Seen, Terms, explain_at, match, version_between
from subscriptions.matching import Interest

AT = datetime(2026, 1, 31, 8, tzinfo=UTC)


def one(word: str) -> str:
    return word.removesuffix("s")


def seen(topic: str | None = "shipment.updated", *, intent: str | None = None, **data: Any) -> Seen:
    return Seen(topic, intent, data, AT)


def terms(*topics: str, since: datetime = AT - timedelta(days=1), **values: Any) -> Terms:
    interest = Interest(topics, tuple(values.pop("intents", ())), tuple(values.pop("event_names", ())))
    return Terms(since, interest, **values)


def reason(event: Seen, wanted: Terms) -> Any:
    return match(event, wanted, singular=one, allowance=Allowance())


@pytest.mark.parametrize(
    ("event", "wanted", "code", "words"),
    [
        (seen(), terms("shipments.*"), Code.WANTED, "no filter"),
        (seen(), terms("order.created"), Code.TOPIC, "wants the topic order.created; this event has the topic shipment.updated"),
        (seen(), terms(intents=["order_pizza"]), Code.INTENT, "wants the intent order_pizza; this event has the topic shipment.updated"),
        (seen(None, intent="greet"), terms("order", intents=["order_pizza"]), Code.INTENT, "this event has the intent greet"),
        (seen("event.created", event_name="left"), terms("event.created", event_names=["bought"]), Code.EVENT_NAME, "named bought; this one is named left"),
        (seen("event.created"), terms("event.created", event_names=["bought"]), Code.EVENT_NAME, "this one has no event_name"),
        (seen(status="lost"), terms("shipment", filter="status == 'ready'"), Code.FILTER, "status is 'lost'"),
        (seen(status="ready"), terms("shipment", filter="status == 'ready'"), Code.WANTED, "status is 'ready'"),
        (seen(n="a"), terms("shipment", filter="abs(n) > `1`"), Code.FILTER_ERROR, "A delivery is made, and fails."),
        (seen(), terms(), Code.TOPIC, "it polls only"),
    ],
)  # fmt: skip
def test_the_reason_names_what_decided(event: Seen, wanted: Terms, code: Code, words: str) -> None:
    found = reason(event, wanted)
    assert found.code == code
    assert words.lower() in found.text.lower().replace('"', "'"), found.text


def test_the_version_that_made_something_is_certain_unless_it_changed_at_that_moment() -> None:
    old, new = (
        terms("a", since=AT + timedelta(minutes=minutes), number=number) for number, minutes in ((1, 0), (2, 5))
    )

    def made(earliest: int, latest: int, history: Any = (old, new)) -> Any:
        return version_between(history, *(AT + timedelta(minutes=minutes) for minutes in (earliest, latest)))

    assert made(-2, -1) == (None, True)
    assert made(1, 2) == (1, True)
    assert made(4, 6) == (2, False)
    assert made(6, 7) == (2, True)
    assert made(6, 7, (old, terms("a", since=AT))) == (2, True)  # what nobody kept is the next one


def at(history: list[Terms], created_at: datetime = AT - timedelta(days=9), **event: Any) -> Any:
    return explain_at(seen(**event), history, created_at=created_at, singular=one, allowance=Allowance())


def test_the_version_that_was_in_force_decides() -> None:
    history = [
        terms("shipment", since=AT - timedelta(hours=2), filter="status == 'lost'"),
        terms("shipment", since=AT + timedelta(hours=1)),
    ]
    assert at(history, status="sent").code == Code.FILTER


def test_a_subscription_that_was_made_later_could_not_get_it() -> None:
    assert at([terms("shipment")], created_at=AT + timedelta(seconds=1)).code == Code.MADE_LATER


def test_an_inactive_or_deleted_subscription_did_not_get_it() -> None:
    assert at([terms("shipment", is_active=False)]).code == Code.INACTIVE
    assert at([terms("shipment", is_deleted=True)]).code == Code.DELETED


def test_what_is_no_longer_known_is_said() -> None:
    found = at([terms("order", since=AT + timedelta(days=1))])
    assert (found.code, found.is_certain) == (Code.UNKNOWN, False)
    assert "was not kept" in found.text


def test_filters_are_charged_to_the_allowance() -> None:
    allowance = Allowance(1)
    wanted = terms("shipment", filter="length(join('', [@.a, @.a, @.a])) > `1` && a && a && a && a")
    with pytest.raises(BudgetExceeded):
        match(seen(a="x" * 1000), wanted, singular=one, allowance=allowance)
