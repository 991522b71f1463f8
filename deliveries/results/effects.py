"""Side effects of outcomes: parameters, pushed-back objects, ordering, disabling.

`gather` determines the required locks before anything is locked; `apply` acts under those locks. Locks are taken in the
order of `deliveries.storage.locks`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.dispatch.ordering import release_next
from deliveries.dispatch.types import ClaimedDelivery, Transition
from deliveries.ingest.loops import BY_ANSWERS, loop_text
from deliveries.ingest.push_back import Answer, OrderKeysMissing, PushBack, plan_push_back, write_push_back
from deliveries.models import Event
from deliveries.results.superseding import Superseded, awaiting, is_anyone_awaiting_source, missed_polls, supersede
from deliveries.storage.rows.pushes import EventRow, OrderKey
from integrations.foundation.languages import staff_language
from integrations.models import ConfigVersion, Integration, Store
from integrations.parameters import save_parameters, would_change
from integrations.services import disable_integration
from subscriptions.models import Subscription
from subscriptions.services import deactivate_subscription

logger = logging.getLogger("hookdesk.engine")


@dataclass(slots=True)
class Needs:
    """The side effects of a batch and the locks that they need."""

    push_backs: list[PushBack] = field(default_factory=list)
    superseded: list[Superseded] = field(default_factory=list)
    order_keys: set[OrderKey] = field(default_factory=set)
    polled: set[uuid.UUID] = field(default_factory=set)
    #: Stores whose configuration may change.
    stores: set[uuid.UUID] = field(default_factory=set)

    @property
    def changes_configuration(self) -> bool:
        return bool(self.stores)

    @property
    def groups(self) -> set[int]:
        return {row.group_id for row in self.superseded if row.group_id is not None}


def gather(transitions: Sequence[Transition], also: Collection[OrderKey] = ()) -> Needs:
    """Determine the effects and their locks, without writing. `also`: order keys that an earlier try found missing."""
    needs = Needs(order_keys=_released_keys(transitions) | set(also))
    succeeded = [s.claimed for s in transitions if s.status == "succeeded"]
    if succeeded and is_anyone_awaiting_source():
        needs.superseded = awaiting(succeeded)
    for transition in transitions:
        claimed, outcome = transition.claimed, transition.outcome
        if outcome.effect is not None:
            needs.stores.add(claimed.store_id)
        elif outcome.parameters and claimed.store_id not in needs.stores:
            with _logging_failure("parameters", claimed):
                if would_change(claimed.integration_id, outcome.parameters):
                    needs.stores.add(claimed.store_id)
        if _is_poll(transition):
            assert claimed.subscription_id is not None
            needs.polled.add(claimed.subscription_id)
            needs.superseded += missed_polls(claimed)
    needs.order_keys |= {key for row in needs.superseded if (key := row.key) is not None}
    for store_id, answers in sorted(_answers(transitions).items()):
        push_back = plan_push_back(store_id, answers)
        needs.push_backs.append(push_back)
        needs.order_keys |= push_back.plan.order_keys
    return needs


def lock_configuration(needs: Needs) -> None:
    """Lock the configuration that may change: the first lock that an engine takes after the claim lock."""
    if needs.changes_configuration:
        ConfigVersion.lock()
        # Triggers write the version into the stores' rows. A push may hold these while it waits for an order key.
        stores = Store.objects.filter(id__in=needs.stores).order_by("id")
        list(stores.select_for_update(no_key=True).values_list("id"))
    if needs.polled:
        polled = Subscription.objects.filter(id__in=needs.polled).order_by("id")
        list(polled.select_for_update(no_key=True).values_list("id"))


def apply(transitions: Sequence[Transition], needs: Needs, now: datetime) -> list[int]:
    """Apply all effects of a batch, in its transaction and under its locks.

    Returns the failure groups that superseded deliveries left. Effects that fail are logged, not raised. Raises
    OrderKeysMissing.
    """
    groups = supersede(needs.superseded, now)
    for key in sorted(_released_keys(transitions) | {row.key for row in needs.superseded if row.key is not None}):
        release_next(*key, now)
    loops = _push_back(transitions, needs)
    for transition in transitions:
        _change_configuration(transition, now)
    for (store_id, integration_id), stopped in sorted(loops.items(), key=lambda item: item[0]):
        _announce_loop(store_id, integration_id, stopped, now)
    return groups


def _is_poll(transition: Transition) -> bool:
    return transition.claimed.origin == "poll" and transition.status == "succeeded"


def _released_keys(transitions: Sequence[Transition]) -> set[OrderKey]:
    """The order keys of ordered deliveries that succeeded: the next delivery of each record may be sent."""
    claims = [transition.claimed for transition in transitions if transition.status == "succeeded"]
    return {(c.subscription_id, c.order_key) for c in claims if c.subscription_id and c.order_key is not None}


def _answers(transitions: Sequence[Transition]) -> dict[uuid.UUID, list[Answer]]:
    """Return the pushed-back responses by store. Tests and late results push nothing back."""
    found: dict[uuid.UUID, list[Answer]] = {}
    for transition in transitions:
        claimed, pushed = transition.claimed, transition.outcome.pushed
        if pushed and not transition.is_late and not claimed.is_test:
            found.setdefault(claimed.store_id, []).append(_answer(claimed, pushed))
    return found


def _answer(claimed: ClaimedDelivery, pushed: Mapping[str, list[dict[str, Any]]]) -> Answer:
    return Answer(
        delivery_id=claimed.id,
        integration_id=claimed.integration_id,
        subscription_id=claimed.subscription_id,
        pushed=pushed,
        hops=claimed.hops,
        cascade_left=claimed.cascade_left,
        traceparent=claimed.traceparent,
    )


def _push_back(transitions: Sequence[Transition], needs: Needs) -> dict[tuple[uuid.UUID, int], EventRow]:
    """Store the pushed-back objects. Returns, by store and integration, an event that was stopped because of a loop."""
    answers = _answers(transitions)
    loops: dict[tuple[uuid.UUID, int], EventRow] = {}
    for push_back in needs.push_backs:
        mine = answers.get(push_back.store_id, [])
        if len(mine) < len(push_back.answers):  # some results turned out to be late
            push_back = plan_push_back(push_back.store_id, mine, is_locked=True)
        try:
            with transaction.atomic():
                written = write_push_back(push_back, needs.order_keys)
        except (OperationalError, InterfaceError, OrderKeysMissing):
            raise  # the whole batch is recorded again
        except Exception:
            if len(transitions) > 1:
                raise  # the batch is recorded one by one, so that only the result at fault is affected
            logger.exception("could not store the objects from the response to %s", transitions[0].claimed.id)
            continue
        for problem in written.problems:
            logger.warning("%s", problem)
        loops |= {(push_back.store_id, integration_id): event for integration_id, event in written.stopped.items()}
    return loops


def _announce_loop(store_id: uuid.UUID, integration_id: int, stopped: EventRow, now: datetime) -> None:
    name = Integration.objects.values_list("name", flat=True).get(id=integration_id)
    text = loop_text(stopped, BY_ANSWERS, name)
    hooks.announced(store_id, integration_id, f"loop:{integration_id}", "error", text, now)


@contextmanager
def _logging_failure(what: str, claimed: ClaimedDelivery) -> Iterator[None]:
    """Log errors of the block instead of raising them: a failing side effect must not fail the delivery."""
    try:
        with transaction.atomic():
            yield
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("could not apply %s from the response to %s", what, claimed.id)


def _change_configuration(transition: Transition, now: datetime) -> None:
    outcome, claimed = transition.outcome, transition.claimed
    if outcome.parameters:
        with _logging_failure("parameters", claimed):
            save_parameters(claimed.integration_id, outcome.parameters)
    if outcome.effect is not None:
        with _logging_failure(outcome.effect, claimed):
            _apply_effect(transition, now)
    if _is_poll(transition):
        _save_poll_time(claimed)


def _apply_effect(transition: Transition, now: datetime) -> None:
    claimed, outcome = transition.claimed, transition.outcome
    if outcome.effect == "disable_integration":
        integration = Integration.objects.only("id", "name", "store_id").get(id=claimed.integration_id)
        is_told = claimed.origin != Event.Origin.HOOKDESK  # no operational events about operational events
        if not disable_integration(integration=integration, reason=outcome.message, is_told=is_told):
            return  # a concurrent response has already disabled it and raised the notification
        with staff_language():
            text = _("%(name)s was disabled: %(message)s") % {"name": integration.name, "message": outcome.message}
        hooks.announced(claimed.store_id, integration.id, f"disabled:{integration.id}", "error", text, now)
    elif outcome.effect == "deactivate_subscription" and claimed.subscription_id is not None:
        subscription = (
            Subscription.objects.select_related("integration")
            .only("topics", "intents", "integration__name")
            .get(id=claimed.subscription_id)
        )
        if not deactivate_subscription(subscription=subscription, reason=outcome.message):
            return
        with staff_language():
            words = _("The subscription %(name)s was deactivated: %(message)s")
            text = words % {"name": subscription, "message": outcome.message}
        hooks.announced(claimed.store_id, claimed.integration_id, f"deactivated:{subscription.id}", "error", text, now)


def _save_poll_time(claimed: ClaimedDelivery) -> None:
    """Set `last_poll_at` to the time at which the successful poll was created."""
    assert claimed.subscription_id is not None
    # Never move it backwards: staff may resend an old poll.
    is_news = Q(last_poll_at=None) | Q(last_poll_at__lt=claimed.occurred_at)
    Subscription.objects.filter(is_news, id=claimed.subscription_id).update(last_poll_at=claimed.occurred_at)
