"""Record results: decide the deliveries' new states and write them in batches, one transaction each."""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction

from deliveries import hooks
from deliveries.dispatch.build import internal
from deliveries.dispatch.config_cache import DestinationConfig
from deliveries.dispatch.types import AttemptResult, ClaimedDelivery, Transition
from deliveries.failures.groups import Failure, close_empty_groups, group_failures
from deliveries.ingest.push_back import OrderKeysMissing
from deliveries.models import Delivery
from deliveries.results import effects
from deliveries.results.attempts import ended_attempt
from deliveries.results.figures import figures_of
from deliveries.results.health import count_successes, must_write_health, write_health
from deliveries.results.reports import report
from deliveries.results.rows import rows_of
from deliveries.results.superseding import is_anyone_awaiting_source
from deliveries.storage import backend
from deliveries.storage.locks import lock_groups, lock_order_keys
from deliveries.storage.rows.pushes import OrderKey
from integrations.retry import next_delay
from integrations.security.redaction import redact_text
from integrations.wire_formats.base import Outcome

logger = logging.getLogger("hookdesk.engine")

#: How often a connector may ask for another attempt at once.
MAX_LOOKUPS = 20
#: How often a transaction with missing order keys is restarted.
MAX_RESTARTS = 5

T = TypeVar("T")


def decide(result: AttemptResult, policy: Sequence[float], now: datetime, rng: random.Random) -> Transition:
    """Decide the delivery's next state. Pure."""
    claimed, outcome = result.claimed, result.outcome
    request = result.request
    error = "" if outcome.is_success else redact_text(outcome.message, request.secrets if request else ())
    if outcome.again and claimed.attempt_number < MAX_LOOKUPS:
        return Transition.after(result, "pending", now, claimed.retry_count, error)
    if outcome.is_success:
        return Transition.after(result, "succeeded", None, claimed.retry_count, "")
    if claimed.is_test or outcome.is_permanent:
        return Transition.after(result, "failed", None, claimed.retry_count, error)
    delay = next_delay(
        policy, claimed.retry_count, rng=rng, jitter=settings.RETRY_JITTER, retry_after=outcome.retry_after
    )
    if delay is None:
        return Transition.after(result, "failed", None, claimed.retry_count, error)
    return Transition.after(result, "retrying", now + timedelta(seconds=delay), claimed.retry_count + 1, error)


def record_results(
    results: Sequence[AttemptResult],
    *,
    destination_of: Callable[[int], DestinationConfig],
    now: datetime,
    rng: random.Random,
    also_lock: Collection[OrderKey] = (),
) -> list[Transition]:
    """Record the results with all their effects. Call inside a transaction: see `retry_missing_keys`.

    Shared rows are locked in the order of `deliveries.storage.locks`; plain successes need none of them.
    """
    transitions = [decide(result, destination_of(result.claimed.integration_id).policy, now, rng) for result in results]
    needs: effects.Needs | None = None
    if _needs_shared_locks(transitions, now):
        backend().lock_claims()
        needs = effects.gather(transitions, also_lock)
        effects.lock_configuration(needs)
    _group(transitions, now, needs.groups if needs is not None else ())
    if needs is not None:
        lock_order_keys(needs.order_keys)
    current = backend().record_results(*rows_of(transitions, now))
    counted = _counted(transitions, current)
    if counted:
        left = effects.apply(counted, needs, now) if needs is not None else []
        _close_groups(counted, left, now)
        reported = [s for s in counted if s.status != "succeeded" or s.outcome.summary]
        hooks.settled([_change_of(s) for s in reported if s.status != "pending"], now)
        write_health(counted, now)
    return transitions


def record_alone(
    results: Sequence[AttemptResult],
    *,
    destination_of: Callable[[int], DestinationConfig],
    now: datetime,
    rng: random.Random,
) -> list[Transition] | None:
    """Record plain successes without side effects in a single statement. Call outside a transaction.

    None: some results are not plain successes, and nothing was written.
    """
    transitions = [decide(result, destination_of(result.claimed.integration_id).policy, now, rng) for result in results]
    if any(map(_touches_shared_rows, transitions)) or must_write_health(transitions, now):
        return None
    current = backend().record_alone(*rows_of(transitions, now))
    if current is None:
        return None
    count_successes(_counted(transitions, current))
    return transitions


def _counted(transitions: Sequence[Transition], current: Collection[uuid.UUID]) -> list[Transition]:
    """Mark late results; return those that count: neither late nor tests."""
    for transition in transitions:
        transition.is_late = transition.claimed.id not in current
    return [one for one in transitions if not one.is_late and not one.claimed.is_test]


def retry_missing_keys(run: Callable[[frozenset[OrderKey]], T]) -> T:
    """Call `run` in a transaction. If order keys are missing, roll back and restart with those keys locked first.

    Raises OrderKeysMissing if that happens too often.
    """
    keys: frozenset[OrderKey] = frozenset()
    for _ in range(MAX_RESTARTS):
        try:
            with transaction.atomic():
                return run(keys)
        except OrderKeysMissing as missing:
            keys |= missing.keys
    raise OrderKeysMissing(keys)


def _needs_shared_locks(transitions: Sequence[Transition], now: datetime) -> bool:
    """Whether recording locks more than these deliveries."""
    if any(map(_touches_shared_rows, transitions)) or must_write_health(transitions, now):
        return True
    return any(s.status == "succeeded" for s in transitions) and is_anyone_awaiting_source()


