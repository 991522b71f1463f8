"""Push back: store the objects in receivers' responses as records of their stores."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from deliveries.ingest.loops import note_answer
from deliveries.ingest.parsing import Invalid, read_objects
from deliveries.ingest.plan import Plan, PushedObject, PushPlanner, TooMuchWork
from deliveries.ingest.records import delete_placeholders, known_records
from deliveries.ingest.write import write_plan
from deliveries.models import Event
from deliveries.storage.rows.pushes import EventRow, OrderKey, PlanIsStale
from subscriptions.routing import SchemaViolation, StoreConfig, config_of

logger = logging.getLogger("hookdesk.engine")

#: How often a stale plan is remade before its objects are dropped.
TRIES = 12


@dataclass(frozen=True, slots=True)
class Answer:
    """Arrays of objects, by plural type, in the response to one delivery.

    They are never sent back to that delivery's subscription. `hops`, `cascade_left` and `traceparent` are those of the
    delivered event.
    """

    delivery_id: uuid.UUID
    integration_id: int
    subscription_id: uuid.UUID | None
    pushed: Mapping[str, list[dict[str, Any]]]
    hops: int = 0
    cascade_left: int | None = None
    traceparent: str | None = None


class OrderKeysMissing(Exception):
    """The records changed, and the new plan needs order keys that are not locked.

    It is too late to lock them (`deliveries.storage.locks`): roll back and start again with `keys` locked as well.
    """

    def __init__(self, keys: Collection[OrderKey]) -> None:
        super().__init__(f"{len(keys)} order keys are not locked")
        self.keys = frozenset(keys)


@dataclass(frozen=True, slots=True)
class PushBack:
    """One store's responses in a batch of results, and the current plan for them."""

    store_id: uuid.UUID
    answers: Sequence[Answer]
    plan: Plan
    problems: Sequence[str]
    #: By integration: an event from its responses that is not forwarded because it is in a loop.
    stopped: Mapping[int, EventRow] = field(default_factory=dict)


def plan_push_back(store_id: uuid.UUID, answers: Sequence[Answer], *, is_locked: bool = False) -> PushBack:
    """Make one plan for all the responses, so that their records can be locked in one order.

    Objects that cannot be stored are dropped and described in `problems`: an odd response must not fail a delivery that
    the receiver accepted. `is_locked`: lock the records, in the caller's transaction.
    """
    config = config_of(store_id)
    problems: list[str] = []
    parts = [part for answer in answers for part in _parts(answer, config, problems)]
    known = known_records(store_id, [item for _, objects in parts for item in objects], is_locked=is_locked)
    planner = PushPlanner(config, known, timezone.now(), Event.Origin.PUSHBACK)
    stopped: dict[int, EventRow] = {}
    for answer, objects in parts:
        try:
            part = planner.add(objects, answer.subscription_id)
            note_answer(part, hops=answer.hops, cascade_left=_share(answer))
            part.trace(answer.traceparent)
            if part.stopped is not None:
                stopped[answer.integration_id] = part.stopped
        except (SchemaViolation, TooMuchWork) as error:
            problems.append(f"dropped from the response to {answer.delivery_id}: {objects[0].path}: {error}")
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            problems.append(_not_storable(answer, error))
    plan = planner.plan()
    if is_locked:
        locked = {(item.type, item.external_id) for _, objects in parts for item in objects}
        delete_placeholders(store_id, locked.difference(known, ((row.type, row.external_id) for row in plan.records)))
    return PushBack(store_id, answers, plan, problems, stopped)


def _share(answer: Answer) -> int | None:
    """Return how many deliveries each array of the response may cause."""
    return None if answer.cascade_left is None else answer.cascade_left // max(1, len(answer.pushed))


def _parts(answer: Answer, config: StoreConfig, problems: list[str]) -> list[tuple[Answer, list[PushedObject]]]:
    """Return the response's objects by type, so that an error in one type does not affect the others."""
    parts = []
    for plural, items in answer.pushed.items():
        try:
            if objects := read_objects({plural: items}, config.singular_overrides):
                parts.append((answer, objects))
        except Invalid as error:
            problems.append(f"dropped from the response to {answer.delivery_id}: {plural}: {error}")
        except Exception as error:
            problems.append(_not_storable(answer, error))
    return parts


def _not_storable(answer: Answer, error: Exception) -> str:
    logger.exception("could not store objects from the response to %s", answer.delivery_id)
    return f"dropped from the response to {answer.delivery_id}: {type(error).__name__}"


def write_push_back(push_back: PushBack, held: Collection[OrderKey]) -> PushBack:
    """Store the objects in the caller's transaction, which has locked `held`. Returns what was stored.

    Raises OrderKeysMissing; the caller must then roll back its transaction.
    """
    for attempt in range(TRIES):
        try:
            with transaction.atomic():
                if attempt:  # the first plan was stale: lock the records while planning again
                    push_back = plan_push_back(push_back.store_id, push_back.answers, is_locked=True)
                if missing := push_back.plan.order_keys.difference(held):
                    raise OrderKeysMissing(missing)
                if not push_back.plan.is_empty:
                    write_plan(push_back.plan)
        except PlanIsStale:
            continue
        return push_back
    busy = f"contention on the records: {len(push_back.answers)} responses could not be stored"
    return replace(push_back, problems=[*push_back.problems, busy], stopped={})
