"""Second approver: where a store requires it, an edited payload is sent only after another person approved it."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.models import BulkFix, BulkFixItem, Delivery, Proposal, Revision
from deliveries.resolution.payloads import check_payload, payload_of
from deliveries.resolution.records import update_record_of
from deliveries.resolution.rules import ResolutionError, audit, locked, requeue, state_of
from integrations.foundation.audit import Actor

Status = Delivery.Status


def approve_revision(*, revision: Revision, actor: Actor, now: datetime | None = None) -> Delivery:
    """Send the edited payload now. Raises ResolutionError.

    Programs cannot approve, nor the author, nor anyone who may know the author's token (`why_not_approver`).
    """
    now = now or timezone.now()
    with transaction.atomic():
        found = locked(revision.delivery, "edit")
        waiting = _waiting(revision)
        if objection := why_not_approver(waiting, actor):
            raise ResolutionError("not_allowed", objection)
        data = check_payload(found, waiting.data)
        before, previous = state_of(found), payload_of(found)
        waiting.is_awaiting_approval = False
        waiting.approved_by = actor.user
        waiting.approved_at = now
        waiting.save(update_fields=["is_awaiting_approval", "approved_by", "approved_at"])
        found.revision = waiting.number
        requeue(found, Delivery.Trigger.EDITED, now, fields=["revision"])
        if waiting.updates_record:
            update_record_of(found, previous, data, now)
        audit(found, actor, "approve", before=before, after=state_of(found))
    return found


def why_not_approver(revision: Revision | BulkFix | Proposal, actor: Actor) -> str:
    """Why `actor` cannot approve this edit, for staff; empty if they can.

    A program's proposal can be approved by whoever issued its token, unless the store requires a second approver: they
    could do the same by themselves, without asking anybody.
    """
    user = actor.user
    if user is None:
        return _("This must be approved by a person, not by a program.")
    if revision.author_id == user.pk:
        return _("Someone other than the author must approve an edited payload.")
    if isinstance(revision, Proposal) and not revision.store.is_approval_required:
        return ""
    if revision.people.filter(pk=user.pk).exists():
        if isinstance(revision, BulkFix) and revision.token_id is None:
            return _("You have worked on this fix. Someone else must approve it.")
        return _(
            "You issued the token that made this edit (%(author)s), or the one that issued it. Someone "
            "else must approve it."
        ) % {"author": revision.author_name}
    if revision.is_issuer_known is False and user.has_perm("integrations.add_accesstoken"):
        return _(
            "It is unknown who issued the token that made this edit; it may have been you. Someone who may not "
            "issue tokens must approve it; or reject it, and edit again with a newly issued token."
        )
    return ""


def reject_revision(*, revision: Revision, actor: Actor, reason: str = "", now: datetime | None = None) -> Delivery:
    """Reject the edited payload; a retry that was scheduled before continues.

    The author may also reject it. Raises ResolutionError.
    """
    now = now or timezone.now()
    with transaction.atomic():
        found = locked(revision.delivery, "edit")
        waiting = _waiting(revision)
        before = state_of(found)
        _reject([waiting], actor, now)
        if is_paused(found):
            requeue(found, found.trigger, now)
        audit(
            found, actor, "reject", before=before, after=state_of(found) | {"rejected": waiting.number}, reason=reason
        )
    return found


def is_paused(delivery: Delivery) -> bool:
    """Whether a retry is suspended only because an edited payload awaits approval."""
    return delivery.status == Status.RETRYING and delivery.due_at is None


def is_awaiting_approval(delivery: Delivery) -> bool:
    """Whether an edited payload of this delivery awaits approval."""
    return bool(awaiting_among([delivery.pk]))


def awaiting_among(ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the deliveries of which an edited payload awaits approval, by itself or in a bulk fix."""
    waiting = Revision.objects.filter(delivery__in=ids, is_awaiting_approval=True)
    items = BulkFixItem.objects.filter(delivery_id__in=ids, fix__status=BulkFix.Status.AWAITING)
    return {*waiting.values_list("delivery_id", flat=True), *items.values_list("delivery_id", flat=True)}


def refuse_while_awaiting(delivery: Delivery) -> None:
    """Raises ResolutionError if an edited payload of this delivery awaits approval."""
    if is_awaiting_approval(delivery):
        raise ResolutionError(
            "awaiting_approval", _("An edited payload of this delivery awaits approval. Approve or reject it first.")
        )


def reject_waiting(delivery: Delivery, actor: Actor, now: datetime) -> None:
    """Void revisions that still await approval: another decision has overtaken them."""
    _reject(list(delivery.revisions.filter(is_awaiting_approval=True)), actor, now)
    BulkFixItem.objects.filter(delivery_id=delivery.pk, fix__status=BulkFix.Status.AWAITING).delete()


def _reject(revisions: list[Revision], actor: Actor, now: datetime) -> None:
    for revision in revisions:
        revision.is_awaiting_approval = False
        revision.rejected_by = actor.user
        revision.rejected_at = now
        revision.save(update_fields=["is_awaiting_approval", "rejected_by", "rejected_at"])


def _waiting(revision: Revision) -> Revision:
    """The current revision, under the lock of its delivery."""
    found = Revision.objects.get(pk=revision.pk)
    if not found.is_awaiting_approval:
        if found.approved_at:
            message = _("This payload has already been approved.")
        elif found.rejected_at:
            message = _("This payload has already been rejected.")
        else:
            message = _("This payload has already been sent.")
        raise ResolutionError("conflict", message)
    return found
