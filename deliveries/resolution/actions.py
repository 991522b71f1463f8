"""Resend as it is, discard, wait for a fix at the source, release what is held."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.dispatch import ordering
from deliveries.failures import groups
from deliveries.models import Delivery
from deliveries.resolution.approval import refuse_while_awaiting, reject_waiting
from deliveries.resolution.rules import ResolutionError, audit, locked, requeue, require_reason, state_of
from deliveries.runtime import notify
from integrations.foundation.audit import Actor

Status = Delivery.Status


def retry_delivery(
    *,
    delivery: Delivery,
    actor: Actor,
    reason: str = "",
    now: datetime | None = None,
    expected_revision: int | None = None,
    expected_attempt_count: int | None = None,
) -> Delivery:
    """Resend the same payload now. Finished deliveries may be resent too. Raises ResolutionError."""
    now = now or timezone.now()
    with transaction.atomic():
        found = locked(
            delivery, "retry", expected_revision=expected_revision, expected_attempt_count=expected_attempt_count
        )
        refuse_while_awaiting(found)
        before = state_of(found)
        requeue(found, Delivery.Trigger.MANUAL, now)
        audit(found, actor, "retry", before=before, after=state_of(found), reason=reason)
    return found


def discard_delivery(
    *,
    delivery: Delivery,
    actor: Actor,
    reason: str = "",
    now: datetime | None = None,
    expected_attempt_count: int | None = None,
) -> Delivery:
    """Discard: resolved without sending; later deliveries of an ordered record continue. Raises ResolutionError."""
    now = now or timezone.now()
    with transaction.atomic():
        found = locked(delivery, "discard", expected_attempt_count=expected_attempt_count)
        require_reason(found.store, reason)
        before, group_id = state_of(found), found.failure_group_id
        reject_waiting(found, actor, now)
        found.status = Status.DISCARDED
        found.due_at = found.lease = found.failure_group = None
        found.finished_at = now
        found.is_awaiting_source = False
        found.save(update_fields=["status", "due_at", "lease", "failure_group", "finished_at", "is_awaiting_source"])
        groups.close_empty_groups([group_id], now, actor.name)
        hooks.settled([hooks.DeliveryChange(found.id, found.store_id, found.integration_id, found.status)], now)
        if found.order_key is not None and found.subscription_id is not None:
            ordering.release_next(found.subscription_id, found.order_key, now)
            notify.wake_on_commit()
        audit(found, actor, "discard", before=before, after=state_of(found), reason=reason)
    return found


def wait_for_source(*, delivery: Delivery, actor: Actor, reason: str = "", now: datetime | None = None) -> Delivery:
    """Stop trying: the next successful delivery of the same record to the same subscription supersedes this one.

    Raises ResolutionError, also for an event without a record: nothing could supersede it.
    """
    now = now or timezone.now()
    with transaction.atomic():
        found = locked(delivery, "wait")
        if not found.event.object_id:
            raise ResolutionError(
                "not_allowed",
                _("This event belongs to no record, so no later push can fix it. Edit the payload or discard it."),
            )
        refuse_while_awaiting(found)
        before = state_of(found)
        found.status = Status.FAILED
        found.due_at = found.lease = None
        found.finished_at = found.finished_at or now
        found.is_awaiting_source = True
        found.save(update_fields=["status", "due_at", "lease", "finished_at", "is_awaiting_source"])
        audit(found, actor, "wait_for_source", before=before, after=state_of(found), reason=reason)
    return found


def release_hold(*, delivery: Delivery, actor: Actor, reason: str = "", now: datetime | None = None) -> Delivery:
    """Send a held delivery although an earlier one of its record has failed. Raises ResolutionError.

    Only one per record is ever in flight: while the earlier one is still being retried, this one stays held.
    """
    now = now or timezone.now()
    with transaction.atomic():
        found = locked(delivery, "release")
        ahead = (
            Delivery.objects.filter(subscription=found.subscription, order_key=found.order_key)
            .filter(status__in=Delivery.OPEN, due_at__isnull=False)
            .exclude(pk=found.pk)
            .first()
        )
        if ahead is not None:
            raise ResolutionError(
                "conflict",
                _("%(delivery)s of the same record is still being retried. Resolve or discard that one first.")
                % {"delivery": ahead.public_id},
            )
        before = state_of(found) | {"is_held": True}
        found.due_at = now
        found.trigger = Delivery.Trigger.MANUAL
        found.save(update_fields=["due_at", "trigger"])
        notify.wake_on_commit()
        audit(found, actor, "release_hold", before=before, after=state_of(found) | {"is_held": False}, reason=reason)
    return found
