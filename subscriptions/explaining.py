"""Why a subscription wants an event, or does not: one pure function for the event's page, lists and backfills.

Ingest asks `SubscriptionIndex` and the filter; `match` asks the same two for one subscription, and says which of them
decided. `explain_at` adds what depends on the time: what the subscription was when the event came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.expressions.evaluation import ExpressionError, explain
from subscriptions.matching import CUSTOM_EVENT, Interest, SubscriptionIndex, normalise_topic

Singular = Callable[[str], str]
#: Patterns that a sentence names.
NAMED = 5


class Code(StrEnum):
    """What decided. The first two mean that the event is wanted."""

    WANTED = "wanted"
    FILTER_ERROR = "filter_error"
    TOPIC = "topic"
    INTENT = "intent"
    EVENT_NAME = "event_name"
    FILTER = "filter"
    INACTIVE = "inactive"
    DELETED = "deleted"
    MADE_LATER = "made_later"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as subscriptions see it. `at`: when it was received."""

    topic: str | None
    intent: str | None
    data: Any
    at: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """What one version of a subscription wants. `number` 0: not kept as a version, but read from the subscription."""

    since: datetime
    interest: Interest
    filter: str = ""
    is_active: bool = True
    is_deleted: bool = False
    number: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """`text` is a sentence or two for staff, with the values that the filter looked at. `is_certain` is false if the
    subscription has changed since and what it wanted then is no longer known.
    """

    code: Code
    text: str
    is_certain: bool = True

    @property
    def is_wanted(self) -> bool:
        return self.code in (Code.WANTED, Code.FILTER_ERROR)


def match(event: Seen, terms: Terms, *, singular: Singular, allowance: Allowance) -> Reason:
    """Whether these terms want the event, active or not. Raises BudgetExceeded if the allowance is used up."""
    index = SubscriptionIndex([(terms.interest, None)], singular=singular)
    if not index.matching(event.topic, event.intent, event.data):
        return _why_not_subscribed(event, terms.interest, singular)
    if not terms.filter.strip():
        return Reason(Code.WANTED, "Its topic or intent is subscribed to, and there is no filter.")
    try:
        with allowance.evaluation() as budget:
            is_passed, text = explain(
                terms.filter, event.data, {"topic": event.topic, "intent": event.intent}, budget, is_strict=True
            )
    except ExpressionError as error:
        if allowance.is_used_up:
            raise BudgetExceeded from None
        # As ingest does: not dropped silently.
        text = f"The filter cannot be evaluated on it: {error.message}. A delivery is made, and fails."
        return Reason(Code.FILTER_ERROR, text)
    verdict = "It passes" if is_passed else "It does not pass"
    return Reason(Code.WANTED if is_passed else Code.FILTER, f"{verdict} the filter{text.removeprefix(verdict)}")


def explain_at(
    event: Seen,
    history: Sequence[Terms],
    *,
    created_at: datetime,
    singular: Singular,
    allowance: Allowance,
) -> Reason:
    """Whether the subscription wanted the event when it came. `history`: its versions, oldest first, at least one.

    Raises BudgetExceeded if the allowance is used up.
    """
    if event.at < created_at:
        return Reason(Code.MADE_LATER, "The subscription was made after the event.")
    terms = terms_at(history, event.at)
    if terms is None:
        now = match(event, history[0], singular=singular, allowance=allowance)
        text = "The subscription was changed since, and what it wanted then was not kept. By its first known version: "
        return Reason(Code.UNKNOWN, f"{text}{now.text}", is_certain=False)
    if terms.is_deleted:
        return Reason(Code.DELETED, "The subscription had been deleted before the event.")
    if not terms.is_active:
        return Reason(Code.INACTIVE, "The subscription was inactive when the event came.")
    return match(event, terms, singular=singular, allowance=allowance)


def terms_at(history: Sequence[Terms], at: datetime) -> Terms | None:
    """The version that was in force, or None if it came before the first one that is known."""
    return next((terms for terms in reversed(history) if terms.since <= at), None)


def version_between(history: Sequence[Terms], earliest: datetime, latest: datetime) -> tuple[int | None, bool]:
    """The number of the version that was read at some time between the two, and whether it is certain: it was changed
    between them otherwise. `history`: as in `explain_at`; None if it is not known that far back.
    """
    first, last = terms_at(history, earliest), terms_at(history, latest)
    if last is None:
        return None, True
    # What is read from the subscription itself, because nobody kept it, would be the next version.
    number = last.number or max((terms.number for terms in history), default=0) + 1
    return number, first is last or number == 1  # before the first, there was no subscription


def _why_not_subscribed(event: Seen, interest: Interest, singular: Singular) -> Reason:
    if event.topic and normalise_topic(event.topic, singular) == CUSTOM_EVENT and _wants_custom(interest, singular):
        name = event.data.get("event_name") if isinstance(event.data, dict) else None
        found = f"this one is named {_short(name)}" if isinstance(name, str) else "this one has no event_name"
        return Reason(Code.EVENT_NAME, f"It wants events named {_listed(interest.event_names)}; {found}.")
    wanted = []
    if interest.topics:
        wanted.append(f"the topic{_s(interest.topics)} {_listed(interest.topics)}")
    if interest.intents:
        wanted.append(f"the intent{_s(interest.intents)} {_listed(interest.intents)}")
    if not wanted:
        return Reason(Code.TOPIC, "It has no topics and no intents: it polls only.")
    has = " and ".join(
        f"the {word} {value}" for word, value in (("topic", event.topic), ("intent", event.intent)) if value
    )
    code = Code.TOPIC if event.topic and interest.topics else Code.INTENT
    return Reason(code, f"It wants {' or '.join(wanted)}; this event has {has}.")


def _wants_custom(interest: Interest, singular: Singular) -> bool:
    return any(normalise_topic(topic, singular) == CUSTOM_EVENT for topic in interest.topics)


def _listed(words: Sequence[str]) -> str:
    named = ", ".join(_short(word) for word in words[:NAMED])
    return f"{named} and {len(words) - NAMED} more" if len(words) > NAMED else named


def _short(word: str) -> str:
    return word if len(word) <= 80 else f"{word[:79]}…"


def _s(words: Sequence[str]) -> str:
    return "" if len(words) == 1 else "s"
