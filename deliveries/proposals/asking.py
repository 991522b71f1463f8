"""Making proposals. Each is refused where the action itself would be, so that nothing waits that cannot be approved.

Nothing but the proposal is written: the deliveries, and what staff do to them, are unaffected.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from deliveries.filters import clean_filters, moment_of
from deliveries.models import BulkFix, Delivery, Event, Proposal
from deliveries.replay.backfill import Wanted, check_delivery_of, preview_backfill
from deliveries.replay.service import ReplayError, check_replay
from deliveries.resolution import ResolutionError, check_payload, payload_of
from deliveries.resolution.approval import refuse_while_awaiting
from deliveries.resolution.records import refuse_other_id
from deliveries.resolution.rules import Action, latest_number, locked, refuse_deleted, require_reason
from integrations.foundation.audit import Actor, record_change
from integrations.foundation.identifiers import public_id
from integrations.foundation.json_documents import is_same, json_patch
from integrations.models import Store
from integrations.services import people_behind
from subscriptions.models import Subscription

#: Of one store. A program that proposes without end must not fill the database.
WAITING_LIMIT: Final = 1_000


def propose_edit(
    *, delivery: Delivery, payload: dict[str, Any], actor: Actor, reason: str = "", update_record: bool = False
) -> Proposal:
    """Propose to send `payload`, the complete data, instead. Raises ResolutionError as `edit_delivery` does."""
    with transaction.atomic():
        found = _checked(delivery, "edit", reason)
        refuse_deleted(found)
        data, previous = check_payload(found, payload), payload_of(found)
        if is_same(previous, data):
            raise ResolutionError("unchanged", "The payload is unchanged. To send it again, propose a resend.")
        if update_record:
            refuse_other_id(found, data)
        values = {"payload": data, "patch": json_patch(previous, data), "update_record": update_record}
        seen = {"status": str(found.status), "revision": latest_number(found)}
        return _propose(found.store, Proposal.Action.EDIT, values | seen, actor, reason, delivery=found)


def propose_retry(*, delivery: Delivery, actor: Actor, reason: str = "") -> Proposal:
    """Propose to resend the same payload. Raises ResolutionError."""
    with transaction.atomic():
        found = _checked(delivery, "retry")
        refuse_deleted(found)
        values = {"status": str(found.status), "revision": latest_number(found)}
        return _propose(found.store, Proposal.Action.RETRY, values, actor, reason, delivery=found)


def propose_discard(*, delivery: Delivery, actor: Actor, reason: str = "") -> Proposal:
    """Propose to resolve it without sending. Raises ResolutionError."""
    with transaction.atomic():
        found = _checked(delivery, "discard", reason)
        values = {"status": str(found.status)}
        return _propose(found.store, Proposal.Action.DISCARD, values, actor, reason, delivery=found)


def _checked(delivery: Delivery, action: Action, reason: str | None = None) -> Delivery:
    """The delivery, if it is in a state for it now."""
    found = locked(delivery, action)
    if action != "discard":
        refuse_while_awaiting(found)
    if reason is not None:
        require_reason(found.store, reason)
    return found


def propose_bulk(
    *, store: Store, action: str, filters: Mapping[str, Any], actor: Actor, reason: str = "", **course: Any
) -> Proposal:
    """Propose to resend or discard all that match, of those that exist now. `course`: `per_second`, `canary`,
    `stop_above` and `confirmed` of `start_replay`. Raises ReplayError, FilterError."""
    now = timezone.now()
    bounded = dict(clean_filters(filters))
    if "until" not in bounded or moment_of("until", bounded["until"]) > now:
        bounded["until"] = now.isoformat()
    cleaned, total = check_replay(filters={**bounded, "store": str(store.pk)}, action=action, reason=reason, **course)
    if not total:
        raise ResolutionError("finished", "Nothing matches, so there is nothing to propose.")
    values = {"filters": cleaned, **course}
    return _propose(store, action, values, actor, reason, total=total, now=now)


def propose_delivery(
    *, event: Event, subscription: Subscription, actor: Actor, reason: str = "", is_again: bool = False
) -> Proposal:
    """Propose a delivery of a past event. Raises ReplayError as `deliver_event` does."""
    check_delivery_of(event=event, subscription=subscription, reason=reason)
    if not is_again and Delivery.objects.filter(event=event, subscription=subscription).exists():
        raise ReplayError("The subscription got this event already. Propose to resend that delivery, or ask again.")
    values = {
        "event": event.public_id,
        "subscription": public_id("nsub", subscription.pk),
        "again": is_again,
    }
    return _propose(subscription.store, Proposal.Action.DELIVER, values, actor, reason)


def propose_backfill(
    *, subscription: Subscription, wanted: Wanted, actor: Actor, reason: str = "", **course: Any
) -> Proposal:
    """Propose a backfill. `course`: `per_second`, `canary` and `stop_above`. Raises ReplayError."""
    require_reason(subscription.store, reason)
    found = preview_backfill(subscription=subscription, wanted=wanted)
    values = {"filters": wanted.filters(subscription), **course}
    return _propose(subscription.store, Proposal.Action.BACKFILL, values, actor, reason, total=found.missing)


def propose_fix(*, fix: BulkFix, actor: Actor, keep: Mapping[str, Any] | None = None) -> Proposal:
    """Propose a fix that was made with `is_proposal` (`refuse_more` before it).

    With `keep`, the arguments of `keep_after`, its rules are to be kept for later failures too.
    """
    values = {"keep": dict(keep) if keep is not None else None}
    return _propose(fix.store, Proposal.Action.FIX, values, actor, fix.reason, total=fix.total, fix=fix)


def refuse_more(store: Store) -> None:
    """Raises ResolutionError if too many await a decision; before a fix is made that would be proposed."""
    waiting = Proposal.objects.filter(store=store, status=Proposal.Status.AWAITING)
    if waiting.order_by().values("pk")[:WAITING_LIMIT].count() >= WAITING_LIMIT:
        raise ResolutionError(
            "conflict", f"{WAITING_LIMIT:,} proposals await approval already. Wait until they are decided."
        )


def _propose(
    store: Store,
    action: str,
    values: Mapping[str, Any],
    actor: Actor,
    reason: str,
    *,
    total: int = 1,
    delivery: Delivery | None = None,
    fix: BulkFix | None = None,
    now: datetime | None = None,
) -> Proposal:
    if fix is None:
        refuse_more(store)
    people, is_issuer_known = people_behind(actor)
    with transaction.atomic():
        proposal = Proposal.objects.create(
            store=store,
            action=action,
            values=dict(values),
            reason=reason.strip(),
            total=total,
            delivery_id=delivery.pk if delivery is not None else None,
            fix=fix,
            author=actor.user,
            author_name=actor.name,
            token_id=actor.token_id,
            is_issuer_known=is_issuer_known,
            created_at=now or timezone.now(),
        )
        proposal.people.set(people)
        after = {"action": action, "deliveries": total, "proposal": proposal.public_id}
        record_change(actor=actor, action="propose", target=proposal, store=store, after=after, reason=reason.strip())
    return proposal
