"""What outcomes do beside the delivery itself: health, parameters, pushed-back objects, order, effects."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q

from deliveries import ports
from deliveries.engine.pacing import BREAKER_THRESHOLD, noted_health, probe_delay, unnoted_successes
from deliveries.engine.rows import Claimed, Settlement
from deliveries.failures import close_empty_groups, lock_groups
from deliveries.ingest import push_back
from deliveries.ingest.loops import loop_text
from deliveries.ingest.plan import Plan
from deliveries.models import Delivery, Event, FailureGroup
from deliveries.ordering import OrderKey, lock_order_keys, release_next
from integrations.models import Integration, IntegrationHealth
from integrations.recent_outcomes import SUCCESS, added
from integrations.services import disable_integration, save_parameters
from subscriptions.models import Subscription
from subscriptions.services import deactivate_subscription

logger = logging.getLogger("hookdesk.engine")

#: A receiver's 429 pauses the whole integration, but never for longer than this.
LONGEST_THROTTLE = timedelta(hours=1)
#: A success is noted this often at most: the row would otherwise be written with every batch.
NOTE_SUCCESS_EVERY = timedelta(seconds=10)


def apply(settlements: Sequence[Settlement], now: datetime) -> None:
    """All effects of a batch, in its transaction. What an answer asked for in vain is logged, never raised."""
    _note_health(settlements, now)
    lock_order_keys(_order_keys(settlements))
    loops: dict[int, tuple[Claimed, Plan]] = {}
    for settlement in settlements:
        outcome, claimed = settlement.landing.outcome, _claimed(settlement)
        if outcome.parameters:
            save_parameters(claimed.integration_id, outcome.parameters)
        if outcome.pushed and (stopped := _push_back(settlement)):
            loops[claimed.integration_id] = (claimed, stopped)
        if outcome.effect is not None:
            _take_effect(settlement, now)
        if claimed.origin == "poll" and settlement.status == "succeeded":
            _note_poll(claimed, now)
    for key in _order_keys(settlements):
        release_next(*key, now)
    _supersede([_claimed(s) for s in settlements if s.status == "succeeded"], now)
    for claimed, stopped in loops.values():
        _announce_loop(claimed, stopped, now)


def _order_keys(settlements: Sequence[Settlement]) -> set[OrderKey]:
    """Of the ordered ones that got through: their records' next ones may go."""
    claims = [_claimed(settlement) for settlement in settlements if settlement.status == "succeeded"]
    return {(c.subscription_id, c.order_key) for c in claims if c.subscription_id and c.order_key is not None}


def _claimed(settlement: Settlement) -> Claimed:
    return settlement.landing.flight.claimed


def is_down(settlement: Settlement) -> bool:
    """Whether the attempt speaks for an integration that is down, and not for a payload that it refuses."""
    landing = settlement.landing
    if landing.outcome.is_success or landing.outcome.is_permanent:
        return False
    if landing.response is None:
        return landing.error is not None
    response = landing.response
    if response.status in (502, 503, 504):
        return True
    # A 500 that says something in its own words is an application that dislikes this payload. An empty one, or
    # an error page, is a server in trouble.
    is_wordless = not response.body.strip() or "html" in (response.header("Content-Type") or "").lower()
    return response.status >= 500 and is_wordless


def are_worth_noting(settlements: Sequence[Settlement], now: datetime) -> bool:
    """Whether `apply` will write the health of an integration."""
    return any(_is_worth_noting(key, batch, now) for key, batch in _by_integration(settlements).items())


def _by_integration(settlements: Sequence[Settlement]) -> dict[int, list[Settlement]]:
    """Those for which something was sent, or for which the integration's own settings stood in the way."""
    found: dict[int, list[Settlement]] = {}
    for settlement in settlements:
        landing = settlement.landing
        if landing.flight.request is not None or landing.outcome.kind == "configuration":
            found.setdefault(_claimed(settlement).integration_id, []).append(settlement)
    return found


