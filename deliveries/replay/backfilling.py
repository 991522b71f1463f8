"""What a backfill does with the past events of a period: chooses those that are missing, and makes their deliveries.

Events are chosen outside the transaction, because filters take time and SQLite has one writer; what was chosen counts
only if the cursor has not moved meanwhile. Whether a delivery exists is looked at again under a lock that all backfills
of the subscription share, so that no event is made for it twice.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy

from deliveries.dispatch.ordering import first_unfinished
from deliveries.explaining.event import ANSWERS
from deliveries.explaining.lists import events_between
from deliveries.models import Delivery, Event, Replay, ReplayItem
from deliveries.replay.canary import FIRST_RATE
from deliveries.resolution.rules import audit_of
from deliveries.storage.locks import lock_order_keys
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id, uuid7
from integrations.models import AuditEntry
from integrations.object_types import singular
from subscriptions.budget import Allowance
from subscriptions.explaining import Seen, explain_at, match
from subscriptions.models import Subscription
from subscriptions.services.versions import histories_of, terms_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: Events that one step looks at, and for how many seconds of the processor.
LOOKED_AT: Final = 500
SECONDS: Final = 1.0
#: The key under which backfills of one subscription lock each other out.
_KEY: Final = "backfill"

ALREADY = gettext_lazy("It has a delivery for this subscription already.")
LOOP = gettext_lazy("It was not sent on because it is in a loop.")
OWN_ANSWER = gettext_lazy("It came from the answer of a receiver, most likely this subscription's own.")


@dataclass(frozen=True, slots=True)
class Choice:
    """One event that was looked at: `code` is `missing` if a delivery is to be made, else why not."""

    event: Event
    code: str
    text: str


@dataclass(slots=True)
class Ahead:
    """The next events of a backfill, looked at from `cursor` on. `is_end`: there are no more after them."""

    cursor: uuid.UUID | None
    choices: list[Choice] = field(default_factory=list)
    is_end: bool = False


class Chooser:
    """Decides by the subscription as it is now; `is_again`: events that it got before, too."""

    def __init__(self, subscription: Subscription, *, is_again: bool) -> None:
        self._subscription = subscription
        self._is_again = is_again
        self._terms = terms_of(subscription, subscription.created_at)
        self._history = histories_of([subscription])[subscription.pk]
        self._singular = partial(singular, overrides=subscription.store.singular_overrides)

    def choose(self, event: Any) -> Choice:
        """`event` was annotated by `candidates`."""
        if event.has_delivery and not self._is_again:
            return Choice(event, "already", str(ALREADY))
        if event.is_stopped:
            return Choice(event, "loop", str(LOOP))
        seen = Seen(event.topic, event.intent, event.data, event.created_at)
        reason = match(seen, self._terms, singular=self._singular, allowance=Allowance())
        if not reason.is_wanted:
            return Choice(event, str(reason.code), reason.text)
        if event.origin in ANSWERS and not event.has_delivery and self._wanted_then(seen):
            return Choice(event, "own_answer", str(OWN_ANSWER))
        return Choice(event, "missing", reason.text)

    def _wanted_then(self, seen: Seen) -> bool:
        return explain_at(
            seen,
            self._history,
            created_at=self._subscription.created_at,
            singular=self._singular,
            allowance=Allowance(),
        ).is_wanted


def candidates(subscription: Subscription, filters: dict[str, Any]) -> QuerySet[Event]:
    """Events of the period, oldest first. `filters`: `since`, `until` (ISO 8601), and optionally `topic` and `q`."""
    since, until = parse_datetime(filters["since"]), parse_datetime(filters["until"])
    assert since is not None
    assert until is not None
    rows = events_between(since=since, until=until, topic=filters.get("topic", ""), q=filters.get("q", ""))
    mine = Delivery.objects.filter(event=OuterRef("pk"), subscription=subscription)
    return (
        rows.filter(store_id=subscription.store_id, erased_at=None).annotate(has_delivery=Exists(mine)).order_by("id")
    )


def subscription_of(replay: Replay) -> Subscription | None:
    """The backfill's subscription, without credentials."""
    wanted = parse_public_id("nsub", str(replay.filters.get("subscription", "")))
    rows = Subscription.objects.without_credentials().select_related("store", "integration")
    return rows.filter(pk=wanted).first() if wanted is not None else None


