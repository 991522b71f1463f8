"""Plan a push: from pushed objects to the events, deliveries and records to write. No database access."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deliveries.models import Event
from deliveries.storage.rows.pushes import DeliveryRow, EventRow, ExistingRecords, OrderKey, PushRows, RecordRow
from integrations.foundation.identifiers import uuid7
from integrations.foundation.json_documents import is_same, merge_document
from integrations.foundation.strict_json import dump_document
from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.expressions.evaluation import ExpressionError, WorkExceeded, holds, passes
from subscriptions.routing import Route, StoreConfig, TopicRule


@dataclass(slots=True)
class Plan(PushRows):
    #: The remaining budget for evaluating schemas, conditions and filters.
    allowance: Allowance = field(default_factory=Allowance)

    @property
    def is_empty(self) -> bool:
        return not self.events and not self.records

    @property
    def stopped(self) -> EventRow | None:
        """The first event that is not forwarded because it is in a loop."""
        return next((row for row in self.events if row.is_stopped), None)

    @property
    def order_keys(self) -> set[OrderKey]:
        """The order keys of its ordered deliveries, to be locked before the plan is written."""
        return {(row.subscription_id, row.order_key) for row in self.deliveries if row.order_key is not None}


class TooMuchWork(ValueError):
    """Evaluating schemas, conditions and filters exceeded the budget; `path` is the object that exceeded it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.message = (
            "Evaluating the store's schemas, conditions and filters on this takes too long. "
            "Simplify them, or send less."
        )
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class PushedObject:
    """One object of a push. `path`: its place in the body, such as `shipments[0]`."""

    type: str
    external_id: str
    data: dict[str, Any]
    path: str


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """One event of the event API or of a source. `path`: its place in the body, such as `[3]`, or empty.

    The object that it is about follows from its topic and its data's id, unless `object_type` and `object_id` are set.
    """

    topic: str | None
    intent: str | None
    data: dict[str, Any]
    occurred_at: datetime
    path: str
    object_type: str | None = None
    object_id: str | None = None


def plan_push(
    *,
    config: StoreConfig,
    objects: Collection[PushedObject],
    known: ExistingRecords,
    now: datetime,
    origin: str = Event.Origin.PUSH,
    except_subscription: uuid.UUID | None = None,
    steps: int = Allowance.BASE,
) -> Plan:
    """Merge each object into its record; changes become events. `steps`: see `Allowance`.

    Raises SchemaViolation or TooMuchWork.
    """
    planner = PushPlanner(config, known, now, origin, steps)
    planner.add(objects, except_subscription)
    return planner.plan()


class PushPlanner:
    """Plans objects from several sources in turn, each based on the records as changed by the earlier ones."""

    def __init__(
        self, config: StoreConfig, known: ExistingRecords, now: datetime, origin: str, steps: int = Allowance.BASE
    ) -> None:
        self._config = config
        self._steps = steps
        self._known = known
        self._state: dict[tuple[str, str], tuple[int, Any]] = dict(known)
        self._plan = Plan(config.store_id, config.version, origin, now)
        self._parts: list[Plan] = []

    def add(self, objects: Collection[PushedObject], except_subscription: uuid.UUID | None) -> Plan:
        """Add all of the objects, or none: raises SchemaViolation or TooMuchWork.

        Returns their events and deliveries, without records. `plan` includes the caller's changes to them.
        """
        part = Plan(self._config.store_id, self._config.version, self._plan.origin, self._plan.now)
        part.allowance = Allowance(self._steps)
        state = dict(self._state)
        for pushed in objects:
            _plan_object(part, self._config, state, pushed, except_subscription)
        self._state = state
        self._parts.append(part)
        return part

    def plan(self) -> Plan:
        """Return the plan of everything added, with its records in the order of `deliveries.storage.locks`."""
        plan = self._plan
        plan.events = [row for part in self._parts for row in part.events]
        plan.deliveries = [row for part in self._parts for row in part.deliveries]
        for key, (version, data) in sorted(self._state.items(), key=lambda item: item[0]):
            read_version = self._known[key][0] if key in self._known else 0
            if version != read_version:
                plan.records.append(RecordRow(*key, dump_document(data), version, read_version))
        return plan


