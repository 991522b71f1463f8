"""Shared by all resolutions: locks, permitted actions by status, requeueing, history.

Each service runs in one transaction: lock, recheck, change, write the audit entry. What is being sent right
now, or has changed since the caller saw it, is never overwritten.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deliveries.models import Delivery
from deliveries.runtime import notify
from deliveries.storage.locks import lock_deliveries
from integrations.foundation.audit import Actor, audit_entry
from integrations.models import AuditEntry, Store

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


Code = Literal[
    "conflict", "invalid", "reason_required", "awaiting_approval", "not_allowed", "finished", "unchanged", "too_many"
]
Action = Literal["retry", "edit", "discard", "wait", "release"]

Status = Delivery.Status
#: How often to retry locking a delivery that is locked, and after how many seconds.
LOCK_TRIES = 8
LOCK_PAUSE = 0.01

_ACTIONS: Mapping[str, frozenset[Action]] = {
    Status.PENDING: frozenset({"retry", "edit", "discard", "wait"}),
    Status.SENDING: frozenset(),
    Status.RETRYING: frozenset({"retry", "edit", "discard", "wait"}),
    Status.FAILED: frozenset({"retry", "edit", "discard", "wait"}),
    Status.SUCCEEDED: frozenset({"retry", "edit"}),
    Status.DISCARDED: frozenset({"retry", "edit"}),
    Status.SUPERSEDED: frozenset({"retry", "edit"}),
}


_OVER: Mapping[str, StrPromise] = {
    Status.SUCCEEDED: gettext_lazy("This delivery has succeeded: there is nothing left to resolve."),
    Status.DISCARDED: gettext_lazy("This delivery has been discarded: there is nothing left to resolve."),
    Status.SUPERSEDED: gettext_lazy("This delivery has been superseded: there is nothing left to resolve."),
}


class ResolutionError(Exception):
    """Nothing was changed; `message` says why and what to do. `path` is the path inside the payload, if any."""

    def __init__(self, code: Code, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path


def actions_for(delivery: Delivery) -> set[Action]:
    """What can be done with the delivery in its current status, regardless of permissions."""
    actions: set[Action] = set(_ACTIONS[delivery.status])
    if delivery.erased_at is not None:
        return actions & {"discard"}
    if delivery.order_key is not None or delivery.is_awaiting_source:
        actions.discard("wait")
    if delivery.is_held:
        actions.add("release")
    return actions


def locked(
    delivery: Delivery,
    action: Action,
    *,
    expected_revision: int | None = None,
    expected_attempt_count: int | None = None,
) -> Delivery:
    """The current delivery, locked until the transaction ends. Raises ResolutionError if the action is not possible.

    With its failure group and its order key, in the order of `deliveries.storage.locks`.
    """
    wanted = Delivery.objects.select_related("event", "store")
    for tries in range(LOCK_TRIES):
        status = Delivery.objects.filter(pk=delivery.pk).values_list("status", flat=True).first()
        if status is None:
            raise ResolutionError("conflict", _("This delivery no longer exists. It has been pruned."))
        if status == Status.SENDING:
            raise _is_being_sent()
        if found := lock_deliveries(wanted, [delivery.pk]):
            _check(found[0], action, expected_revision, expected_attempt_count)
            return found[0]
        # Someone else holds it. Deliveries are never waited for under locks; retry instead.
        time.sleep(LOCK_PAUSE * (tries + 1))
    raise ResolutionError("conflict", _("This delivery was changed at the same time. Reload and try again."))


def _check(delivery: Delivery, action: Action, revision: int | None, attempt_count: int | None) -> None:
    if delivery.status == Status.SENDING:
        raise _is_being_sent()
    if revision is not None and revision != latest_number(delivery):
        raise ResolutionError(
            "conflict",
            _("Someone else has edited the payload in the meantime. Nothing was overwritten. Reload and try again."),
        )
    if attempt_count is not None and attempt_count != delivery.attempt_count:
        raise ResolutionError(
            "conflict",
            _("This delivery has been retried in the meantime. Nothing was changed. Check the new outcome first."),
        )
    if action not in actions_for(delivery):
        raise _impossible(delivery, action)


def _is_being_sent() -> ResolutionError:
    return ResolutionError(
        "conflict", _("This delivery is being sent right now. Wait for its outcome, then try again.")
    )


def _impossible(delivery: Delivery, action: Action) -> ResolutionError:
    if delivery.erased_at is not None and action != "discard":
        return ResolutionError("not_allowed", why_erased(delivery))
    if action == "release":
        return ResolutionError("conflict", _("This delivery is not held."))
    if action == "wait" and delivery.is_awaiting_source:
        return ResolutionError("conflict", _("This delivery is already waiting for the source."))
    if action == "wait" and delivery.order_key is not None:
        return ResolutionError(
            "not_allowed",
            _(
                "This subscription is ordered: a later push of the record waits behind this delivery and cannot "
                "supersede it. Edit the payload or discard the delivery."
            ),
        )
    said = _OVER.get(delivery.status, gettext_lazy("This is not possible in the delivery’s status."))
    return ResolutionError("finished", str(said))


def why_erased(delivery: Delivery) -> str:
    """Why nothing can be sent for it any more, for staff; only for deliveries whose payload was erased."""
    return _(
        "Its payload was erased on %(date)s because it held a person's data, so there is nothing left to send. If the "
        "data may be sent again, push it again."
    ) % {"date": f"{delivery.erased_at:%Y-%m-%d}"}


def latest_number(delivery: Delivery) -> int:
    """The number of the newest revision, one that awaits approval or was rejected included; 0 if there is none."""
    number = delivery.revisions.order_by("-number").values_list("number", flat=True).first()
    return number or 0


def require_reason(store: Store, reason: str) -> None:
    if store.is_reason_required and not reason.strip():
        raise ResolutionError("reason_required", _("This store requires a reason."))


def requeue(delivery: Delivery, trigger: str, now: datetime, fields: Collection[str] = ()) -> None:
    """Make it due now, with a fresh retry schedule; held if another of its record is in progress.

    Raises ResolutionError if its subscription or integration was deleted: it would never be sent.
    """
    refuse_deleted(delivery)
    delivery.status = Status.PENDING
    delivery.trigger = trigger
    delivery.due_at = None if _is_overtaken(delivery) else now
    delivery.lease = None
    delivery.retry_count = 0
    delivery.crash_count = 0
    delivery.finished_at = None
    delivery.is_awaiting_source = False
    delivery.save(update_fields=[*QUEUE_FIELDS, *fields])
    notify.wake_on_commit()


def refuse_deleted(delivery: Delivery) -> None:
    """Raises ResolutionError if the delivery's subscription or integration was deleted, or its payload erased."""
    if delivery.erased_at is not None:
        raise ResolutionError("not_allowed", why_erased(delivery))
    if not Delivery.objects.wanted().filter(pk=delivery.pk).exists():
        raise ResolutionError(
            "not_allowed", _("Its subscription or integration was deleted, so nothing is sent for it now.")
        )