def _touches_shared_rows(transition: Transition) -> bool:
    """Whether it changes rows that other engines' transitions change too."""
    claimed, outcome = transition.claimed, transition.outcome
    is_plain = (
        outcome.is_success
        and not (outcome.summary or outcome.parameters or outcome.pushed or outcome.effect)
        and claimed.origin != "poll"
        and claimed.order_key is None
        and claimed.failure_group_id is None
    )
    return not is_plain


def _group(transitions: Sequence[Transition], now: datetime, also_left: Collection[int]) -> None:
    """Assign each failure its group. Only failures whose lease we still hold count as occurrences.

    Also locks the groups that deliveries of the batch leave, and those of `also_left`.
    """
    left = {group for s in transitions if (group := s.claimed.failure_group_id) is not None}.union(also_left)
    failing = [s for s in transitions if s.status in ("failed", "retrying") and not s.claimed.is_test]
    if not failing:
        if left:
            lock_groups(left)
        return
    current = _still_held([s.claimed for s in failing])
    failures = [
        Failure(
            delivery_id=claimed.id,
            store_id=claimed.store_id,
            integration_id=claimed.integration_id,
            kind=s.outcome.kind or "error",
            message=s.outcome.summary or s.last_error,
            documents=_documents(s),
        )
        for s in failing
        if (claimed := s.claimed).id in current
    ]
    groups = group_failures(failures, now, leaving=sorted(left)) if failures or left else {}
    for s in failing:
        s.group_id = groups.get(s.claimed.id)


def _documents(transition: Transition) -> tuple[str | bytes, ...]:
    """Return the payload as pushed (or edited) and as sent: a transform may have changed its values."""
    request = transition.request
    return (transition.claimed.data_json, *([request.body] if request is not None else []))


def _still_held(claims: Sequence[ClaimedDelivery]) -> set[uuid.UUID]:
    """Return the deliveries whose lease we still hold. We hold the claim lock, and only a claim takes leases away."""
    leases = {claimed.id: claimed.lease for claimed in claims}
    found = Delivery.objects.filter(id__in=list(leases), status=Delivery.Status.SENDING).values_list("id", "lease")
    return {key for key, lease in found if leases[key] == lease}


def _close_groups(counted: Sequence[Transition], also_left: Collection[int], now: datetime) -> None:
    """Close the groups that these deliveries have left, if they are now empty."""
    left = {
        group
        for s in counted
        if s.status != "pending" and (group := s.claimed.failure_group_id) is not None and group != s.group_id
    }.union(also_left)
    if left:
        close_empty_groups(sorted(left), now)


def _change_of(transition: Transition) -> hooks.DeliveryChange:
    claimed, outcome = transition.claimed, transition.outcome
    request = transition.request
    summary = redact_text(outcome.summary, request.secrets if request else ()) if outcome.summary else None
    return hooks.DeliveryChange(
        delivery_id=claimed.id,
        store_id=claimed.store_id,
        integration_id=claimed.integration_id,
        status=transition.status,
        summary=summary,
        group_id=transition.group_id,
        message=transition.last_error,
    )


def record(
    results: Sequence[AttemptResult],
    *,
    destination_of: Callable[[int], DestinationConfig],
    now: datetime,
    rng: random.Random,
) -> None:
    """Record results one by one: for a single attempt, or after recording them as a batch has failed.

    A result that cannot be recorded as it is becomes a permanent failure that says so, and does not block the others.
    """

    def record_one(result: AttemptResult) -> None:
        recorded = retry_missing_keys(
            lambda keys: record_results([result], destination_of=destination_of, now=now, rng=rng, also_lock=keys)
        )
        report(recorded, destination_of, now)

    for result in results:
        try:
            record_one(result)
        except (OperationalError, InterfaceError):
            raise
        except OrderKeysMissing:
            claimed = result.claimed
            logger.warning("could not store the objects from the response to %s: the records were busy", claimed.id)
            record_one(replace(result, outcome=replace(result.outcome, pushed=None)))
        except Exception as error:
            logger.exception("could not record the outcome of %s", result.claimed.id)
            outcome = internal("record the outcome; the answer is not kept", error)
            try:
                record_one(replace(result, response=None, error=None, outcome=outcome))
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                logger.exception("%s fails; its request and response could not be kept", result.claimed.id)
                report([_fail_without_side_effects(result, outcome, now)], destination_of, now)


def _fail_without_side_effects(result: AttemptResult, outcome: Outcome, now: datetime) -> Transition:
    """Fail the delivery without a failure group, health or other side effects, so that it cannot block others."""
    claimed = result.claimed
    bare = replace(result, request=None, response=None, error=None, outcome=outcome)
    transition = Transition.after(bare, "failed", None, claimed.retry_count, outcome.message)
    row = ended_attempt(transition)
    with transaction.atomic():
        is_held = Delivery.objects.filter(id=claimed.id, lease=claimed.lease, status=Delivery.Status.SENDING).update(
            status=Delivery.Status.FAILED, due_at=None, lease=None, finished_at=now, last_error=outcome.message
        )
        if is_held:
            backend().count_attempts(figures_of([transition], now))
        try:
            with transaction.atomic():
                backend().write_attempts([row if is_held else row._replace(outcome="late")])
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # fail it anyway: otherwise it would be sent again and again
            logger.exception("could not store attempt %s of %s", claimed.attempt_number, claimed.id)
    return transition