def _plan_object(
    plan: Plan,
    config: StoreConfig,
    state: dict[tuple[str, str], tuple[int, Any]],
    pushed: PushedObject,
    except_subscription: uuid.UUID | None,
) -> None:
    key = (pushed.type, pushed.external_id)
    version, old = state.get(key, (0, None))
    new = pushed.data if old is None else merge_document(old, pushed.data)
    if old is not None and is_same(old, new):
        return
    state[key] = (version + 1, new)
    topics = [f"{pushed.type}.{'created' if old is None else 'updated'}"]
    data_json = dump_document(new)
    plan.allowance.grant(len(data_json))
    try:
        topics += [rule.name for rule in config.conditions.get(pushed.type, ()) if _holds(plan, rule, old, new)]
        for topic in topics:
            _check_schema(plan, config, topic, new)
            row = EventRow(uuid7(), topic, None, pushed.type, pushed.external_id, data_json, plan.now)
            add_event(plan, config, row, new, except_subscription)
    except BudgetExceeded:
        raise TooMuchWork(pushed.path) from None


def plan_events(
    *,
    config: StoreConfig,
    events: Collection[PublishedEvent],
    now: datetime,
    origin: str = Event.Origin.EVENT,
    steps: int = Allowance.BASE,
) -> Plan:
    """Plan published events. `steps`: see `Allowance`. Raises SchemaViolation or TooMuchWork."""
    plan = Plan(config.store_id, config.version, origin, now)
    plan.allowance = Allowance(steps)
    for event in events:
        data_json = dump_document(event.data)
        plan.allowance.grant(len(data_json))
        identity = event.data.get("id") if event.object_id is None else event.object_id
        row = EventRow(
            id=uuid7(),
            topic=event.topic,
            intent=event.intent,
            object_type=event.object_type or (event.topic or event.intent or "").split(".", 1)[0],
            object_id=str(identity)[:255] if isinstance(identity, str | int) and identity is not True else "",
            data_json=data_json,
            occurred_at=event.occurred_at,
        )
        try:
            if event.topic is not None:
                _check_schema(plan, config, event.topic, event.data, event.path)
            add_event(plan, config, row, event.data, None)
        except BudgetExceeded:
            raise TooMuchWork(event.path) from None
    return plan


def add_event(plan: Plan, config: StoreConfig, row: EventRow, data: Any, except_subscription: uuid.UUID | None) -> None:
    """Add the event, and a delivery for each subscription that matches it."""
    plan.events.append(row)
    name = row.topic or row.intent or ""
    for route in config.index.matching(row.topic, row.intent, data):
        if route.subscription_id == except_subscription or not _passes(plan, route, row, data):
            continue
        order_key = f"{row.object_type}/{row.object_id}" if route.is_ordered and row.object_id else None
        plan.deliveries.append(
            DeliveryRow(uuid7(), row.id, route.integration_id, route.subscription_id, name, order_key)
        )


def _check_schema(plan: Plan, config: StoreConfig, topic: str, data: Any, path: str = "") -> None:
    rule = config.rule_of(topic)
    if rule is not None and rule.schema is not None:
        with plan.allowance.evaluation() as budget:
            config.check_schema(topic, data, budget, path)


def _passes(plan: Plan, route: Route, row: EventRow, data: Any) -> bool:
    if not route.filter:
        return True
    try:
        with plan.allowance.evaluation() as budget:
            return passes(route.filter, data, {"topic": row.topic, "intent": row.intent}, budget)
    except ExpressionError:
        if plan.allowance.is_used_up:  # this filter may not be at fault: others may have used up the budget
            raise BudgetExceeded from None
        # Do not drop it silently: the delivery is created, and fails visibly when its request is built.
        return True


def _holds(plan: Plan, rule: TopicRule, old: Any, new: Any) -> bool:
    try:
        with plan.allowance.evaluation() as budget:
            return holds(rule.condition, old, new, budget)
    except WorkExceeded as error:
        # Refuse the push: otherwise nobody would notice the missing event.
        raise BudgetExceeded from error
    except ExpressionError:
        return False
