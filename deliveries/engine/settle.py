"""What becomes of deliveries after an attempt: recorded many at a time, in one transaction."""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from deliveries import ports
from deliveries.arrays import BIG_NUMBER, KEY, NUMBER, TEXT, TIME, as_arrays, as_cells
from deliveries.engine import effects
from deliveries.engine.attempts import finish_attempts
from deliveries.engine.build import internal
from deliveries.engine.claim import lock_claims
from deliveries.engine.directory import Destination
from deliveries.engine.health import are_worth_noting, note_health
from deliveries.engine.rows import Claimed, Landing, Settlement
from deliveries.engine.superseding import is_anyone_awaiting_source
from deliveries.failures import Failure, close_empty_groups, group_failures, lock_groups
from deliveries.ingest.push_back import OrderKeysMissing
from deliveries.models import Attempt, Delivery
from deliveries.ordering import OrderKey, lock_order_keys
from deliveries.sql import as_key, execute_prepared, to_key
from integrations.redaction import redact_text
from integrations.retry import next_delay
from integrations.wire_formats.base import Outcome

logger = logging.getLogger("hookdesk.engine")

#: A connector that asks for another attempt at once does so this many times at most.
MOST_LOOKUPS = 20
#: A transaction that finds order keys missing is begun again so many times.
MOST_REPETITIONS = 5

T = TypeVar("T")


def decide(landing: Landing, policy: Sequence[float], now: datetime, rng: random.Random) -> Settlement:
    """The delivery's next state. Pure."""
    claimed, outcome = landing.flight.claimed, landing.outcome
    request = landing.flight.request
    error = "" if outcome.is_success else redact_text(outcome.message, request.secrets if request else ())
    if outcome.again and claimed.attempt_number < MOST_LOOKUPS:
        return Settlement(landing, "pending", now, claimed.retry_count, error)
    if outcome.is_success:
        return Settlement(landing, "succeeded", None, claimed.retry_count, "")
    if claimed.is_test or outcome.is_permanent:
        return Settlement(landing, "failed", None, claimed.retry_count, error)
    delay = next_delay(
        policy, claimed.retry_count, rng=rng, jitter=settings.RETRY_JITTER, retry_after=outcome.retry_after
    )
    if delay is None:
        return Settlement(landing, "failed", None, claimed.retry_count, error)
    return Settlement(landing, "retrying", now + timedelta(seconds=delay), claimed.retry_count + 1, error)


def settle(
    landings: Sequence[Landing],
    *,
    destination_of: Callable[[int], Destination],
    now: datetime,
    rng: random.Random,
    also_lock: Collection[OrderKey] = (),
) -> list[Settlement]:
    """Record the landings and all that follows from them. Inside a transaction: see `repeated`.

    What others change too is locked in the order of `deliveries.locks`; plain successes need nothing of that.
    """
    settlements = [
        decide(landing, destination_of(landing.flight.claimed.integration_id).policy, now, rng) for landing in landings
    ]
    needs: effects.Needs | None = None
    if _reach_out(settlements, now):
        lock_claims()
        needs = effects.gather(settlements, also_lock)
        effects.lock_configuration(needs)
    _group(settlements, now, needs.groups if needs is not None else ())
    if needs is not None:
        lock_order_keys(needs.order_keys)
    held = _update_deliveries(settlements, now)
    for settlement in settlements:
        settlement.is_late = settlement.landing.flight.claimed.id not in held
    finish_attempts(settlements)
    counted = [s for s in settlements if not s.is_late and not _claimed(s).is_test]
    if counted:
        left = effects.apply(counted, needs, now) if needs is not None else []
        _close_groups(counted, left, now)
        said = [s for s in counted if s.status != "succeeded" or s.landing.outcome.summary]
        ports.settled([_settled(s) for s in said if s.status != "pending"], now)
        note_health(counted, now)
    return settlements


def repeated(run: Callable[[frozenset[OrderKey]], T]) -> T:
    """`run` in a transaction; rolled back and begun again, with the order keys that it found missing to lock first.

    Raises OrderKeysMissing if that does not end.
    """
    keys: frozenset[OrderKey] = frozenset()
    for _ in range(MOST_REPETITIONS):
        try:
            with transaction.atomic():
                return run(keys)
        except OrderKeysMissing as missing:
            keys |= missing.keys
    raise OrderKeysMissing(keys)