def look_ahead(replay_id: uuid.UUID) -> Ahead | None:
    """Choose among the next events of a running backfill; None if it is none, or has lost its subscription."""
    replay = Replay.objects.filter(pk=replay_id, action=Replay.Action.BACKFILL, status=Replay.Status.RUNNING).first()
    subscription = subscription_of(replay) if replay is not None else None
    if replay is None or subscription is None:
        return None
    rows = candidates(subscription, replay.filters).filter(id__lte=replay.until_id)
    if replay.cursor is not None:
        rows = rows.filter(id__gt=replay.cursor)
    chooser = Chooser(subscription, is_again=bool(replay.filters.get("again")))
    ahead, until = Ahead(replay.cursor), time.thread_time() + SECONDS
    found = list(rows[:LOOKED_AT])
    most = replay.per_second if not replay.has_canary else replay.rate or FIRST_RATE
    for event in found:
        ahead.choices.append(chooser.choose(event))
        most -= ahead.choices[-1].code == "missing"
        # Not more than a step may make, which would be looked at again and again while a canary waits.
        if most < 0 or time.thread_time() > until:
            break
    ahead.is_end = len(found) < LOOKED_AT and len(ahead.choices) == len(found)
    return ahead


def problem_of(subscription: Subscription | None) -> StrOrPromise:
    """Why nothing can be made for it; empty if it can."""
    if subscription is None or subscription.deleted_at is not None:
        return gettext_lazy("the subscription was deleted")
    return "" if subscription.is_active else gettext_lazy("the subscription is inactive")


def make_next(replay: Replay, ahead: Ahead, allowance: int, now: datetime) -> tuple[int, int, bool]:
    """Make up to `allowance` deliveries and move the cursor, which is not saved. Inside the transaction that holds the
    replay. Returns how many events were handled, how many deliveries were made, and whether that was all.
    """
    subscription = subscription_of(replay)
    if subscription is None or ahead.cursor != replay.cursor:
        return 0, 0, False
    taken: list[Choice] = []
    missing = 0
    for choice in ahead.choices:
        if choice.code == "missing":
            if missing == allowance:
                break
            missing += 1
        taken.append(choice)
    made = make_deliveries(
        [choice.event for choice in taken if choice.code == "missing"],
        subscription,
        by=replay.created_by_name,
        now=now,
        is_again=bool(replay.filters.get("again")),
    )
    ReplayItem.objects.bulk_create([ReplayItem(replay=replay, delivery_id=one.pk) for one in made])
    actor = Actor(None, replay.created_by_name)
    write_history(made, actor, replay.reason, user_id=replay.created_by_id, replay=str(replay.pk))
    if taken:
        replay.cursor = taken[-1].event.pk
    return len(taken), len(made), ahead.is_end and len(taken) == len(ahead.choices)


def make_deliveries(
    events: Sequence[Event], subscription: Subscription, *, by: str, now: datetime, is_again: bool
) -> list[Delivery]:
    """Deliveries of these events, due now and marked as backfilled, but for those that exist, and for events whose data
    was erased. Inside a transaction."""
    events = _lock_kept(events)
    if not events:
        return []
    keys = {_order_key(event) for event in events} if subscription.is_ordered else set()
    lock_order_keys({(subscription.pk, key) for key in keys if key} | {(subscription.pk, _KEY)})
    there: set[uuid.UUID] = set()
    if not is_again:
        mine = Delivery.objects.filter(subscription=subscription, event__in=[event.pk for event in events])
        there = set(mine.values_list("event_id", flat=True))
    waiting: set[str] = set()
    rows = []
    for event in events:
        if event.pk in there:
            continue
        key = _order_key(event) if subscription.is_ordered else None
        is_held = key is not None and (key in waiting or first_unfinished(subscription.pk, key) is not None)
        if key is not None:
            waiting.add(key)
        rows.append(
            Delivery(
                id=uuid7(),
                event_id=event.pk,
                store_id=event.store_id,
                integration_id=subscription.integration_id,
                subscription_id=subscription.pk,
                topic=event.topic or event.intent or "",
                order_key=key,
                due_at=None if is_held else now,
                created_at=now,
                backfilled_by=by[:200],
            )
        )
    return Delivery.objects.bulk_create(rows)


def _lock_kept(events: Sequence[Event]) -> list[Event]:
    """Those whose data is there, until the transaction ends: an erasure that waits for it finds the deliveries."""
    kept = Event.objects.filter(pk__in=[event.pk for event in events], erased_at=None).order_by("pk")
    keys = set(kept.select_for_update(no_key=True).values_list("pk", flat=True))
    return [event for event in events if event.pk in keys]


def write_history(
    made: Iterable[Delivery], actor: Actor, reason: str, *, user_id: int | None = None, **details: str
) -> None:
    """An audit entry for each."""
    entries = []
    for delivery in made:
        after = {"status": Delivery.Status.PENDING.value, "revision": 0, **details}
        entry = audit_of(delivery, actor, "backfill", before={}, after=after, reason=reason)
        entry.user_id = user_id if user_id is not None else entry.user_id
        entries.append(entry)
    AuditEntry.objects.bulk_create(entries)


def _order_key(event: Event) -> str | None:
    return f"{event.object_type}/{event.object_id}" if event.object_id else None


def counted(choices: Iterable[Choice]) -> dict[str, int]:
    return dict(Counter(choice.code for choice in choices))
