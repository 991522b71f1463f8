"""Starting, stopping and previewing replays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from deliveries.filters import FilterError, clean_filters
from deliveries.models import Delivery, Replay, Revision
from deliveries.replay import runner
from deliveries.replay.canary import CANARY_ABOVE, STOP_ABOVE
from deliveries.replay.stopping import audit_replay, settle_announcement
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import uuid7
from integrations.foundation.written import grouped
from integrations.models import Integration, Store

MOST_PER_SECOND: Final = 5_000
#: Without a status, an action is for what has failed.
DEFAULT_STATUS: Final = Delivery.Status.FAILED.value
#: Statuses that an action is rarely meant for: including them requires confirming their number. Receivers get what was
#: delivered twice, and what was not attempted yet never.
GUARDED: Final = {
    Replay.Action.RETRY.value: Delivery.Status.SUCCEEDED.value,
    Replay.Action.DISCARD.value: Delivery.Status.PENDING.value,
}

#: The most that can be confirmed at once; they are not counted further.
GUARDED_LIMIT: Final = 1_000_000

_CHANGED: Final = ["status", "stepped_at", "finished_at", "judged_after", "rate", "rate_since", "stopped_because"]


class ReplayError(ValueError):
    """The replay cannot be started or changed; the message says why."""


class UnconfirmedError(ReplayError):
    """The selection includes guarded deliveries that were not confirmed: `guarded` is how many."""

    def __init__(self, message: str, guarded: int) -> None:
        super().__init__(message)
        self.guarded = guarded


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay would do: how many of each status and integration, and how long at this rate, in seconds.

    `guarded` of the total must be confirmed by their number; `left_alone` of it wait for a second approver.
    """

    total: int
    by_status: dict[str, int]
    by_integration: list[tuple[str, int]]
    seconds: float
    guarded: int = 0
    left_alone: int = 0


def preview(*, filters: Mapping[str, Any], action: str, per_second: int = 200) -> Preview:
    """Counts for the page that asks "are you sure?". Raises FilterError."""
    wanted = runner.matching(filters=with_status(filters), action=action).order_by()
    rows = wanted.values_list("status", "integration_id").annotate(count=Count("id"))
    by_status: dict[str, int] = {}
    by_id: dict[int, int] = {}
    for status, integration_id, count in rows:
        by_status[status] = by_status.get(status, 0) + count
        by_id[integration_id] = by_id.get(integration_id, 0) + count
    names = dict(Integration.objects.filter(id__in=by_id).values_list("id", "name"))
    by_integration = sorted(((names[pk], count) for pk, count in by_id.items()), key=lambda pair: (-pair[1], pair[0]))
    total = sum(by_status.values())
    guarded = by_status.get(GUARDED.get(action, ""), 0)
    left_alone = wanted.filter(id__in=Revision.objects.filter(is_awaiting_approval=True).values("delivery")).count()
    return Preview(total, by_status, by_integration, total / max(1, per_second), guarded, left_alone)


def with_status(filters: Mapping[str, Any], also: str = "") -> dict[str, str]:
    """The filters as they are kept: with the implied status, and `also`. Raises FilterError."""
    cleaned = clean_filters(filters)
    given = [word.strip() for word in cleaned.get("status", "").split(",") if word.strip()]
    wanted = [*(given or [DEFAULT_STATUS]), *([also] if also else [])]
    return {**cleaned, "status": ",".join(dict.fromkeys(wanted))}


def count_guarded(*, filters: Mapping[str, Any], action: str) -> int:
    """How many guarded deliveries match, whether or not the status of the filters takes them in.

    Counted up to `GUARDED_LIMIT` + 1. Raises FilterError.
    """
    cleaned = clean_filters(filters) | {"status": GUARDED[action]}
    rows = runner.matching(filters=cleaned, action=action).order_by()
    return rows.values("pk")[: GUARDED_LIMIT + 1].count()