#: What `requeue` writes.
QUEUE_FIELDS = (
    "status",
    "trigger",
    "due_at",
    "lease",
    "retry_count",
    "crash_count",
    "finished_at",
    "is_awaiting_source",
)


def _is_overtaken(delivery: Delivery) -> bool:
    """Ordered subscriptions: is anything of the same record ahead of it, or in progress?"""
    if delivery.order_key is None or delivery.subscription_id is None:
        return False
    same = Delivery.objects.filter(subscription_id=delivery.subscription_id, order_key=delivery.order_key)
    others = same.exclude(pk=delivery.pk)
    return (
        others.filter(status__in=Delivery.HOLDING, pk__lt=delivery.pk).exists()
        or others.filter(status__in=Delivery.OPEN, due_at__isnull=False).exists()
    )


def audit(
    delivery: Delivery,
    actor: Actor,
    action: str,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str = "",
) -> None:
    """Who, what, before, after, why: in the transaction of the change."""
    audit_of(delivery, actor, action, before=before, after=after, reason=reason).save(force_insert=True)


def audit_of(
    delivery: Delivery, actor: Actor, action: str, *, before: Mapping[str, Any], after: Mapping[str, Any], reason: str
) -> AuditEntry:
    """The entry, not saved: replays write many at once."""
    return audit_entry(
        actor=actor,
        action=action,
        target=delivery,
        store=delivery.store_id,
        before=before,
        after=after,
        reason=reason.strip(),
    )


def state_of(delivery: Delivery) -> dict[str, Any]:
    """The fields of a delivery in an audit entry."""
    state: dict[str, Any] = {"status": str(delivery.status), "revision": delivery.revision}
    if delivery.is_awaiting_source:
        state["is_awaiting_source"] = True
    return state


def history_of(delivery: Delivery) -> QuerySet[AuditEntry]:
    """Actions of people and programs on the delivery, newest first."""
    return AuditEntry.objects.filter(target_type="delivery", target_id=str(delivery.pk)).order_by("-id")
