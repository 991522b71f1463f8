"""What can be changed: subscriptions, integrations and topics. How each is proposed, compared, and saved."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from deliveries.models import Simulation
from deliveries.simulation.comparers import (
    Comparer,
    comparer_of_integration,
    comparer_of_subscription,
)
from deliveries.simulation.conditions import TopicComparer
from integrations.foundation.audit import Actor
from integrations.models import Integration, Store
from integrations.services import update_integration
from integrations.services.proposals import changes_of_integration, proposed_integration, unsaved_copy
from integrations.services.values import check_destination
from subscriptions.models import Subscription, Topic
from subscriptions.routing import TopicRule
from subscriptions.services import update_subscription, update_topic
from subscriptions.services.proposals import changes_of_subscription, proposed_subscription
from subscriptions.services.topics import changes_of_topic, proposed_topic

Kind = Simulation.Kind
Changes = dict[str, tuple[Any, Any]]


class Target:
    """A row that may change, as it is now. `values` are those of its service, as JSON."""

    kind: ClassVar[str]
    row: Any

    @property
    def store(self) -> Store:
        store: Store = self.row.store
        return store

    @property
    def id(self) -> str:
        return str(self.row.pk)

    @property
    def base(self) -> str:
        """Differs as soon as what the change is compared with was changed."""
        return str(self.row.updated_at.isoformat())

    def look_up(self, values: Mapping[str, Any]) -> None:
        """What saving needs of the network, outside its transaction. Raises ValidationError."""

    def changes(self, values: Mapping[str, Any]) -> Changes:
        """The fields that would differ, credentials masked. Raises ValidationError."""
        raise NotImplementedError

    def comparer(self, values: Mapping[str, Any], now: datetime) -> Comparer:
        """Raises ValidationError."""
        raise NotImplementedError

    def pair(self, values: Mapping[str, Any], subscription_id: uuid.UUID | None) -> tuple[Subscription, Subscription]:
        """The subscription today and with the change, for the page of one event. Raises ValidationError."""
        raise NotImplementedError

    def save(self, values: Mapping[str, Any], actor: Actor) -> None:
        """After `look_up`. Raises ValidationError."""
        raise NotImplementedError


class SubscriptionTarget(Target):
    kind = Kind.SUBSCRIPTION

    def __init__(self, row: Subscription) -> None:
        self.row: Subscription = row

    @property
    def base(self) -> str:
        return f"{super().base} {self.row.integration.updated_at.isoformat()}"

    def changes(self, values: Mapping[str, Any]) -> Changes:
        return changes_of_subscription(self.row, self._proposed(values))

    def comparer(self, values: Mapping[str, Any], now: datetime) -> Comparer:
        return comparer_of_subscription(self.row, self._proposed(values), now)

    def save(self, values: Mapping[str, Any], actor: Actor) -> None:
        update_subscription(subscription=self.row, actor=actor, **self._read(values))

    def pair(self, values: Mapping[str, Any], subscription_id: uuid.UUID | None) -> tuple[Subscription, Subscription]:
        return self.row, self._proposed(values)

    def _proposed(self, values: Mapping[str, Any]) -> Subscription:
        return proposed_subscription(subscription=self.row, **self._read(values))

    def _read(self, values: Mapping[str, Any]) -> Any:
        """The integration is kept as its key."""
        if values.get("integration") is None:
            return dict(values)
        found = Integration.objects.alive().filter(store=self.store, pk=values["integration"]).first()
        return {**values, "integration": found}


class IntegrationTarget(Target):
    kind = Kind.INTEGRATION

    def __init__(self, row: Integration) -> None:
        self.row: Integration = row

    def look_up(self, values: Mapping[str, Any]) -> None:
        if values.get("url") and values["url"] != self.row.url:
            check_destination(values["url"])

    def changes(self, values: Mapping[str, Any]) -> Changes:
        return changes_of_integration(self.row, self._proposed(values))

    def comparer(self, values: Mapping[str, Any], now: datetime) -> Comparer:
        return comparer_of_integration(self.row, self._proposed(values), now)

    def save(self, values: Mapping[str, Any], actor: Actor) -> None:
        known: Any = dict(values)
        update_integration(integration=self.row, actor=actor, is_looked_up=True, **known)

    def pair(self, values: Mapping[str, Any], subscription_id: uuid.UUID | None) -> tuple[Subscription, Subscription]:
        assert subscription_id is not None
        before = Subscription.objects.select_related("store").get(integration_id=self.row.pk, pk=subscription_id)
        after = unsaved_copy(before)
        after.store = before.store
        before.integration, after.integration = self.row, self._proposed(values)
        return before, after

    def _proposed(self, values: Mapping[str, Any]) -> Integration:
        known: Any = dict(values)
        return proposed_integration(integration=self.row, **known)


class TopicTarget(Target):
    kind = Kind.TOPIC

    def __init__(self, row: Topic) -> None:
        self.row: Topic = row

    def changes(self, values: Mapping[str, Any]) -> Changes:
        return changes_of_topic(self.row, self._proposed(values))

    def comparer(self, values: Mapping[str, Any], now: datetime) -> Comparer:
        return TopicComparer(self.store, *self.rules(values))

    def rules(self, values: Mapping[str, Any]) -> tuple[TopicRule, TopicRule]:
        """Today's, and with the change. Raises ValidationError."""
        before, after = (TopicRule(row.name, row.schema, row.condition) for row in (self.row, self._proposed(values)))
        return before, after

    def save(self, values: Mapping[str, Any], actor: Actor) -> None:
        known: Any = dict(values)
        update_topic(topic=self.row, actor=actor, **known)

    def _proposed(self, values: Mapping[str, Any]) -> Topic:
        known: Any = dict(values)
        return proposed_topic(topic=self.row, **known)


def target_of(simulation: Simulation) -> Target | None:
    """What a simulation is about, as it is now; None if it was deleted, or if nobody can tell."""
    key: Any
    try:
        key = uuid.UUID(simulation.target_id) if simulation.kind == Kind.SUBSCRIPTION else int(simulation.target_id)
    except ValueError:
        return None
    if simulation.kind == Kind.SUBSCRIPTION:
        rows = Subscription.objects.alive().select_related("store", "integration")
        subscription = rows.filter(pk=key, store=simulation.store_id).first()
        return SubscriptionTarget(subscription) if subscription is not None else None
    if simulation.kind == Kind.INTEGRATION:
        integrations = Integration.objects.alive().select_related("store")
        integration = integrations.filter(pk=key, store=simulation.store_id).first()
        return IntegrationTarget(integration) if integration is not None else None
    topic = Topic.objects.select_related("store").filter(pk=key, store=simulation.store_id).first()
    return TopicTarget(topic) if topic is not None else None