def start_replay(
    *,
    filters: Mapping[str, Any],
    action: str,
    actor: Actor,
    store: Store | None = None,
    per_second: int = 200,
    reason: str = "",
    now: datetime | None = None,
    confirmed: int | None = None,
    canary: bool | None = None,
    stop_above: int = STOP_ABOVE,
) -> Replay:
    """Start; deliveries created later are not affected. Raises ReplayError.

    With a `canary`, a resend sends 1, then 10, then the rest ever faster, and pauses itself when more than
    `stop_above` percent fail again; None: with more than `CANARY_ABOVE` deliveries.

    Without a status in `filters` it is for those that failed. A status that takes in guarded ones (delivered, with
    retry; not tried yet, with discard) requires `confirmed`: how many of them the caller expects.
    """
    now = now or timezone.now()
    given = dict(filters) | ({"store": str(store.pk)} if store is not None else {})
    cleaned, total = check_replay(
        filters=given, action=action, per_second=per_second, reason=reason, confirmed=confirmed, canary=canary,
        stop_above=stop_above,
    )  # fmt: skip
    if canary is None:
        canary = action != Replay.Action.DISCARD and total > CANARY_ABOVE
    return begin_replay(
        actor=actor,
        store=store,
        action=action,
        filters=cleaned,
        reason=reason.strip(),
        per_second=per_second,
        total=total,
        stop_above=stop_above if canary else None,
    )


def check_replay(
    *,
    filters: Mapping[str, Any],
    action: str,
    per_second: int = 200,
    reason: str = "",
    confirmed: int | None = None,
    canary: bool | None = None,
    stop_above: int = STOP_ABOVE,
) -> tuple[dict[str, str], int]:
    """The filters as a replay keeps them, and how many deliveries match. Raises ReplayError as `start_replay` does."""
    if action not in Replay.Action.values or action == Replay.Action.BACKFILL:
        raise ReplayError(f"Unknown action {action!r}. Available actions: {', '.join(Replay.Action.values)}.")
    if (action == Replay.Action.FIX) != ("bulk_fix" in filters):
        raise ReplayError("A bulk fix is started from its table.")
    if not 1 <= per_second <= MOST_PER_SECOND:
        raise ReplayError(
            _("The rate must be between 1 and %(most)s deliveries per second.") % {"most": grouped(MOST_PER_SECOND)}
        )
    _check_canary(action, canary, stop_above)
    try:
        cleaned = with_status(filters)
        _require_confirmation(cleaned, action, confirmed)
        total = runner.matching(filters=cleaned, action=action).count()
    except FilterError as error:
        raise ReplayError(str(error)) from error
    if action == Replay.Action.DISCARD and not reason.strip() and _reason_is_required(cleaned):
        raise ReplayError(_("A store in this selection requires a reason."))
    return cleaned, total


def begin_replay(*, actor: Actor, **values: Any) -> Replay:
    """Make the row of a replay that was checked, and put it in line. `values`: fields of `Replay`."""
    with transaction.atomic():
        replay = Replay.objects.create(until_id=uuid7(), created_by=actor.user, created_by_name=actor.name, **values)
        audit_replay(replay, actor, "start", None)
        transaction.on_commit(lambda: runner.enqueue(replay.id))
    return replay


def _check_canary(action: str, canary: bool | None, stop_above: int) -> None:
    if canary and action == Replay.Action.DISCARD:
        raise ReplayError(_("Only a resend can have a canary: a discard has no results to wait for."))
    if not 0 <= stop_above < 100:
        raise ReplayError(_("The percentage that may fail again must be between 0 and 99."))