def _claimed(settlement: Settlement) -> Claimed:
    return settlement.landing.flight.claimed


def _reach_out(settlements: Sequence[Settlement], now: datetime) -> bool:
    """Whether more is to be locked than these deliveries."""
    if any(map(_reaches_out, settlements)) or are_worth_noting(settlements, now):
        return True
    return any(s.status == "succeeded" for s in settlements) and is_anyone_awaiting_source()


def _reaches_out(settlement: Settlement) -> bool:
    """Whether it changes rows that the settlements of other engines change too."""
    claimed, outcome = _claimed(settlement), settlement.landing.outcome
    is_plain = (
        outcome.is_success
        and not (outcome.summary or outcome.parameters or outcome.pushed or outcome.effect)
        and claimed.origin != "poll"
        and claimed.order_key is None
        and claimed.failure_group_id is None
    )
    return not is_plain


def _group(settlements: Sequence[Settlement], now: datetime, also_left: Collection[int]) -> None:
    """Give each failure its group. Only those whose lease we still hold count as occurrences.

    Also locks the groups that deliveries of the batch leave, and `also_left`.
    """
    left = {group for s in settlements if (group := _claimed(s).failure_group_id) is not None}.union(also_left)
    failing = [s for s in settlements if s.status in ("failed", "retrying") and not _claimed(s).is_test]
    if not failing:
        if left:
            lock_groups(left)
        return
    held = _still_held([_claimed(s) for s in failing])
    failures = [
        Failure(
            delivery_id=claimed.id,
            store_id=claimed.store_id,
            integration_id=claimed.integration_id,
            kind=s.landing.outcome.kind or "error",
            message=s.landing.outcome.summary or s.last_error,
            documents=_documents(s),
        )
        for s in failing
        if (claimed := _claimed(s)).id in held
    ]
    groups = group_failures(failures, now, leaving=sorted(left)) if failures or left else {}
    for s in failing:
        s.group_id = groups.get(_claimed(s).id)


def _documents(settlement: Settlement) -> tuple[str | bytes, ...]:
    """The payload as pushed (or edited), and as it was sent: a transform may have changed its values."""
    request = settlement.landing.flight.request
    return (_claimed(settlement).data_json, *([request.body] if request is not None else []))


def _still_held(claims: Sequence[Claimed]) -> set[uuid.UUID]:
    """Whose lease is still ours. It stays so: only a claim takes leases away, and we hold the claim lock."""
    leases = {claimed.id: claimed.lease for claimed in claims}
    marks = ", ".join(["%s"] * len(leases))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, lease FROM deliveries_delivery WHERE status = 'sending' AND id IN ({marks})",
            [as_key(key) for key in leases],
        )
        return {key for row in cursor.fetchall() if leases[key := to_key(row[0])] == to_key(row[1])}


# Row by row through the primary key: a bare `status = 'sending'` would tempt the planner to read the index of all that
# is in flight, which looks empty to it and is full of what has been.
_UPDATE_POSTGRESQL = (
    "UPDATE deliveries_delivery d SET status = r.status, due_at = r.due_at, lease = NULL,"
    " retry_count = r.retry_count, crash_count = 0, last_status = r.last_status, last_error = r.last_error,"
    " failure_group_id = r.group_id, finished_at = r.finished_at"
    " FROM unnest(%s::text[], %s::timestamptz[], %s::int[], %s::int[], %s::text[], %s::bigint[], %s::timestamptz[],"
    " %s::uuid[], %s::uuid[])"
    " AS r(status, due_at, retry_count, last_status, last_error, group_id, finished_at, id, lease)"
    " WHERE d.id = r.id AND d.lease = r.lease AND d.status || '' = 'sending' RETURNING d.id"
)
_UPDATE_KINDS = (TEXT, TIME, NUMBER, NUMBER, TEXT, BIG_NUMBER, TIME, KEY, KEY)
_UPDATE_PORTABLE = (
    "UPDATE deliveries_delivery SET status = %s, due_at = %s, lease = NULL, retry_count = %s, crash_count = 0,"
    " last_status = %s, last_error = %s, failure_group_id = %s, finished_at = %s"
    " WHERE id = %s AND lease = %s AND status = 'sending'"
)


