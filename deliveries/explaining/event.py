"""One event, subscription by subscription: who got it, who did not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from django.db.models import F, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deliveries.ingest.loops import why_stopped
from deliveries.models import Delivery, Event
from integrations.models import Store
from integrations.object_types import singular
from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.explaining import Code, Reason, Seen, Terms, explain_at
from subscriptions.models import Subscription
from subscriptions.services.versions import histories_of

#: Subscriptions of a store that one explanation goes through; those that got the event come first.
MOST: Final = 1_000
#: Steps of all filters of one explanation together, some microseconds each.
STEPS: Final = 5_000_000

TOO_DEAR = gettext_lazy("The store's filters take too long on this event to tell. Look at them one by one.")
ERASED = gettext_lazy(
    "The event's data was erased because it held a person's data, so what a filter said of it is no longer known."
)
_OF_DATA = (Code.EVENT_NAME, Code.FILTER, Code.FILTER_ERROR, Code.WANTED, "gone", "own_answer")
#: Events that a receiver's answer or a poll brought are not sent to the subscription that brought them.
ANSWERS = (Event.Origin.PUSHBACK, Event.Origin.POLL)


@dataclass(frozen=True, slots=True)
class Line:
    """What became of the event for one subscription. `code` is the reason's, or `delivered`, `own_answer`, `loop`,
    `test`, `gone` or `too_dear`. `delivery`: the latest one, if there is one.
    """

    subscription: Subscription
    code: str
    text: str
    is_certain: bool = True
    delivery: Delivery | None = None

    @property
    def is_about_topic(self) -> bool:
        """Whether it never was about this kind of event: the uninteresting ones of a long list."""
        return self.code in (Code.TOPIC, Code.INTENT)


class StoreSubscriptions:
    """The subscriptions of a store with their versions, read once for any number of its events."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows = list(subscriptions_of(store)[:MOST])
        self.histories = histories_of(self.rows)

    def explain(self, event: Event, allowance: Allowance) -> list[Line]:
        """A line for each subscription that was there then or has been since: those with a delivery first, then those
        that are about the topic, then the rest. Those deleted before are left out.
        """
        latest = _deliveries_of(event)
        lines = [_line(event, row, self.histories[row.pk], latest, allowance) for row in self.rows]
        alive = [line for line in lines if line.code != Code.DELETED]
        if event.erased_at is not None:
            alive = [_without_data(line) for line in alive]
        return sorted(alive, key=lambda line: (line.delivery is None, line.is_about_topic))


def _without_data(line: Line) -> Line:
    """Of an event whose data was erased: what filters said of it is no longer known."""
    if line.delivery is not None or line.code not in _OF_DATA:
        return line
    return replace(line, code="gone", text=str(ERASED), is_certain=False)


def explain_event(event: Event) -> list[Line]:
    """`StoreSubscriptions.explain` for one event."""
    return StoreSubscriptions(event.store).explain(event, Allowance(STEPS))


def subscriptions_of(store: Store) -> QuerySet[Subscription]:
    """Without credentials, the oldest first: those alive, then those deleted."""
    rows = Subscription.objects.filter(store=store).without_credentials().select_related("integration")
    return rows.order_by(F("deleted_at").asc(nulls_first=True), "created_at", "id")


def seen_of(event: Event) -> Seen:
    return Seen(event.topic, event.intent, event.data, event.created_at)


def reason_of(event: Event, row: Subscription, history: Sequence[Terms], allowance: Allowance) -> Reason:
    """Why the subscription wanted the event when it came, or not. Raises BudgetExceeded."""
    return explain_at(
        seen_of(event),
        history,
        created_at=row.created_at,
        singular=partial(singular, overrides=event.store.singular_overrides),
        allowance=allowance,
    )


def missing_because(event: Event) -> tuple[str, str]:
    """Code and text for an event that was wanted and has no delivery: what kept it from being made."""
    if event.is_stopped:
        return "loop", _("It matched, and was not sent on. %(why)s") % {"why": why_stopped(event.hops)}
    if event.origin == Event.Origin.TEST:
        return "test", _("It was a test for one integration, and went to no other.")
    if event.origin in ANSWERS:
        return "own_answer", _(
            "It matched, but came from the answer of a receiver. Such an event is not sent back to the subscription "
            "whose delivery was answered, so it is most likely this one."
        )
    return (
        "gone",
        _("It matched. Its delivery is no longer there: finished deliveries are deleted after the retention time."),
    )


def _line(
    event: Event,
    row: Subscription,
    history: Sequence[Terms],
    latest: dict[object, Delivery],
    allowance: Allowance,
) -> Line:
    delivery = latest.get(row.pk)
    if delivery is not None:
        return Line(row, "delivered", _of_delivery(delivery), delivery=delivery)
    try:
        reason = reason_of(event, row, history, allowance)
    except BudgetExceeded:
        return Line(row, "too_dear", str(TOO_DEAR), is_certain=False)
    if not reason.is_wanted:
        return Line(row, str(reason.code), reason.text, reason.is_certain)
    code, text = missing_because(event)
    return Line(row, code, text, is_certain=code != "own_answer")


def _deliveries_of(event: Event) -> dict[object, Delivery]:
    """The latest of each subscription."""
    rows = Delivery.objects.filter(event=event, subscription__isnull=False).select_related("integration", "event")
    rows = rows.defer("event__data", "integration__token", "integration__parameters").order_by("id")
    return {delivery.subscription_id: delivery for delivery in rows[:MOST]}


def _of_delivery(delivery: Delivery) -> str:
    """Why it has not arrived, if it has not."""
    status = Delivery.Status
    if delivery.status == status.SUCCEEDED:
        return _("Delivered.")
    if delivery.status in Delivery.OPEN and not delivery.integration.is_enabled:
        words = _("It waits: %(name)s is disabled. %(reason)s")
        return (words % {"name": delivery.integration.name, "reason": delivery.integration.disabled_reason}).strip()
    if delivery.is_held:
        return _("It waits for an earlier delivery of the same record: the subscription is ordered.")
    error = {"error": delivery.last_error}
    return {
        status.PENDING: _("It is about to be sent."),
        status.SENDING: _("It is being sent."),
        status.RETRYING: _("It has not arrived yet and is being retried. %(error)s") % error,
        status.FAILED: _("It failed. %(error)s") % error,
        status.DISCARDED: _("It was discarded without being delivered."),
        status.SUPERSEDED: _("It failed, and a later delivery of the same record took its place."),
    }[status(delivery.status)].strip()
