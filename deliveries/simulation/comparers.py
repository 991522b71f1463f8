"""Both sides of a change, for one event after the other."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from django.utils.translation import gettext as _

from deliveries.models import Event
from deliveries.simulation.comparing import Finding, Outcome, compare
from deliveries.simulation.sides import Side
from integrations.models import Integration, Store
from integrations.object_types import singular
from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.matching import normalise_topic
from subscriptions.models import Subscription
from subscriptions.routing import StoreConfig, TopicRule, config_of

#: Steps of comparing one event for one subscription, besides those of its expressions; and characters of data a step.
COST: Final = 500
CHARACTERS_PER_STEP: Final = 20
#: Subscriptions of one integration that are compared.
SUBSCRIPTIONS: Final = 50


@dataclass(frozen=True, slots=True)
class Found:
    """What a change does to one event for one subscription; None: for the store."""

    event_id: uuid.UUID
    subscription_id: uuid.UUID | None
    finding: Finding


class Comparer(Protocol):
    def is_about(self, topic: str | None, intent: str | None) -> bool:
        """Whether the change may concern such an event, whatever is in it."""

    def compare(self, event: Event, data_json: str, allowance: Allowance) -> list[Found]:
        """Raises BudgetExceeded if the allowance is used up: then nothing of this event counts."""


class DeliveryComparer:
    """Of subscriptions, or of the integration that they share: who gets it, and what."""

    def __init__(self, config: StoreConfig, pairs: Sequence[tuple[uuid.UUID, Side, Side]]) -> None:
        self._config, self._pairs = config, pairs

    def is_about(self, topic: str | None, intent: str | None) -> bool:
        return any(side.is_about(topic, intent) for _, *sides in self._pairs for side in sides)

    def compare(self, event: Event, data_json: str, allowance: Allowance) -> list[Found]:
        rule = self._config.rule_of(event.topic) if event.topic else None
        violations = violations_of(rule, event, allowance)
        found = []
        for subscription_id, *sides in self._pairs:
            charge(allowance, data_json)
            before, after = (side.outcome(event, data_json, allowance) for side in sides)
            if after.is_wanted and violations:
                before, after = (Outcome(it.is_wanted, it.request, it.error, violations) for it in (before, after))
            found += [Found(event.pk, subscription_id, finding) for finding in compare(before, after)]
        return found


class SchemaComparer:
    """Of a topic: which data its schema allows."""

    def __init__(self, store: Store, before: TopicRule, after: TopicRule) -> None:
        self._before, self._after = before, after
        self._spelled = partial(normalise_topic, singular=partial(singular, overrides=store.singular_overrides))
        self._names = {self._spelled(before.name), self._spelled(after.name)}

    def is_about(self, topic: str | None, intent: str | None) -> bool:
        return bool(topic) and self._spelled(topic or "") in self._names

    def compare(self, event: Event, data_json: str, allowance: Allowance) -> list[Found]:
        charge(allowance, data_json)
        before, after = (
            Outcome(True, violations=violations_of(rule, event, allowance)) for rule in (self._before, self._after)
        )
        return [Found(event.pk, None, finding) for finding in compare(before, after)]


def comparer_of_subscription(before: Subscription, after: Subscription, now: datetime) -> Comparer:
    """An inactive subscription is compared as if it were on, unless it is being switched."""
    is_switched = before.is_active != after.is_active
    sides = [Side(row, now=now, is_active=row.is_active or not is_switched) for row in (before, after)]
    return DeliveryComparer(config_of(before.store_id), [(before.pk, sides[0], sides[1])])


def comparer_of_integration(before: Integration, after: Integration, now: datetime) -> Comparer:
    rows = Subscription.objects.alive().filter(integration_id=before.pk, is_active=True).select_related("store")
    pairs = []
    for row in rows.matching_order()[:SUBSCRIPTIONS]:
        sides = []
        for integration in (before, after):
            row.integration = integration
            sides.append(Side(row, now=now, is_active=True))
        pairs.append((row.pk, sides[0], sides[1]))
    return DeliveryComparer(config_of(before.store_id), pairs)


def violations_of(rule: TopicRule | None, event: Event, allowance: Allowance) -> tuple[str, ...]:
    """The first violation, with its place, if there is one. Raises BudgetExceeded."""
    if rule is None or rule.schema is None:
        return ()
    with allowance.evaluation() as budget:
        found = rule.violations(event.data, budget, limit=1)
    if found and allowance.is_used_up:
        raise BudgetExceeded
    return tuple(f"{violation.place() or _('the data')}: {violation.message}" for violation in found)


def charge(allowance: Allowance, data_json: str) -> None:
    """For looking at one event, besides its expressions."""
    allowance.left -= COST + len(data_json) // CHARACTERS_PER_STEP