def _update_deliveries(settlements: Sequence[Settlement], now: datetime) -> set[uuid.UUID]:
    """Write the new states where our lease still stands; returns the ids that were ours."""
    if connection.vendor == "postgresql":
        rows = [_row(settlement, now) for settlement in settlements]
        return {row[0] for row in execute_prepared(_UPDATE_POSTGRESQL, as_arrays(_UPDATE_KINDS, rows))}
    held = _still_held([_claimed(settlement) for settlement in settlements])
    rows = [_row(settlement, now) for settlement in settlements if _claimed(settlement).id in held]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_UPDATE_PORTABLE, as_cells(_UPDATE_KINDS, rows))
    return held


def _row(settlement: Settlement, now: datetime) -> tuple[Any, ...]:
    claimed = _claimed(settlement)
    response = settlement.landing.response
    is_finished = settlement.status in ("succeeded", "failed")
    return (
        settlement.status,
        settlement.due_at,
        settlement.retry_count,
        response.status if response is not None else None,
        settlement.last_error,
        settlement.group_id if settlement.status != "pending" else claimed.failure_group_id,
        now if is_finished else None,
        claimed.id,
        claimed.lease,
    )


def _close_groups(counted: Sequence[Settlement], also_left: Collection[int], now: datetime) -> None:
    """Groups that these deliveries have left may be empty now."""
    left = {
        group
        for s in counted
        if s.status != "pending" and (group := _claimed(s).failure_group_id) is not None and group != s.group_id
    }.union(also_left)
    if left:
        close_empty_groups(sorted(left), now)


def _settled(settlement: Settlement) -> ports.Settled:
    claimed, outcome = _claimed(settlement), settlement.landing.outcome
    request = settlement.landing.flight.request
    summary = redact_text(outcome.summary, request.secrets if request else ()) if outcome.summary else None
    return ports.Settled(
        delivery_id=claimed.id,
        store_id=claimed.store_id,
        integration_id=claimed.integration_id,
        status=settlement.status,
        summary=summary,
        group_id=settlement.group_id,
        message=settlement.last_error,
    )


def record(
    landings: Sequence[Landing], *, destination_of: Callable[[int], Destination], now: datetime, rng: random.Random
) -> None:
    """`settle`, one by one: where a single attempt is recorded, or a batch could not be.

    A landing that cannot be recorded as it is becomes a permanent failure that says so; nothing else waits for it.
    """

    def settle_one(landing: Landing) -> None:
        repeated(lambda keys: settle([landing], destination_of=destination_of, now=now, rng=rng, also_lock=keys))

    for landing in landings:
        try:
            settle_one(landing)
        except (OperationalError, InterfaceError):
            raise
        except OrderKeysMissing:
            claimed = landing.flight.claimed
            logger.warning("the objects in the answer to %s could not be stored: the records were busy", claimed.id)
            settle_one(replace(landing, outcome=replace(landing.outcome, pushed=None)))
        except Exception as error:
            logger.exception("the outcome of %s could not be recorded", landing.flight.claimed.id)
            outcome = internal("record the outcome; the answer is not kept", error)
            try:
                settle_one(Landing(landing.flight, None, None, landing.duration, outcome))
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                logger.exception("%s fails without a trace of its answer", landing.flight.claimed.id)
                _fail_plainly(landing.flight.claimed, outcome, now)


def _fail_plainly(claimed: Claimed, outcome: Outcome, now: datetime) -> None:
    """Without group, health and whatever else may be at fault: so that it stands in nobody's way."""
    with transaction.atomic():
        Delivery.objects.filter(id=claimed.id, lease=claimed.lease, status=Delivery.Status.SENDING).update(
            status=Delivery.Status.FAILED, due_at=None, lease=None, finished_at=now, last_error=outcome.message
        )
        Attempt.objects.filter(id=claimed.attempt_id, outcome=Attempt.Outcome.RUNNING).update(
            outcome=Attempt.Outcome.FAILED, error_kind=outcome.kind, error_message=outcome.message
        )
