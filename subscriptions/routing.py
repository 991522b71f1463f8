"""A store's subscriptions and topics for ingest, cached by configuration version."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _

from integrations.models import Store
from integrations.object_types import singular
from subscriptions.budget import Budget
from subscriptions.json_schema import Schema, SchemaError, Violation, compile_schema
from subscriptions.matching import Interest, SubscriptionIndex, normalise_topic
from subscriptions.models import Subscription

CACHE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Route:
    """The fields of a subscription that ingest needs."""

    subscription_id: uuid.UUID
    integration_id: int
    filter: str
    is_ordered: bool


class SchemaViolation(ValueError):
    """Data violates the JSON Schema of its topic. `path` is the place in the data: `shipping_address.phone`."""

    def __init__(self, topic: str, path: str, message: str) -> None:
        super().__init__(message)
        self.topic = topic
        self.path = path
        self.message = message


@dataclass(frozen=True)
class TopicRule:
    """The schema and condition of a declared topic."""

    name: str
    schema: Any
    condition: str

    @cached_property
    def _compiled(self) -> Schema | SchemaError | None:
        try:
            with translation.override("en"):  # kept, for all readers
                return None if self.schema is None else compile_schema(self.schema)
        except SchemaError as error:
            return error

    def violations(self, data: Any, budget: Budget | None = None, limit: int = 100) -> list[Violation]:
        """Return the violations of the schema, sorted by place, at most `limit`.

        Schemas are checked when they are saved. One that was saved under earlier rules and is invalid now rejects all
        data, so that unchecked data does not pass as checked.
        """
        compiled = self._compiled
        if compiled is None:
            return []
        if isinstance(compiled, SchemaError):
            message = _("the schema of the topic is invalid and must be corrected: %(error)s")
            return [Violation((), message % {"error": compiled})]
        return compiled.violations(data, budget or Budget(), limit)


@dataclass(frozen=True)
class StoreConfig:
    """A store's subscriptions and topics as of `version`."""

    store_id: uuid.UUID
    version: int
    index: SubscriptionIndex[Route]
    rules: Mapping[str, TopicRule]
    conditions: Mapping[str, list[TopicRule]]  # by object type
    singular_overrides: Mapping[str, str]

    def rule_of(self, topic: str) -> TopicRule | None:
        """Return the rule for an event's topic (normalised first), or None if it is not declared."""
        if not self.rules:
            return None
        return self.rules.get(normalise_topic(topic, partial(singular, overrides=self.singular_overrides)))

    def check_schema(self, topic: str, data: Any, budget: Budget | None = None, path: str = "") -> None:
        """Raise SchemaViolation for the first violation of the topic's schema, if it has one.

        `path`: where the data is in the request.
        """
        rule = self.rule_of(topic)
        violations = rule.violations(data, budget) if rule is not None else []
        if violations:
            raise SchemaViolation(topic, violations[0].place(path), violations[0].message)


_cache: dict[uuid.UUID, StoreConfig] = {}


def cached_config(store_id: uuid.UUID, version: int) -> StoreConfig | None:
    """The routing of a store as of `version`, if this process has it: without the database."""
    cached = _cache.get(store_id)
    return cached if cached is not None and cached.version == version else None


def config_of(store_id: uuid.UUID, version: int | None = None) -> StoreConfig:
    """Return a store's configuration, at least as new as `version` (None: current). Raises Store.DoesNotExist."""
    cached = _cache.get(store_id)
    if cached is not None and version is not None and cached.version >= version:
        return cached
    # Read the version first: if rows change while they are read, the version is newer and the write statement fails.
    store = Store.objects.only("config_version", "singular_overrides").get(id=store_id)
    if cached is not None and cached.version == store.config_version:
        return cached
    config = _load(store)
    if len(_cache) >= CACHE_SIZE:
        _cache.clear()
    _cache[store_id] = config
    return config


def _load(store: Store) -> StoreConfig:
    one = partial(singular, overrides=store.singular_overrides)
    rules: dict[str, TopicRule] = {}
    conditions: dict[str, list[TopicRule]] = {}
    for topic in store.topics.all():
        # Keyed by normalised topic: a declaration of `shipments.create` means `shipment.created`.
        name = normalise_topic(topic.name, one)
        rule = rules[name] = TopicRule(name, topic.schema, topic.condition)
        if rule.condition:
            conditions.setdefault(name.split(".", 1)[0], []).append(rule)
    return StoreConfig(
        store_id=store.id,
        version=store.config_version,
        index=SubscriptionIndex(_interests(store), singular=one),
        rules=rules,
        conditions=conditions,
        singular_overrides=store.singular_overrides,
    )


def _interests(store: Store) -> list[tuple[Interest, Route]]:
    rows = (
        Subscription.objects.alive()
        .filter(store=store, is_active=True, integration__deleted_at=None)
        .order_by("created_at", "id")
        .values_list("topics", "intents", "event_names", "id", "integration_id", "filter", "is_ordered")
    )
    return [
        (Interest(tuple(topics), tuple(intents), tuple(names)), Route(pk, integration_id, expression, is_ordered))
        for topics, intents, names, pk, integration_id, expression, is_ordered in rows.iterator(chunk_size=2000)
    ]
