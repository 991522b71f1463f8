"""Switching a store's second approver on and off; switching off itself requires a second person."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.foundation.audit import Actor, record_change
from integrations.models import ConfigVersion, LiftRequest, Store

PERMISSION = "integrations.set_approval_rule"
#: A request that nobody confirmed for so long is void: what was asked for may be forgotten by then.
VALID_FOR = timedelta(days=7)

Status = LiftRequest.Status


def require_approval(*, store: Store, actor: Actor) -> None:
    """Edits of this store need a second person from now on. Raises ValidationError where they do already."""
    with transaction.atomic():
        found = _locked(store)
        if found.is_approval_required:
            raise ValidationError(_("This store already requires a second approver."))
        _set(found, True, actor)


def ask_to_lift(*, store: Store, actor: Actor, reason: str = "", now: datetime | None = None) -> LiftRequest:
    """Ask that edits need no second person any more. Nothing changes until somebody else confirms.

    Raises ValidationError, also for a program: only people can ask.
    """
    now = now or timezone.now()
    if actor.user is None:
        raise ValidationError(_("Only people can request this, not programs."))
    with transaction.atomic():
        found = _locked(store)
        if not found.is_approval_required:
            raise ValidationError(_("This store does not require a second approver."))
        if (waiting := waiting_request(found, now)) is not None:
            raise ValidationError(
                _("%(name)s has asked for this already. Someone else must confirm it.")
                % {"name": waiting.asked_by_name}
            )
        found.lift_requests.filter(status=Status.WAITING).update(status=Status.EXPIRED, decided_at=now)
        request = LiftRequest.objects.create(
            store=found,
            reason=reason.strip()[:500],
            asked_by=actor.user,
            asked_by_name=actor.name,
            asked_at=now,
        )
        record_change(actor=actor, action="ask to lift approval", target=found, store=found, reason=request.reason)
    return request


def confirm_lifting(*, request: LiftRequest, actor: Actor, now: datetime | None = None) -> None:
    """Edits need no second person from now on; those that wait go on waiting. Raises ValidationError."""
    now = now or timezone.now()
    with transaction.atomic():
        store = _locked(request.store)
        waiting = _still_waiting(store, request, now)
        if objection := why_not_confirm(waiting, actor):
            raise ValidationError(objection)
        _decide(waiting, Status.CONFIRMED, actor, now)
        _set(store, False, actor, asked_by=waiting.asked_by_name, reason=waiting.reason)


def refuse_lifting(*, request: LiftRequest, actor: Actor, now: datetime | None = None) -> None:
    """The rule stays; whoever asked may take the request back in this way too. Raises ValidationError."""
    now = now or timezone.now()
    with transaction.atomic():
        store = _locked(request.store)
        waiting = _still_waiting(store, request, now)
        _decide(waiting, Status.REFUSED, actor, now)
        record_change(
            actor=actor,
            action="refuse to lift approval",
            target=store,
            store=store,
            after={"asked_by": waiting.asked_by_name},
        )


def waiting_request(store: Store, now: datetime) -> LiftRequest | None:
    """The request that somebody else can confirm, if there is one."""
    return store.lift_requests.filter(status=Status.WAITING, asked_at__gt=now - VALID_FOR).first()


def why_not_confirm(request: LiftRequest, actor: Actor) -> str:
    """Why `actor` cannot be the second person of this request, for staff to read; empty for one who can."""
    if actor.user is None or not actor.user.has_perm(PERMISSION):
        return _("Only people who may set the approval rule can confirm this.")
    asked_by = request.asked_by
    if asked_by is not None and asked_by.pk == actor.user.pk:
        return _("You requested it yourself: someone else must confirm it.")
    if asked_by is None or not asked_by.is_active or not asked_by.has_perm(PERMISSION):
        return _("%(name)s may no longer request this. Refuse it, and request it again.") % {
            "name": request.asked_by_name
        }
    return ""


def _locked(store: Store) -> Store:
    ConfigVersion.lock()
    return Store.objects.select_for_update(no_key=True).get(pk=store.pk)


def _still_waiting(store: Store, request: LiftRequest, now: datetime) -> LiftRequest:
    found = waiting_request(store, now)
    if found is None or found.pk != request.pk:
        raise ValidationError(_("This request has already been decided or has expired. Look at the store again."))
    return found


def _decide(request: LiftRequest, status: str, actor: Actor, now: datetime) -> None:
    request.status = status
    request.decided_by, request.decided_by_name, request.decided_at = actor.user, actor.name, now
    request.save(update_fields=["status", "decided_by", "decided_by_name", "decided_at"])


def _set(store: Store, is_required: bool, actor: Actor, *, asked_by: str = "", reason: str = "") -> None:
    store.is_approval_required = is_required
    store.save(update_fields=["is_approval_required"])
    record_change(
        actor=actor,
        action="require approval" if is_required else "lift approval",
        target=store,
        store=store,
        before={"is_approval_required": not is_required},
        after={"is_approval_required": is_required} | ({"asked_by": asked_by} if asked_by else {}),
        reason=reason,
    )
