"""Edit a payload and send it: adds a revision; the event stays unchanged."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.models import Delivery, Revision
from deliveries.resolution.approval import is_awaiting_approval, refuse_while_awaiting, reject_waiting
from deliveries.resolution.payloads import check_payload, payload_of
from deliveries.resolution.records import differing_keys, refuse_other_id, update_record_of
from deliveries.resolution.rules import (
    ResolutionError,
    audit,
    latest_number,
    locked,
    refuse_deleted,
    requeue,
    require_reason,
    state_of,
)
from integrations.foundation.audit import Actor
from integrations.foundation.json_documents import is_same, json_patch
from integrations.services import people_behind

Status = Delivery.Status


def edit_delivery(
    *,
    delivery: Delivery,
    payload: dict[str, Any],
    actor: Actor,
    reason: str = "",
    update_record: bool = False,
    now: datetime | None = None,
    expected_revision: int | None = None,
    expected_attempt_count: int | None = None,
    needs_approval: bool = False,
    approver: Actor | None = None,
) -> Revision:
    """Send `payload`, the complete data, instead of the previous payload; the delivery is due now.

    `update_record` also changes the store's record, which emits no event: exactly one delivery results. If the
    store requires a second approver, or `needs_approval`, the revision waits (`is_awaiting_approval`) and nothing is
    sent until then. `approver` has approved it already: it was proposed.
    `expected_revision` (the newest one's number) and `expected_attempt_count` are what the caller has seen.
    Raises ResolutionError.
    """
    now = now or timezone.now()
    with transaction.atomic():
        found = locked(
            delivery, "edit", expected_revision=expected_revision, expected_attempt_count=expected_attempt_count
        )
        refuse_deleted(found)
        require_reason(found.store, reason)
        data = check_payload(found, payload)
        previous = payload_of(found)
        if is_same(previous, data):
            raise ResolutionError(
                "unchanged", _("The payload is unchanged. To send it again, choose “Resend as it is”.")
            )
        if update_record:
            refuse_other_id(found, data)
        before = state_of(found)
        # A pending approval stays pending if the store drops the rule: a new edit must not bypass it.
        if approver is not None:
            refuse_while_awaiting(found)
        is_awaiting = approver is None and (
            needs_approval or found.store.is_approval_required or is_awaiting_approval(found)
        )
        reject_waiting(found, actor, now)
        revision = _revise(found, previous, data, actor, reason, is_awaiting, update_record)
        if approver is not None:
            revision.approved_by, revision.approved_at = approver.user, now
            revision.save(update_fields=["approved_by", "approved_at"])
        if is_awaiting:
            _pause(found)
        else:
            found.revision = revision.number
            requeue(found, Delivery.Trigger.EDITED, now, fields=["revision"])
            if update_record:
                update_record_of(found, previous, data, now)
        changed = {"revision": revision.number, "is_awaiting_approval": is_awaiting, "updates_record": update_record}
        old, new = differing_keys(previous, data)
        audit(
            found, actor, "edit", before=before | {"data": old}, after=state_of(found) | changed | {"data": new},
            reason=reason,
        )  # fmt: skip
    return revision


def _revise(
    delivery: Delivery,
    previous: dict[str, Any],
    data: dict[str, Any],
    actor: Actor,
    reason: str,
    is_awaiting: bool,
    updates_record: bool,
) -> Revision:
    people, is_issuer_known = people_behind(actor)
    revision = Revision.objects.create(
        delivery=delivery,
        number=latest_number(delivery) + 1,
        data=data,
        patch=json_patch(previous, data),
        reason=reason.strip(),
        author=actor.user,
        author_name=actor.name,
        token_id=actor.token_id,
        is_issuer_known=is_issuer_known,
        is_awaiting_approval=is_awaiting,
        updates_record=updates_record,
    )
    revision.people.set(people)
    return revision


def _pause(delivery: Delivery) -> None:
    """The old payload is not sent while the new one awaits approval."""
    if delivery.status in (Status.PENDING, Status.RETRYING):
        # `retrying` without a time: a pending one without a time is held, and would be released.
        delivery.status = Status.RETRYING
        delivery.due_at = None
        delivery.save(update_fields=["status", "due_at"])
