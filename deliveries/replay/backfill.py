"""Backfills: making the deliveries of past events that a subscription has missed (docs/fixing-failures.md)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.models import Delivery, Event, Replay
from deliveries.replay.backfilling import Choice, Chooser, candidates, make_deliveries, problem_of, write_history
from deliveries.replay.canary import STOP_ABOVE
from deliveries.replay.service import MOST_PER_SECOND, ReplayError, begin_replay
from deliveries.runtime import notify
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import public_id
from integrations.foundation.written import grouped
from integrations.services.retention import shortest_days
from subscriptions.models import Subscription

#: Events that a preview looks at, and for how many seconds of the processor; beyond, it estimates.
PREVIEWED: Final = 10_000
PREVIEW_SECONDS: Final = 3.0
SAMPLE: Final = 10
#: Events of a period are counted up to this many.
COUNTED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to backfill: events received from `since` until before `until`; see `events_between` for the others.

    `is_again`: also events that the subscription got before; receivers get those twice.
    """

    since: datetime
    until: datetime
    topic: str = ""
    q: str = ""
    is_again: bool = False

    def filters(self, subscription: Subscription) -> dict[str, str]:
        """As a replay keeps them."""
        found = {
            "subscription": public_id("nsub", subscription.pk),
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "topic": self.topic,
            "q": self.q,
            "again": "yes" if self.is_again else "",
        }
        return {name: value for name, value in found.items() if value}


@dataclass(slots=True)
class BackfillPreview:
    """Of `total` events in the period, `looked_at` were looked at: how many of each code (`missing`: would be made;
    `already`, `loop`, `own_answer`, `topic`, `intent`, `event_name`, `filter`: not), and some of the missing ones.
    """

    total: int
    looked_at: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    sample: list[Choice] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return self.counts.get("missing", 0)

    @property
    def is_partial(self) -> bool:
        return self.looked_at < self.total


def preview_backfill(*, subscription: Subscription, wanted: Wanted) -> BackfillPreview:
    """What it would do. Nothing is made. Raises ReplayError as `start_backfill` would."""
    _check(subscription, wanted, timezone.now())
    rows = candidates(subscription, wanted.filters(subscription))
    found = BackfillPreview(rows.order_by().values("pk")[:COUNTED].count())
    chooser, until = Chooser(subscription, is_again=wanted.is_again), time.thread_time() + PREVIEW_SECONDS
    for event in rows[:PREVIEWED].iterator(chunk_size=200):
        choice = chooser.choose(event)
        found.looked_at += 1
        found.counts[choice.code] = found.counts.get(choice.code, 0) + 1
        if choice.code == "missing" and len(found.sample) < SAMPLE:
            found.sample.append(choice)
        if time.thread_time() > until:
            break
    return found


def start_backfill(
    *,
    subscription: Subscription,
    wanted: Wanted,
    actor: Actor,
    per_second: int = 200,
    reason: str = "",
    canary: bool = True,
    stop_above: int = STOP_ABOVE,
    now: datetime | None = None,
) -> Replay:
    """Start; it goes on in the background, oldest event first, by the subscription as it is at each moment.

    Raises ReplayError. `canary`, `stop_above` and `per_second` are those of `start_replay`.
    """
    now = now or timezone.now()
    _check(subscription, wanted, now)
    _check_course(subscription, per_second, canary, stop_above)
    if subscription.store.is_reason_required and not reason.strip():
        raise ReplayError(_("This store requires a reason."))
    filters = wanted.filters(subscription)
    total = candidates(subscription, filters).order_by().values("pk")[:COUNTED].count()
    return begin_replay(
        actor=actor,
        store=subscription.store,
        action=Replay.Action.BACKFILL,
        filters=filters,
        reason=reason.strip(),
        per_second=per_second,
        total=total,
        stop_above=stop_above if canary else None,
    )


def deliver_event(
    *,
    event: Event,
    subscription: Subscription,
    actor: Actor,
    reason: str = "",
    is_again: bool = False,
    now: datetime | None = None,
) -> Delivery:
    """A delivery of this one event, whatever the subscription's topics and filter say. Raises ReplayError, also if
    there is one already and `is_again` is not given.
    """
    now = now or timezone.now()
    check_delivery_of(event=event, subscription=subscription, reason=reason)
    with transaction.atomic():
        made = make_deliveries([event], subscription, by=actor.name, now=now, is_again=is_again)
        if not made:
            raise ReplayError(
                _("The subscription got this event already. Resend that delivery, or ask for another one.")
            )
        write_history(made, actor, reason.strip())
        notify.wake_on_commit()
    return made[0]


def check_delivery_of(*, event: Event, subscription: Subscription, reason: str) -> None:
    """Raises ReplayError if `deliver_event` would, but for the case that there is a delivery already."""
    if subscription.store_id != event.store_id:
        raise ReplayError(_("The event and the subscription belong to different stores."))
    if problem := problem_of(subscription):
        raise ReplayError(_("Nothing can be delivered: %(problem)s.") % {"problem": problem})
    if event.origin == Event.Origin.TEST:
        raise ReplayError(_("This is the event of a ping. Send another ping instead."))
    if event.erased_at is not None:
        raise ReplayError(
            _("The event's data was erased because it held a person's data: there is nothing to deliver.")
        )
    if subscription.store.is_reason_required and not reason.strip():
        raise ReplayError(_("This store requires a reason."))


def _check(subscription: Subscription, wanted: Wanted, now: datetime) -> None:
    if problem := problem_of(subscription):
        raise ReplayError(_("Nothing can be made: %(problem)s.") % {"problem": problem})
    if wanted.since >= wanted.until:
        raise ReplayError(_("The period is empty: since must be before until."))
    kept = now - timedelta(days=shortest_days(subscription.store_id))
    if wanted.since < kept and not wanted.is_again:
        raise ReplayError(
            _(
                "Deliveries that finished before %(time)s UTC may have been deleted (RETENTION_DAYS, or the store's "
                "own retention), so what is missing from before is not known. Begin later, or include what was "
                "delivered."
            )
            % {"time": f"{kept:%Y-%m-%d %H:%M}"}
        )


def _check_course(subscription: Subscription, per_second: int, canary: bool, stop_above: int) -> None:
    if not 1 <= per_second <= MOST_PER_SECOND:
        raise ReplayError(
            _("The rate must be between 1 and %(most)s deliveries per second.") % {"most": grouped(MOST_PER_SECOND)}
        )
    if not 0 <= stop_above < 100:
        raise ReplayError(_("The percentage that may fail must be between 0 and 99."))
    if canary and not subscription.integration.is_enabled:
        name = subscription.integration.name
        raise ReplayError(_("%(name)s is disabled, so there would be no results. Enable it first.") % {"name": name})


def shown_filters(replay: Replay) -> Mapping[str, Any]:
    """Those that a list of deliveries knows too."""
    return {name: value for name, value in replay.filters.items() if name != "again"}
