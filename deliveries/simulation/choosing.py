"""Which past events a change is run over, and finding one event among all."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from deliveries.explaining.lists import containing
from deliveries.models import Delivery, Event
from integrations.foundation.identifiers import first_id_at, parse_public_id
from integrations.foundation.strict_json import compact_json
from integrations.models import Store
from subscriptions.models import Subscription

#: Events that are compared at most, and by default.
MOST: Final = 10_000
DEFAULT: Final = 1_000
#: Events that are named one by one.
MOST_IDS: Final = 1_000
#: A search for text looks at the events of this period, and at so many of them.
SEARCHED: Final = timedelta(days=1)
SEARCHED_EVENTS: Final = 2_000
#: Never sent to subscriptions: pings, and the question that a poll asks.
_NOT_EVENTS: Final = (Event.Origin.TEST, Event.Origin.POLL)


class ChoiceError(ValueError):
    """The choice makes no sense; `field` is what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class EventChoice:
    """The `last` events that concern the change, those received from `since` until before `until`, or those with these
    `ids`. `topic` (exact, an intent, or `shipment.*`) and `q` (an object's id, or a text in the data) narrow it.
    """

    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[uuid.UUID, ...] = ()
    topic: str = ""
    q: str = ""

    def __post_init__(self) -> None:
        """Raises ChoiceError."""
        if sum([self.last is not None, self.since is not None, bool(self.ids)]) != 1:
            raise ChoiceError("events", _("Give one of last (a number), since (a time) and ids (events)."))
        if self.last is not None and not 1 <= self.last <= MOST:
            raise ChoiceError("events.last", _("last must be a whole number from 1 to %(most)s.") % {"most": MOST})
        if len(self.ids) > MOST_IDS:
            words = _("There are %(number)s ids; at most %(most)s are allowed.")
            raise ChoiceError("events.ids", words % {"number": len(self.ids), "most": MOST_IDS})
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ChoiceError("events.until", _("The period is empty: since must be before until."))

    @property
    def limit(self) -> int:
        return self.last or len(self.ids) or MOST

    def kept(self) -> dict[str, Any]:
        """As a simulation keeps it."""
        found = {
            "last": self.last,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "ids": [str(pk) for pk in self.ids],
            "topic": self.topic,
            "q": self.q,
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> EventChoice:
        return cls(
            last=kept.get("last"),
            since=parse_datetime(kept["since"]) if "since" in kept else None,
            until=parse_datetime(kept["until"]) if "until" in kept else None,
            ids=tuple(uuid.UUID(text) for text in kept.get("ids", ())),
            topic=kept.get("topic", ""),
            q=kept.get("q", ""),
        )

    def rows(self, store: Store) -> QuerySet[Event]:
        """Newest first."""
        mine = Event.objects.filter(store=store).exclude(origin__in=_NOT_EVENTS)
        if self.ids:
            return mine.filter(id__in=self.ids).order_by("-id")
        if self.since is not None:
            mine = mine.filter(id__gte=first_id_at(self.since))
        if self.until is not None:
            mine = mine.filter(id__lt=first_id_at(self.until))
        return mine.order_by("-id")

    def takes(self, topic: str | None, intent: str | None) -> bool:
        """Whether an event with these is chosen. Not asked of the database, which might search for long."""
        if not self.topic:
            return True
        if self.topic.endswith(".*"):
            return (topic or "").startswith(self.topic[:-1])
        return self.topic in (topic, intent)

    def holds(self, event: Event, data_json: str) -> bool:
        """Whether the event is about the object, or has the text, that is asked for."""
        return not self.q or event.object_id == self.q or compact_json(self.q)[1:-1] in data_json


def find_events(
    *, store: Store, text: str = "", subscription: Subscription | None = None, limit: int = 8
) -> list[Event]:
    """Events of the store to look at, the most fitting first: by id, topic, intent, object's id, or a text in the data.

    Without a text, the subscription's own last event comes first, then the latest ones. A text in the data is looked
    for among the latest events only; a search index would take the place of `_containing`.
    """
    text = text.strip()
    mine = Event.objects.filter(store=store).exclude(origin__in=_NOT_EVENTS).select_related("store").order_by("-id")
    if not text:
        own = _last_of(subscription) if subscription is not None else None
        others = [event for event in mine[:limit] if own is None or event.pk != own.pk]
        return [*([own] if own is not None else []), *others][:limit]
    if (wanted := parse_public_id("evt", text)) and (found := list(mine.filter(id=wanted))):
        return found
    # The condition of the index, verbatim: SQLite does not use a partial index otherwise.
    indexed = RawSQL("NOT (deliveries_event.object_id = '')", [], output_field=BooleanField())
    for rows in (mine.filter(topic=text), mine.filter(indexed, object_id=text)):
        if found := list(rows[:limit]):
            return found
    return _containing(mine, text, limit)


def _last_of(subscription: Subscription) -> Event | None:
    # By the integration, whose deliveries have an index.
    rows = Delivery.objects.filter(integration_id=subscription.integration_id).order_by("-id")[:SEARCHED_EVENTS]
    for event_id, subscription_id, trigger in rows.values_list("event_id", "subscription_id", "trigger"):
        if subscription_id == subscription.pk and trigger != Delivery.Trigger.TEST:
            return Event.objects.filter(id=event_id).exclude(origin__in=_NOT_EVENTS).select_related("store").first()
    return None


def _containing(mine: QuerySet[Event], text: str, limit: int) -> list[Event]:
    now = timezone.now()
    recent = mine.filter(id__gte=first_id_at(now - SEARCHED))
    ids = list(recent.values_list("id", flat=True)[:SEARCHED_EVENTS])
    if not ids:
        return []
    latest = mine.filter(id__gte=ids[-1])
    return list(latest.filter(intent=text)[:limit]) or list(containing(latest, text)[:limit])
