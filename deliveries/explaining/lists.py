"""Lists of events with a reason each: those that nobody got, and those that a subscription's filter turned away.

Both walk back through the events of a period, a bounded number at a time: `older` says where to go on, so that no page
costs more on a table of millions.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext, ngettext

from deliveries.explaining.event import STEPS, Line, StoreSubscriptions, reason_of
from deliveries.models import Delivery, Event
from integrations.foundation.identifiers import first_id_at
from integrations.foundation.strict_json import compact_json
from integrations.foundation.written import grouped
from integrations.models import Store
from integrations.object_types import singular
from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.explaining import Code, Terms
from subscriptions.matching import SubscriptionIndex
from subscriptions.models import Subscription
from subscriptions.services.versions import histories_of

#: Events of one page, and how many are looked at for it.
SHOWN: Final = 50
LOOKED_AT: Final = 20_000
#: Of one subscription, whose filter is evaluated on each.
FILTERED: Final = 5_000
_CHUNK: Final = 200


@dataclass(frozen=True, slots=True)
class Explained:
    """An event and why nobody, or not this subscription, got it."""

    event: Event
    why: str
    code: str


@dataclass(slots=True)
class Page:
    """`older`: go on before this event; None: that was all."""

    rows: list[Explained] = field(default_factory=list)
    older: uuid.UUID | None = None


def events_between(
    *, since: datetime, until: datetime, topic: str = "", q: str = "", before: uuid.UUID | None = None
) -> QuerySet[Event]:
    """Events received in the period, without tests. `topic`: exact, an intent, or `shipment.*`. `q`: an object's id, or
    a text in the data; only within a bounded set is that fast.
    """
    # Of those whose data was erased, nothing can be told.
    rows = Event.objects.filter(id__gte=first_id_at(since), id__lt=first_id_at(until), erased_at=None)
    rows = rows.exclude(origin=Event.Origin.TEST)
    if before is not None:
        rows = rows.filter(id__lt=before)
    if topic.endswith(".*"):
        rows = rows.filter(topic__startswith=topic[:-1])
    elif topic:
        rows = rows.filter(Q(topic=topic) | Q(intent=topic))
    return containing(rows, q) if q else rows


def containing(rows: QuerySet[Event], text: str) -> QuerySet[Event]:
    """Those about the object with this id, or with this text in their data."""
    return rows.annotate(text=Cast("data", TextField())).filter(
        Q(object_id=text) | Q(text__contains=compact_json(text)[1:-1])
    )


def undelivered(rows: QuerySet[Event], subscription: Subscription | None = None) -> QuerySet[Event]:
    """Those without any delivery, or without one for this subscription."""
    deliveries = Delivery.objects.filter(event=OuterRef("pk"))
    if subscription is not None:
        deliveries = deliveries.filter(subscription=subscription)
    return rows.filter(~Exists(deliveries))


def nobody_got(
    *,
    stores: Collection[uuid.UUID] | None,
    since: datetime,
    until: datetime,
    topic: str = "",
    q: str = "",
    before: uuid.UUID | None = None,
) -> Page:
    """Events without a delivery, newest first. `stores`: None for all."""
    rows = events_between(since=since, until=until, topic=topic, before=before)
    if stores is not None:
        rows = rows.filter(store_id__in=stores)
    end = _end_of(rows, LOOKED_AT)
    if end is not None:
        rows = rows.filter(id__gte=end)
    found = undelivered(containing(rows, q) if q else rows).select_related("store").order_by("-id")
    events = list(found[: SHOWN + 1])
    page = Page(older=end)
    if len(events) > SHOWN:
        events = events[:SHOWN]
        page.older = events[-1].pk
    known: dict[uuid.UUID, StoreSubscriptions] = {}
    allowance = Allowance(STEPS)
    for event in events:
        if event.store_id not in known:
            known[event.store_id] = StoreSubscriptions(event.store)
        subscriptions = known[event.store_id]
        page.rows.append(_in_short(event, subscriptions.explain(event, allowance)))
    return page


def turned_away(
    *, subscription: Subscription, since: datetime, until: datetime, before: uuid.UUID | None = None
) -> Page:
    """Events about the subscription's topics that its filter, as it was then, turned away; newest first."""
    store = subscription.store
    history = histories_of([subscription])[subscription.pk]
    rows = events_between(since=since, until=until, before=before).filter(store=store)
    end = _end_of(rows, FILTERED)
    if end is not None:
        rows = rows.filter(id__gte=end)
    keys = [
        pk
        for pk, topic, intent in undelivered(rows, subscription).order_by("-id").values_list("id", "topic", "intent")
        if _is_about(history, topic, intent, store)
    ]
    page, allowance = Page(older=end), Allowance(STEPS)
    for start in range(0, len(keys), _CHUNK):
        chunk = Event.objects.filter(id__in=keys[start : start + _CHUNK]).select_related("store").order_by("-id")
        for event in chunk:
            try:
                reason = reason_of(event, subscription, history, allowance)
            except BudgetExceeded:
                page.older = event.pk
                return page
            if reason.code == Code.FILTER:
                page.rows.append(Explained(event, reason.text, str(reason.code)))
            if len(page.rows) == SHOWN:
                page.older = event.pk
                return page
    return page


def _end_of(rows: QuerySet[Event], number: int) -> uuid.UUID | None:
    """The last event of so many, if there are more."""
    found = list(rows.order_by("-id").values_list("id", flat=True)[number - 1 : number + 1])
    return found[0] if len(found) == 2 else None


def _is_about(history: Sequence[Terms], topic: str | None, intent: str | None, store: Store) -> bool:
    """Whether any version of the subscription could want it, as far as topic and intent tell."""
    one = partial(singular, overrides=store.singular_overrides)
    interests = list(dict.fromkeys(terms.interest for terms in history))
    return any(
        SubscriptionIndex([(interest, None)], singular=one).matching(topic, intent, data)
        for interest in interests
        for data in _possible(interest.event_names)
    )


def _possible(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{}, *({"event_name": name} for name in names)]


#: The most telling first: a filter can be corrected.
_TELLING: Final = (
    Code.FILTER, Code.EVENT_NAME, Code.INACTIVE, "loop", "own_answer", "gone", "too_dear", Code.UNKNOWN,
    Code.MADE_LATER,
)  # fmt: skip


def _in_short(event: Event, lines: Sequence[Line]) -> Explained:
    for code in _TELLING:
        if found := [line for line in lines if line.code == code]:
            first = found[0]
            values = {"name": first.subscription.integration.name, "why": first.text}
            return Explained(event, _with_others(len(found) - 1) % values, str(code))
    why = gettext("No subscription is about %(event)s.") % {"event": event.name}
    return Explained(event, why, str(Code.TOPIC))


def _with_others(number: int) -> str:
    """A sentence with `name` and `why` to be filled in."""
    if not number:
        return gettext("%(name)s: %(why)s")
    words = ngettext(
        "%(name)s: %(why)s And %(number)s more alike.", "%(name)s: %(why)s And %(number)s more alike.", number
    )
    return words.replace("%(number)s", grouped(number))
