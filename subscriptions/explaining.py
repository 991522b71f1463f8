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

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.expressions.evaluation import ExpressionError, reasoned
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
        return Reason(Code.WANTED, _("Its topic or intent is subscribed to, and there is no filter."))
    try:
        with allowance.evaluation() as budget:
            context = {"topic": event.topic, "intent": event.intent}
            is_passed, reasons = reasoned(terms.filter, event.data, context, budget)
    except ExpressionError as error:
        if allowance.is_used_up:
            raise BudgetExceeded from None
        # As ingest does: not dropped silently.
        text = _("The filter cannot be evaluated on it: %(problem)s. A delivery is made, and fails.")
        return Reason(Code.FILTER_ERROR, text % {"problem": error.message})
    if not reasons:
        text = _("It passes the filter.") if is_passed else _("It does not pass the filter.")
    elif is_passed:
        text = _("It passes the filter: %(reasons)s.") % {"reasons": reasons}
    else:
        text = _("It does not pass the filter: %(reasons)s.") % {"reasons": reasons}
    return Reason(Code.WANTED if is_passed else Code.FILTER, text)


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
        return Reason(Code.MADE_LATER, _("The subscription was made after the event."))
    terms = terms_at(history, event.at)
    if terms is None:
        now = match(event, history[0], singular=singular, allowance=allowance)
        text = _(
            "The subscription was changed since, and what it wanted then was not kept. By its first known version: "
            "%(reason)s"
        )
        return Reason(Code.UNKNOWN, text % {"reason": now.text}, is_certain=False)
    if terms.is_deleted:
        return Reason(Code.DELETED, _("The subscription had been deleted before the event."))
    if not terms.is_active:
        return Reason(Code.INACTIVE, _("The subscription was inactive when the event came."))
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
        words = {"names": _listed(interest.event_names)}
        if isinstance(name, str):
            text = _("It wants events named %(names)s; this one is named %(name)s.") % {**words, "name": _short(name)}
        else:
            text = _("It wants events named %(names)s; this one has no event_name.") % words
        return Reason(Code.EVENT_NAME, text)
    if not interest.topics and not interest.intents:
        return Reason(Code.TOPIC, _("It has no topics and no intents: it polls only."))
    text = _("It wants %(wanted)s; this event has %(found)s.") % {
        "wanted": _wanted(interest),
        "found": _topic_and_intent(event),
    }
    return Reason(Code.TOPIC if event.topic and interest.topics else Code.INTENT, text)


def _wanted(interest: Interest) -> str:
    topics, intents = interest.topics, interest.intents
    of_topics = ngettext("the topic %(names)s", "the topics %(names)s", len(topics)) % {"names": _listed(topics)}
    of_intents = ngettext("the intent %(names)s", "the intents %(names)s", len(intents)) % {"names": _listed(intents)}
    if topics and intents:
        return _("%(first)s or %(second)s") % {"first": of_topics, "second": of_intents}
    return of_topics if topics else of_intents


def _topic_and_intent(event: Seen) -> str:
    topic, intent = _("the topic %(name)s") % {"name": event.topic}, _("the intent %(name)s") % {"name": event.intent}
    if event.topic and event.intent:
        return _("%(first)s and %(second)s") % {"first": topic, "second": intent}
    return topic if event.topic else intent


def _wants_custom(interest: Interest, singular: Singular) -> bool:
    return any(normalise_topic(topic, singular) == CUSTOM_EVENT for topic in interest.topics)


def _listed(words: Sequence[str]) -> str:
    named = ", ".join(_short(word) for word in words[:NAMED])
    if len(words) <= NAMED:
        return named
    return _("%(names)s and %(number)s more") % {"names": named, "number": len(words) - NAMED}


def _short(word: str) -> str:
    return word if len(word) <= 80 else f"{word[:79]}…"
