"""Sending a bulk fix: its items are frozen, approved where the store asks for it, and sent by a replay."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.models import BulkFix, BulkFixItem, Delivery, Replay
from deliveries.recipes.announcing import announce_asked
from deliveries.recipes.drafts import preview_fix
from deliveries.recipes.plan import SEND_SECONDS, Plan, Row
from deliveries.replay import start_replay
from deliveries.resolution import ResolutionError, why_not_approver
from deliveries.resolution.rules import require_reason
from integrations.foundation.audit import Actor, record_change
from integrations.foundation.json_places import parse_place, spelled
from integrations.services import people_behind

Status = BulkFix.Status
STEP = 500


def send_fix(
    *,
    fix: BulkFix,
    actor: Actor,
    reason: str | None = None,
    now: datetime | None = None,
    is_proposal: bool = False,
) -> BulkFix:
    """Send the members that fit, with the values that the rules make of them now; the others stay as they are.

    Where the store requires a second approver, nothing is sent and nothing retried until the batch is approved. With
    `is_proposal`, nothing is sent until then either, but retries go on: see `Proposal`.
    Raises RuleError, ResolutionError, FilterError: then nothing has changed.
    """
    now = now or timezone.now()
    reason = fix.reason if reason is None else reason.strip()
    require_reason(fix.store, reason)
    if fix.status != Status.DRAFT:
        raise ResolutionError("conflict", _("This fix has been sent already. Start another one for what still fails."))
    wanted = ("fits", "unlike") if fix.includes_unlike else ("fits",)
    plan = preview_fix(fix, is_wanted=lambda _, row: row.verdict in wanted, seconds=SEND_SECONDS)
    if not plan.is_complete:
        raise ResolutionError(
            "too_many", _("Checking all of these takes too long. Narrow the selection, or the schema.")
        )
    if not plan.rows:
        raise ResolutionError("unchanged", _("No row would change and fit, so there is nothing to send."))
    with transaction.atomic():
        found = _locked(fix, [Status.DRAFT])
        _sign(found, actor)
        found.reason = reason
        found.counts, found.total = plan.counts, len(plan.rows)
        _freeze(found, plan)
        rule = Status.AWAITING if found.store.is_approval_required else Status.SENT
        found.status = Status.PROPOSED if is_proposal else rule
        found.save()
        _audit(found, actor, "send" if found.status == Status.SENT else "request_approval")
        if found.status == Status.SENT:
            _go(found, actor, now)
        elif found.status == Status.AWAITING:
            announce_asked(found, now)
    if found.status == Status.AWAITING:
        _pause([row.member.delivery_id for row in plan.rows])
    fix.refresh_from_db()
    return fix


def _sign(fix: BulkFix, actor: Actor) -> None:
    """Whoever sends it is its author. None of those who have worked on the draft can approve it."""
    people, is_issuer_known = people_behind(actor)
    fix.people.add(*people)
    fix.author, fix.author_name, fix.token_id = actor.user, actor.name, actor.token_id
    fix.is_issuer_known = is_issuer_known and fix.is_issuer_known


def _freeze(fix: BulkFix, plan: Plan) -> None:
    fix.items.all().delete()
    rows = [_item(fix, row) for row in plan.rows]
    BulkFixItem.objects.bulk_create(rows, batch_size=500)


def _item(fix: BulkFix, row: Row) -> BulkFixItem:
    return BulkFixItem(
        fix=fix,
        delivery_id=row.member.delivery_id,
        change=row.change,
        is_typed=row.is_typed,
        seen_revision=row.member.seen_revision,
    )


def _go(fix: BulkFix, actor: Actor, now: datetime) -> None:
    fix.replay = start_replay(
        filters={"bulk_fix": fix.public_id, "status": "failed,retrying"},
        action=Replay.Action.FIX,
        actor=actor,
        store=fix.store,
        reason=fix.reason,
        now=now,
    )
    fix.sent_at = now
    fix.save(update_fields=["replay", "sent_at"])


def approve_fix(*, fix: BulkFix, actor: Actor, now: datetime | None = None) -> BulkFix:
    """Send a fix that awaits approval, as it was reviewed. Raises ResolutionError, as for a single edit."""
    now = now or timezone.now()
    with transaction.atomic():
        found = _locked(fix, [Status.AWAITING])
        if objection := why_not_approver(found, actor):
            raise ResolutionError("not_allowed", objection)
        _send_approved(found, actor, now)
    fix.refresh_from_db()
    return fix


def send_proposed(*, fix: BulkFix, approver: Actor, now: datetime) -> BulkFix:
    """Send a fix whose proposal `approver` approves, as it was proposed. Raises ResolutionError."""
    with transaction.atomic():
        found = _locked(fix, [Status.PROPOSED])
        _send_approved(found, approver, now)
    return found


def drop_proposed(*, fix: BulkFix, actor: Actor, now: datetime, reason: str = "") -> None:
    """Its proposal was rejected. Raises ResolutionError."""
    with transaction.atomic():
        found = _locked(fix, [Status.PROPOSED])
        found.status, found.rejected_by, found.decided_at = Status.REJECTED, actor.user, now
        found.save(update_fields=["status", "rejected_by", "decided_at"])
        _audit(found, actor, "reject", reason)


def _send_approved(found: BulkFix, actor: Actor, now: datetime) -> None:
    found.status, found.approved_by, found.decided_at = Status.SENT, actor.user, now
    found.save(update_fields=["status", "approved_by", "decided_at"])
    _audit(found, actor, "approve")
    _is_decided(found, actor, now)
    _go(found, Actor(found.author, found.author_name, found.token_id), now)


def reject_fix(*, fix: BulkFix, actor: Actor, reason: str = "", now: datetime | None = None) -> BulkFix:
    """Nothing is sent; retries that were scheduled before continue. The author may also reject it."""
    now = now or timezone.now()
    with transaction.atomic():
        found = _locked(fix, [Status.AWAITING])
        found.status, found.rejected_by, found.decided_at = Status.REJECTED, actor.user, now
        found.save(update_fields=["status", "rejected_by", "decided_at"])
        _audit(found, actor, "reject", reason)
        _is_decided(found, actor, now)
    _resume(found, now)
    fix.refresh_from_db()
    return fix


def _pause(ids: Sequence[uuid.UUID]) -> None:
    """The old payloads are not sent while the new ones await approval."""
    _each_step(ids, lambda rows: rows.filter(due_at__isnull=False).update(due_at=None))


def _resume(fix: BulkFix, now: datetime) -> None:
    ids = list(fix.items.values_list("delivery_id", flat=True))
    _each_step(ids, lambda rows: rows.filter(due_at=None).update(due_at=now))


def _each_step(ids: Sequence[uuid.UUID], change: object) -> None:
    for at in range(0, len(ids), STEP):
        with transaction.atomic():
            rows = Delivery.objects.filter(id__in=ids[at : at + STEP], status=Delivery.Status.RETRYING)
            free = list(rows.order_by("id").lock_free().values_list("id", flat=True))
            change(Delivery.objects.filter(id__in=free))  # type: ignore[operator]


def _is_decided(fix: BulkFix, actor: Actor, now: datetime) -> None:
    hooks.announcement_settled(fix.store_id, f"bulk_fix:{fix.pk}", actor.name, now)


def _locked(fix: BulkFix, allowed: Sequence[str]) -> BulkFix:
    found = BulkFix.objects.select_for_update(of=("self",)).select_related("store").get(pk=fix.pk)
    if found.status not in allowed:
        raise ResolutionError(
            "conflict",
            _("This fix is %(status)s. Reload to see it as it is.") % {"status": found.get_status_display()},
        )
    return found


def _audit(fix: BulkFix, actor: Actor, action: str, reason: str = "") -> None:
    record_change(
        actor=actor,
        action=action,
        target=fix,
        store=fix.store,
        after={
            "status": str(fix.status),
            "field": spelled(parse_place(fix.place)),
            "rules": fix.rules,
            "total": fix.total,
            "counts": fix.counts,
            "typed": fix.items.filter(is_typed=True).count(),
            "updates_records": fix.updates_records,
        },
        reason=reason or fix.reason,
    )