def _note_health(settlements: Sequence[Settlement], now: datetime) -> None:
    by_integration = _by_integration(settlements)
    touched = [key for key, batch in sorted(by_integration.items()) if _is_worth_noting(key, batch, now)]
    for key in by_integration.keys() - set(touched):
        unnoted_successes[key] += len(by_integration[key])
    if not touched:
        return
    IntegrationHealth.objects.bulk_create(
        [IntegrationHealth(integration_id=key) for key in touched], ignore_conflicts=True
    )
    rows = IntegrationHealth.objects.select_for_update().filter(integration_id__in=touched).order_by("integration_id")
    for health in rows:
        was = health.breaker
        health.recent = added(health.recent, SUCCESS, unnoted_successes.pop(health.integration_id, 0))
        for settlement in by_integration[health.integration_id]:
            _note_one(health, settlement, now)
        health.save()
        is_clean = health.breaker == "closed" and health.first_failure_at is None and health.throttled_until is None
        noted_health[health.integration_id] = (now, is_clean)
        if was == "closed" and health.breaker == "open":
            logger.warning("integration %s does not answer: its breaker is open", health.integration_id)


def _is_worth_noting(integration_id: int, batch: Sequence[Settlement], now: datetime) -> bool:
    at, is_clean = noted_health.get(integration_id, (None, False))
    if at is None or not is_clean or now - at > NOTE_SUCCESS_EVERY:
        return True
    return any(not settlement.landing.outcome.is_success for settlement in batch)


def _note_one(health: IntegrationHealth, settlement: Settlement, now: datetime) -> None:
    landing = settlement.landing
    if landing.outcome.is_success:
        health.last_success_at = now
        health.first_failure_at = None
    else:
        health.last_failure_at = now
        health.first_failure_at = health.first_failure_at or now
    health.recent = added(health.recent, _what(settlement))
    if is_down(settlement):
        health.consecutive_failures += 1
        if health.consecutive_failures >= BREAKER_THRESHOLD or health.breaker != "closed":
            health.opened_at = health.opened_at or now
            health.breaker = "open"
            health.probe_at = now + probe_delay(health.opened_at, now)
    else:
        health.consecutive_failures = 0
        health.breaker = "closed"
        health.opened_at = health.probe_at = None
    if landing.response is not None and landing.response.status == 429:
        pause = timedelta(seconds=landing.outcome.retry_after or 1)
        health.throttled_until = now + min(pause, LONGEST_THROTTLE)
    elif health.throttled_until is not None and health.throttled_until <= now:
        health.throttled_until = None


def _what(settlement: Settlement) -> str:
    """`ok`, the status of the answer, or why there was none: `timeout`, `dns`."""
    landing = settlement.landing
    if landing.outcome.is_success:
        return SUCCESS
    if landing.response is not None and landing.response.status >= 300:
        return str(landing.response.status)
    return landing.outcome.kind[:30] or "error"


def _push_back(settlement: Settlement) -> Plan | None:
    """Store what the answer brings; what was not sent on, because it goes round in a loop."""
    claimed = _claimed(settlement)
    assert settlement.landing.outcome.pushed is not None
    try:
        with transaction.atomic():
            result = push_back(
                store_id=claimed.store_id,
                pushed=settlement.landing.outcome.pushed,
                except_subscription=claimed.subscription_id,
                hops=claimed.hops,
                cascade_left=claimed.cascade_left,
            )
    except (OperationalError, InterfaceError):
        raise  # the whole batch is recorded again
    except Exception:
        logger.exception("the objects in the answer to %s could not be stored", claimed.id)
        return None
    for problem in result.problems:
        logger.warning("left out of the answer to %s: %s", claimed.id, problem)
    return result.stopped