def _require_confirmation(cleaned: Mapping[str, str], action: str, confirmed: int | None) -> None:
    if action not in GUARDED or GUARDED[action] not in cleaned["status"].split(","):
        return
    guarded = count_guarded(filters=cleaned, action=action)
    if guarded > GUARDED_LIMIT:
        raise UnconfirmedError(_too_many_guarded(action), guarded)
    # Deliveries continue while someone types: a number that was right a moment ago is accepted.
    if not guarded or (confirmed is not None and abs(confirmed - guarded) <= guarded // 100):
        return
    raise UnconfirmedError(_guarded_words(action, guarded), guarded)


def _too_many_guarded(action: str) -> str:
    if action == Replay.Action.RETRY:
        words = _("More than %(number)s of these were delivered. Narrow the filter, by time for example.")
    else:
        words = _("More than %(number)s of these have not been attempted yet. Narrow the filter, by time for example.")
    return words % {"number": grouped(GUARDED_LIMIT)}


def _guarded_words(action: str, guarded: int) -> str:
    if action == Replay.Action.RETRY:
        words = ngettext(
            "%(number)s of these was delivered: its receiver would get it twice. Confirm by giving the number, "
            "%(digits)s.",
            "%(number)s of these were delivered: receivers would get them twice. Confirm by giving their number, "
            "%(digits)s.",
            guarded,
        )
    else:
        words = ngettext(
            "%(number)s of these has not been attempted yet: its receiver would never get it. Confirm by giving the "
            "number, %(digits)s.",
            "%(number)s of these have not been attempted yet: receivers would never get them. Confirm by giving their "
            "number, %(digits)s.",
            guarded,
        )
    return words % {"number": grouped(guarded), "digits": guarded}


def _reason_is_required(cleaned: Mapping[str, str]) -> bool:
    stores = Store.objects.filter(is_reason_required=True)
    if "store" in cleaned:
        stores = stores.filter(id__in=cleaned["store"].split(","))
    return stores.exists()


def pause_replay(*, replay: Replay, actor: Actor, now: datetime | None = None) -> Replay:
    return _change(replay, actor, "pause", [Replay.Status.RUNNING], Replay.Status.PAUSED, now)


def resume_replay(*, replay: Replay, actor: Actor, now: datetime | None = None) -> Replay:
    """Go on after the last one processed. A canary begins anew: 1, then 10, then the rest. Raises ReplayError."""
    return _change(replay, actor, "resume", [Replay.Status.PAUSED], Replay.Status.RUNNING, now)


def cancel_replay(*, replay: Replay, actor: Actor, now: datetime | None = None) -> Replay:
    """What has been done stays done. Raises ReplayError if it has finished."""
    stoppable = [Replay.Status.RUNNING, Replay.Status.PAUSED]
    return _change(replay, actor, "cancel", stoppable, Replay.Status.CANCELLED, now)


def _change(
    replay: Replay, actor: Actor, action: str, allowed: Sequence[str], status: str, now: datetime | None
) -> Replay:
    now = now or timezone.now()
    with transaction.atomic():
        found = Replay.objects.select_for_update(of=("self",)).get(pk=replay.pk)
        if found.status not in allowed:
            raise ReplayError(_too_late(action) % {"status": found.get_status_display()})
        before = found.status
        found.status = status
        found.stepped_at = now
        found.finished_at = now if status == Replay.Status.CANCELLED else None
        if status == Replay.Status.RUNNING:
            # Judged are deliveries; the cursor of a backfill is an event.
            judged_after = uuid7() if found.is_backfill else found.cursor
            found.judged_after, found.rate, found.rate_since, found.stopped_because = judged_after, None, None, ""
        found.save(update_fields=_CHANGED)
        audit_replay(found, actor, action, before)
        if status == Replay.Status.RUNNING:
            transaction.on_commit(lambda: runner.enqueue(found.id))
        if status != Replay.Status.PAUSED:
            settle_announcement(found, actor.name, now)
    return found


def _too_late(action: str) -> str:
    if action == "pause":
        return _("This bulk action is %(status)s: it is too late to pause it.")
    if action == "resume":
        return _("This bulk action is %(status)s: it is too late to resume it.")
    return _("This bulk action is %(status)s: it is too late to cancel it.")
