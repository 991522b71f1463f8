"""Running a replay, step by step.

A step takes the next ids after the cursor and changes what can be changed of them by one UPDATE, in the
transaction that moves the cursor: a crash leaves a step done or not done, and a step that is
run twice at the same time is run once after the other. The allowance is counted from the time of the last step,
so several runners are not faster than one. With a canary, results decide how many may be done: `canary`.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from deliveries import hooks
from deliveries.dispatch import ordering
from deliveries.failures import groups as failures
from deliveries.filters import apply_filters
from deliveries.models import Delivery, Replay, ReplayItem
from deliveries.replay.backfilling import Ahead, look_ahead, make_next, problem_of, subscription_of
from deliveries.replay.canary import Verdict, judge, results_of
from deliveries.replay.stopping import stop_replay
from deliveries.resolution.approval import awaiting_among
from deliveries.resolution.bulk_fixes import write_step
from deliveries.resolution.rules import audit_of
from deliveries.runtime import notify
from deliveries.storage.locks import keys_of, lock_deliveries
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry

logger = logging.getLogger("hookdesk.replay")

Status = Delivery.Status
#: The default statuses of an action. Pending ones are sent anyway; those being sent are skipped.
RETRIABLE: Final = (Status.FAILED, Status.RETRYING, Status.SUCCEEDED, Status.DISCARDED, Status.SUPERSEDED)
DISCARDABLE: Final = (Status.FAILED, Status.RETRYING, Status.PENDING)
FIXABLE: Final = (Status.FAILED, Status.RETRYING)
_ABLE: Final[Mapping[str, tuple[str, ...]]] = {
    Replay.Action.RETRY: RETRIABLE,
    Replay.Action.DISCARD: DISCARDABLE,
    Replay.Action.FIX: FIXABLE,
}

BATCH = 500  #: deliveries of one step
#: A runner works this long and then queues the next one, so that it never blocks a worker.
RUN_SECONDS = 60.0
#: Seconds until results that a canary waits for are looked at again.
RESULTS_AWAITED = 0.5
#: A replay without a step for this long has lost its runner.
FORGOTTEN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Step:
    """`wait_seconds` until the next step may do something; `is_over`: nothing is left, or it was stopped."""

    handled: int
    wait_seconds: float
    is_over: bool


def matching(*, filters: Mapping[str, Any], action: str) -> QuerySet[Delivery]:
    """What the action would affect now. Raises FilterError."""
    found = Delivery.objects.all() if action == Replay.Action.DISCARD else Delivery.objects.wanted()
    return apply_filters(found, filters).filter(status__in=_ABLE[action]).exclude(trigger=Delivery.Trigger.TEST)


def step(replay_id: uuid.UUID, now: datetime) -> Step:
    """Process as many as the rate allows. Safe to run at any time, concurrently and repeatedly."""
    done = _step(replay_id, now, None)
    if done is None:
        # Outside the transaction: filters take time.
        done = _step(replay_id, now, look_ahead(replay_id))
    return done or Step(0, RESULTS_AWAITED, False)


def _step(replay_id: uuid.UUID, now: datetime, ahead: Ahead | None) -> Step | None:
    """None: it is a backfill, and the events `ahead` are wanted."""
    with transaction.atomic():
        replay = Replay.objects.select_for_update(of=("self",)).filter(pk=replay_id).first()
        if replay is None or replay.status != Replay.Status.RUNNING:
            return Step(0, 0.0, True)
        rate, room = replay.per_second, BATCH
        if replay.has_canary:
            verdict = _heed_canary(replay, now)
            if verdict.stop:
                return Step(0, 0.0, True)
            if not verdict.room:
                return Step(0, RESULTS_AWAITED, False)
            rate, room = verdict.rate, verdict.room
        allowance = min(room, _allowance(replay, rate, now))
        if allowance < 1:
            return Step(0, 1 / rate, False)
        if replay.is_backfill:
            if problem := problem_of(subscription_of(replay)):
                stop_replay(replay, problem, now)
                return Step(0, 0.0, True)
            if ahead is None:
                return None
            handled, changed, is_over = make_next(replay, ahead, allowance, now)
            allowance = changed
        else:
            batch = _next_batch(replay, allowance)
            changed = _apply(replay, batch, now) if batch else 0
            handled, is_over = len(batch), len(batch) < allowance
            if batch:
                replay.cursor = batch[-1].pk
        replay.done += handled
        replay.skipped += handled - changed
        replay.stepped_at = now
        if is_over:
            _finish(replay, now)
        replay.save(update_fields=["done", "skipped", "stepped_at", "cursor", "status", "finished_at", "total"])
        if changed:
            notify.wake_on_commit()
    return Step(handled, 0.0 if is_over else min(1.0, allowance / rate), is_over)


def _finish(replay: Replay, now: datetime) -> None:
    replay.status = Replay.Status.DONE
    replay.finished_at = now
    # Deliveries that finished on their own since the start are not counted as missing.
    replay.total = replay.done


def _heed_canary(replay: Replay, now: datetime) -> Verdict:
    """What the results so far allow; the replay is paused if too many failed again, and keeps its rate."""
    assert replay.stop_above is not None
    verdict = judge(
        results_of(replay),
        stop_above=replay.stop_above,
        rate=replay.rate,
        rate_since=replay.rate_since,
        most=replay.per_second,
        now=now,
    )
    if verdict.stop:
        stop_replay(replay, verdict.stop, now)
    elif not verdict.room:
        # A step although nothing is done: else the sweep takes it for one that has lost its runner.
        replay.stepped_at = now
        replay.save(update_fields=["stepped_at"])
    elif verdict.rate != replay.rate:
        replay.rate, replay.rate_since = verdict.rate, now
        replay.save(update_fields=["rate", "rate_since"])
    return verdict


def _allowance(replay: Replay, rate: int, now: datetime) -> int:
    """How many may be done now: a second's worth at most, also after a pause."""
    if replay.stepped_at is None:
        return min(BATCH, max(1, rate // 4))
    elapsed = max(0.0, (now - replay.stepped_at).total_seconds())
    return min(BATCH, int(min(1.0, elapsed) * rate))


def _next_batch(replay: Replay, size: int) -> list[Delivery]:
    wanted = matching(filters=replay.filters, action=replay.action)
    if replay.until_id is not None:
        wanted = wanted.filter(id__lte=replay.until_id)
    if replay.cursor is not None:
        wanted = wanted.filter(id__gt=replay.cursor)
    return list(wanted.order_by("id").only("id")[:size])


def _apply(replay: Replay, batch: Sequence[Delivery], now: datetime) -> int:
    """Change what can be changed of the batch; returns how many.

    Rows locked by someone else are skipped.
    """
    discarding = replay.action == Replay.Action.DISCARD
    able = Delivery.objects.filter(status__in=_statuses(replay), erased_at=None)
    locked = lock_deliveries(able, [one.pk for one in batch])
    # An edited payload that awaits approval is a person's matter, not a replay's. Looked for under the locks: an edit
    # may have been made while this statement waited for them.
    waiting = awaiting_among([delivery.pk for delivery in locked])
    changed = [delivery for delivery in locked if delivery.pk not in waiting]
    if replay.action == Replay.Action.FIX:
        changed = write_step(replay, changed, now)
    before = {delivery.pk: str(delivery.status) for delivery in changed}
    items = [ReplayItem(replay=replay, delivery_id=one.pk, is_left_alone=one.pk not in before) for one in batch]
    ReplayItem.objects.bulk_create(items, ignore_conflicts=True)
    rows = Delivery.objects.filter(id__in=before)
    if discarding:
        _discard(rows, changed, replay, now)
    else:
        is_edited = replay.action == Replay.Action.FIX
        _put_back(rows, now, Delivery.Trigger.EDITED if is_edited else Delivery.Trigger.MANUAL)
    ordering.release_all(keys_of(changed), now)
    if replay.action != Replay.Action.FIX:  # each of its edits is in the history already
        _write_history(replay, changed, before)
    return len(changed)


def _statuses(replay: Replay) -> list[str]:
    """Statuses in which a delivery still qualifies: one that has succeeded in the meantime is not resent."""
    wanted = str(replay.filters.get("status", ""))
    return [status for status in _ABLE[replay.action] if not wanted or status in wanted.replace(" ", "").split(",")]


def _put_back(rows: QuerySet[Delivery], now: datetime, trigger: str) -> None:
    fields: dict[str, Any] = {
        "status": Status.PENDING,
        "trigger": trigger,
        "lease": None,
        "retry_count": 0,
        "crash_count": 0,
        "finished_at": None,
        "is_awaiting_source": False,
    }
    # Ordered ones are held first; the first in line is released after.
    rows.filter(order_key__isnull=False).update(**fields, due_at=None)
    rows.filter(order_key=None).update(**fields, due_at=now)


def _discard(rows: QuerySet[Delivery], changed: Sequence[Delivery], replay: Replay, now: datetime) -> None:
    rows.update(
        status=Status.DISCARDED,
        due_at=None,
        lease=None,
        failure_group=None,
        finished_at=now,
        is_awaiting_source=False,
    )
    groups = {delivery.failure_group_id for delivery in changed}
    failures.close_empty_groups(groups, now, replay.created_by_name)
    hooks.settled(
        [hooks.DeliveryChange(one.pk, one.store_id, one.integration_id, Status.DISCARDED) for one in changed], now
    )


def _write_history(replay: Replay, changed: Sequence[Delivery], before: Mapping[uuid.UUID, str]) -> None:
    actor = Actor(None, replay.created_by_name)
    after = Status.PENDING if replay.action == Replay.Action.RETRY else Status.DISCARDED
    entries = []
    for delivery in changed:
        entry = audit_of(
            delivery,
            actor,
            replay.action,
            before={"status": before[delivery.pk], "revision": delivery.revision},
            after={"status": str(after), "revision": delivery.revision, "replay": str(replay.pk)},
            reason=replay.reason,
        )
        entry.user_id = replay.created_by_id
        entries.append(entry)
    AuditEntry.objects.bulk_create(entries)


def run(replay_id: str | uuid.UUID, seconds: float = RUN_SECONDS) -> bool:
    """Step until it is over or `seconds` have passed, then queue the next runner. True when it is over."""
    pk = uuid.UUID(str(replay_id))
    deadline = time.monotonic() + seconds
    while True:
        done = step(pk, timezone.now())
        if done.is_over:
            return True
        if time.monotonic() + done.wait_seconds >= deadline:
            enqueue(pk)
            return False
        time.sleep(done.wait_seconds)


def run_waiting(now: datetime | None = None) -> int:
    """Queue a runner for each replay that has lost its own; returns how many. For the sweep."""
    now = now or timezone.now()
    forgotten = Replay.objects.filter(status=Replay.Status.RUNNING).exclude(stepped_at__gt=now - FORGOTTEN)
    ids = list(forgotten.values_list("id", flat=True))
    for pk in ids:
        enqueue(pk)
    return len(ids)


def enqueue(replay_id: uuid.UUID) -> None:
    """Queue a runner. A broker that is down delays the replay until the sweep, nothing else."""
    from django_q.tasks import async_task

    try:
        async_task("deliveries.replay.run", str(replay_id))
    except Exception:
        logger.warning("task queue unavailable: replay %s waits for the next sweep", replay_id, exc_info=True)