def _announce_loop(claimed: Claimed, stopped: Plan, now: datetime) -> None:
    integration = Integration.objects.get(id=claimed.integration_id)
    text = loop_text(stopped, f"The answers of {integration.name}")
    ports.announced(claimed.store_id, integration.id, f"loop:{integration.id}", "error", text, now)


def _take_effect(settlement: Settlement, now: datetime) -> None:
    claimed, outcome = _claimed(settlement), settlement.landing.outcome
    integration = Integration.objects.get(id=claimed.integration_id)
    if outcome.effect == "disable_integration":
        if not disable_integration(integration=integration, reason=outcome.message):
            return  # another answer of the same moment has done and said it
        text = f"{integration.name} was disabled: {outcome.message}"
        ports.announced(claimed.store_id, integration.id, f"disabled:{integration.id}", "error", text, now)
    elif outcome.effect == "deactivate_subscription" and claimed.subscription_id is not None:
        subscription = Subscription.objects.get(id=claimed.subscription_id)
        if not deactivate_subscription(subscription=subscription, reason=outcome.message):
            return
        text = f"The subscription {subscription} was deactivated: {outcome.message}"
        ports.announced(claimed.store_id, integration.id, f"deactivated:{subscription.id}", "error", text, now)


def _note_poll(claimed: Claimed, now: datetime) -> None:
    """`last_poll` becomes the time at which the poll that succeeded was made.

    It has asked since the last success, so polls that failed before it have nothing left to bring.
    """
    assert claimed.subscription_id is not None
    # Never back: staff may resend an old one.
    is_news = Q(last_poll_at=None) | Q(last_poll_at__lt=claimed.occurred_at)
    Subscription.objects.filter(is_news, id=claimed.subscription_id).update(last_poll_at=claimed.occurred_at)
    groups = FailureGroup.objects.filter(integration_id=claimed.integration_id, status=FailureGroup.Status.OPEN)
    missed = Delivery.objects.filter(
        failure_group__in=groups, subscription_id=claimed.subscription_id, topic="poll", status=Delivery.Status.FAILED
    )
    for delivery in missed.select_related("event")[:500]:
        supersede(delivery, now)


def _supersede(succeeded: Sequence[Claimed], now: datetime) -> None:
    """Deliveries that staff left to a later push of the same record, now that one got through."""
    if not _is_anyone_awaiting_source():
        return
    subscriptions = {claimed.subscription_id for claimed in succeeded if claimed.subscription_id and claimed.object_id}
    waiting = Delivery.objects.filter(is_awaiting_source=True, subscription_id__in=subscriptions).select_related(
        "event"
    )
    for delivery in waiting:
        for claimed in succeeded:
            is_later = claimed.subscription_id == delivery.subscription_id and claimed.id > delivery.id
            event: Event = delivery.event
            if is_later and (claimed.object_type, claimed.object_id) == (event.object_type, event.object_id):
                supersede(delivery, now)
                break


def _is_anyone_awaiting_source() -> bool:
    """Hardly ever, so this is asked first: of an index that holds only those who are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM deliveries_delivery WHERE is_awaiting_source LIMIT 1")
        return cursor.fetchone() is not None


def supersede(delivery: Delivery, now: datetime) -> None:
    group = delivery.failure_group_id
    # Groups before deliveries, as everywhere: two transactions that lock in one order never wait for each other.
    lock_groups([group])
    changed = (
        Delivery.objects.filter(id=delivery.id)
        .exclude(status__in=["sending", "succeeded"])
        .update(
            status="superseded",
            due_at=None,
            finished_at=now,
            is_awaiting_source=False,
            failure_group=None,
            last_error="",
        )
    )
    if not changed:
        return
    if group is not None:
        close_empty_groups([group], now)
    if delivery.order_key is not None and delivery.subscription_id is not None:
        release_next(delivery.subscription_id, delivery.order_key, now)
    ports.settled([ports.Settled(delivery.id, delivery.store_id, delivery.integration_id, "superseded")], now)
