"""What an approved proposal does, by its action: the service that a person would have used, in the author's name.

Each runs inside the transaction of the decision and raises ResolutionError, ReplayError or FilterError if it is not
possible any more; the proposal then stays as it is. Another action is a member of `Proposal.Action`, a function that
makes it in `asking`, one here, and its words in `showing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deliveries.models import Delivery, Event, Proposal
from deliveries.recipes.requests import keep_after
from deliveries.recipes.sending import send_proposed
from deliveries.replay import count_guarded, start_replay
from deliveries.replay.backfill import Wanted, deliver_event, start_backfill
from deliveries.resolution import ResolutionError, discard_delivery, edit_delivery, retry_delivery
from deliveries.resolution.rules import require_reason
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id
from subscriptions.models import Subscription

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


#: Statuses after which a proposal about one delivery has come too late.
_OVER: Final[Mapping[str, StrPromise]] = {
    Delivery.Status.SUCCEEDED: gettext_lazy(
        "The delivery has succeeded since this was proposed. Nothing was sent. Reject the proposal."
    ),
    Delivery.Status.DISCARDED: gettext_lazy(
        "The delivery has been discarded since this was proposed. Nothing was sent. Reject the proposal."
    ),
    Delivery.Status.SUPERSEDED: gettext_lazy(
        "The delivery has been superseded since this was proposed. Nothing was sent. Reject the proposal."
    ),
}


def perform(proposal: Proposal, approver: Actor, now: datetime) -> None:
    """Do what was proposed."""
    author = Actor(proposal.author, proposal.author_name, proposal.token_id)
    if proposal.delivery_id is not None:
        _ON_ONE[proposal.action](proposal, _delivery_of(proposal), author, approver, now)
    else:
        _OTHERS[proposal.action](proposal, author, approver, now)


def _delivery_of(proposal: Proposal) -> Delivery:
    assert proposal.delivery_id is not None
    found = Delivery.objects.filter(pk=proposal.delivery_id, store_id=proposal.store_id).first()
    if found is None:
        raise ResolutionError("conflict", _("This delivery no longer exists. It has been pruned."))
    if found.status in _OVER and found.status != proposal.values["status"]:
        raise ResolutionError(
            "conflict",
            str(_OVER[found.status]),
        )
    return found


def _edit(proposal: Proposal, delivery: Delivery, author: Actor, approver: Actor, now: datetime) -> None:
    values = proposal.values
    edit_delivery(
        delivery=delivery,
        payload=values["payload"],
        actor=author,
        reason=proposal.reason,
        update_record=values["update_record"],
        now=now,
        expected_revision=values["revision"],
        approver=approver,
    )


def _retry(proposal: Proposal, delivery: Delivery, author: Actor, approver: Actor, now: datetime) -> None:
    seen = proposal.values["revision"]
    retry_delivery(delivery=delivery, actor=author, reason=proposal.reason, now=now, expected_revision=seen)


def _discard(proposal: Proposal, delivery: Delivery, author: Actor, approver: Actor, now: datetime) -> None:
    discard_delivery(delivery=delivery, actor=author, reason=proposal.reason, now=now)


def _bulk(proposal: Proposal, author: Actor, approver: Actor, now: datetime) -> None:
    course = dict(proposal.values)
    filters = course.pop("filters")
    if course.get("confirmed") is not None:
        # The approver has been shown the number of now.
        course["confirmed"] = count_guarded(filters=filters, action=proposal.action)
    proposal.replay = start_replay(
        filters=filters, action=proposal.action, actor=author, store=proposal.store, reason=proposal.reason, now=now,
        **course,
    )  # fmt: skip


def _backfill(proposal: Proposal, author: Actor, approver: Actor, now: datetime) -> None:
    course = dict(proposal.values)
    filters = course.pop("filters")
    subscription = subscription_named(proposal, filters["subscription"])
    wanted, reason = wanted_of(filters), proposal.reason
    proposal.replay = start_backfill(
        subscription=subscription, wanted=wanted, actor=author, reason=reason, now=now, **course
    )


def _deliver(proposal: Proposal, author: Actor, approver: Actor, now: datetime) -> None:
    values = proposal.values
    wanted = parse_public_id("evt", values["event"])
    event = Event.objects.filter(pk=wanted, store_id=proposal.store_id).first() if wanted else None
    if event is None:
        raise ResolutionError("conflict", _("This event no longer exists. It has been pruned."))
    made = deliver_event(
        event=event,
        subscription=subscription_named(proposal, values["subscription"]),
        actor=author,
        reason=proposal.reason,
        is_again=values["again"],
        now=now,
    )
    proposal.delivery_id = made.pk


def _fix(proposal: Proposal, author: Actor, approver: Actor, now: datetime) -> None:
    assert proposal.fix is not None
    require_reason(proposal.store, proposal.reason)
    sent = send_proposed(fix=proposal.fix, approver=approver, now=now)
    if (keep := proposal.values["keep"]) is not None:
        keep_after(fix=sent, actor=author, **keep)


def subscription_named(proposal: Proposal, name: str) -> Subscription:
    wanted = parse_public_id("nsub", name)
    rows = Subscription.objects.alive().select_related("store", "integration")
    found = rows.filter(pk=wanted, store_id=proposal.store_id).first() if wanted else None
    if found is None:
        raise ResolutionError("conflict", _("This subscription no longer exists."))
    return found


def wanted_of(filters: Mapping[str, Any]) -> Wanted:
    since, until = parse_datetime(filters["since"]), parse_datetime(filters["until"])
    assert since is not None
    assert until is not None
    return Wanted(since, until, filters.get("topic", ""), filters.get("q", ""), "again" in filters)


_ON_ONE: Final[Mapping[str, Callable[[Proposal, Delivery, Actor, Actor, datetime], None]]] = {
    Proposal.Action.EDIT.value: _edit,
    Proposal.Action.RETRY.value: _retry,
    Proposal.Action.DISCARD.value: _discard,
}
_OTHERS: Final[Mapping[str, Callable[[Proposal, Actor, Actor, datetime], None]]] = {
    Proposal.Action.RETRY.value: _bulk,
    Proposal.Action.DISCARD.value: _bulk,
    Proposal.Action.BACKFILL.value: _backfill,
    Proposal.Action.DELIVER.value: _deliver,
    Proposal.Action.FIX.value: _fix,
}
