"""The two ways in, and the way back in for what receivers answer."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from deliveries import ports
from deliveries.failpoints import failpoint
from deliveries.ingest.loops import loop_text, note_answer, note_arrival
from deliveries.ingest.one_statement import known_at_once
from deliveries.ingest.plan import (
    Known,
    Plan,
    PlanIsStale,
    PushedObject,
    RecordsExist,
    Repetition,
    TooMuchWork,
    plan_events,
    plan_push,
)
from deliveries.ingest.reading import Invalid, read_events, read_objects
from deliveries.ingest.write import write_plan
from deliveries.models import Event, IdempotencyKey, Record
from deliveries.wakeup import take_quiet_moment, wake
from integrations.access import Principal, refresh
from integrations.identifiers import public_id
from integrations.models import AccessToken
from subscriptions.routing import SchemaViolation, StoreConfig, config_of

#: A plan is made again when its premises changed under it; past this the store is told to come back.
TRIES = 12
#: Whether the records of a store's last push were new. Its next push is taken for one of the same sort, so that new
#: records, which are most, need not be looked up first.
_was_new: dict[uuid.UUID, bool] = {}
MOST_REMEMBERED = 10_000


class Revoked(Exception):
    """The caller's token was revoked, has expired or may not push any more since it was cached."""


class KeyConflict(Exception):
    """The idempotency key was used with another body."""


class Busy(Exception):
    """The same records change too fast for this push to get in between. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the API answers, and whether it is the answer of an earlier, identical request."""

    response: Any
    is_replay: bool = False


def push_objects(*, principal: Principal, document: Any, raw: bytes, key: str | None = None, hops: int = 0) -> Receipt:
    """`{"<plural>": [object, …]}` into records and events : all or nothing. `hops`: how far it came.

    Raises Invalid, SchemaViolation, TooMuchWork, KeyConflict, Revoked or Busy, and nothing is stored.
    """

    def plan(config: StoreConfig, now: datetime, known: Known | None) -> tuple[Plan, Any]:
        objects = read_objects(document, config.singular_overrides)
        counts = {plural: len(items) for plural, items in document.items()}
        if known is None:
            if guess := _guess(config, objects, now):
                return guess, counts
            known = known_records(config.store_id, objects)
        _remember(config.store_id, is_new=not known)
        return plan_push(config=config, objects=objects, known=known, now=now), counts

    return _ingest(principal, plan, raw, key, hops)


def publish_events(
    *, principal: Principal, document: Any, raw: bytes, key: str | None = None, hops: int = 0
) -> Receipt:
    """One event, or an array of them, into events and deliveries: all or nothing. `hops`: how far they came.

    Raises Invalid, SchemaViolation, TooMuchWork, KeyConflict, Revoked or Busy, and nothing is stored.
    """

    def plan(config: StoreConfig, now: datetime, _known: Known | None) -> tuple[Plan, Any]:
        events = read_events(document, now)
        planned = plan_events(config=config, events=events, now=now)
        items = [
            {
                "id": public_id("evt", row.id),
                "topic": row.topic,
                "intent": row.intent,
                "created_at": now.isoformat().replace("+00:00", "Z"),
            }
            for row in planned.events
        ]
        return planned, {"events": items} if isinstance(document, list) else items[0]

    return _ingest(principal, plan, raw, key, hops)


@dataclass(slots=True)
class PushedBack:
    """What became of an answer's objects: sentences about what could not be stored, and what was not sent on."""

    problems: list[str] = field(default_factory=list)
    stopped: Plan | None = None


def push_back(
    *,
    store_id: uuid.UUID,
    pushed: Mapping[str, list[dict[str, Any]]],
    except_subscription: uuid.UUID | None,
    hops: int = 0,
    cascade_left: int | None = None,
) -> PushedBack:
    """Objects that a receiver answered with, into the store's records (docs/contract.md#hub).

    They never go to the subscription whose delivery they answer. Types that cannot be stored are left out: a
    receiver's odd answer must not fail the delivery that it accepted. `hops` and `cascade_left` are those of the
    event that it answers.
    """
    now = timezone.now()
    result = PushedBack()
    share = None if cascade_left is None else cascade_left // max(1, len(pushed))
    for plural, items in pushed.items():
        for attempt in range(TRIES):
            config = config_of(store_id)
            try:
                objects = read_objects({plural: items}, config.singular_overrides)
                plan = plan_push(
                    config=config,
                    objects=objects,
                    known=known_records(store_id, objects),
                    now=now,
                    origin=Event.Origin.PUSHBACK,
                    except_subscription=except_subscription,
                )
                note_answer(plan, hops=hops, cascade_left=share)
                if not plan.is_empty:
                    write_plan(plan)
                if plan.is_stopped:
                    result.stopped = plan
            except PlanIsStale:
                if attempt == TRIES - 1:
                    result.problems.append(f"{plural}: the records were busy")
                continue
            except (Invalid, SchemaViolation, TooMuchWork) as error:
                result.problems.append(f"{plural}: {error}")
            break
    return result


def _guess(config: StoreConfig, objects: Collection[PushedObject], now: datetime) -> Plan | None:
    """A plan for records that are all new, if that is likely and the database can tell while it writes."""
    if connection.vendor != "postgresql" or not objects or not _was_new.get(config.store_id, True):
        return None
    try:
        plan = plan_push(config=config, objects=objects, known={}, now=now)
    except (SchemaViolation, TooMuchWork):
        return None  # merged into its record, it may be whole
    plan.is_guess = True
    return plan


def _remember(store_id: uuid.UUID, *, is_new: bool) -> None:
    if len(_was_new) >= MOST_REMEMBERED:
        _was_new.clear()
    _was_new[store_id] = is_new


def _ingest(
    principal: Principal,
    make_plan: Callable[[StoreConfig, datetime, Known | None], tuple[Plan, Any]],
    raw: bytes,
    key: str | None,
    hops: int,
) -> Receipt:
    body_hash = hashlib.sha256(raw).hexdigest() if key is not None else ""
    known: Known | None = None
    for _attempt in range(TRIES):
        if key is not None and (receipt := _earlier_answer(principal, key, body_hash)):
            return receipt
        config = config_of(principal.store_id, principal.config_version)
        if config.version != principal.config_version:
            principal = _refreshed(principal)
            continue
        plan, response = make_plan(config, timezone.now(), known)
        if hops:
            note_arrival(plan, hops)
        if plan.is_empty and key is None:
            # Nothing is written that could prove the caller: look.
            _refreshed(principal)
            return Receipt(response)
        is_call = bool(plan.deliveries) and take_quiet_moment()
        try:
            write_plan(plan, None if key is None else Repetition(key, body_hash, response), is_call=is_call)
        except RecordsExist as found:
            known = found.known
            continue
        except PlanIsStale:
            known = None
            principal = _refreshed(principal)
            continue
        failpoint("ingest.after_commit")
        if plan.is_stopped:
            text = loop_text(plan, "A program that passes on what it is sent")
            ports.announced(principal.store_id, None, "loop:push", "error", text, plan.now)
        if plan.deliveries and not is_call:
            wake()
        return Receipt(response)
    raise Busy


def _refreshed(principal: Principal) -> Principal:
    current = refresh(principal)
    if current is None or AccessToken.Scope.PUSH not in current.scopes:
        raise Revoked
    return current


def _earlier_answer(principal: Principal, key: str, body_hash: str) -> Receipt | None:
    """What the key was answered before. Nothing is written that could prove the caller: it is looked up first."""
    found = IdempotencyKey.objects.filter(store_id=principal.store_id, key=key).first()
    if found is None:
        return None
    _refreshed(principal)
    if found.body_hash != body_hash:
        raise KeyConflict
    return Receipt(found.response, is_replay=True)


def known_records(store_id: uuid.UUID, objects: Collection[PushedObject]) -> Known:
    """The records that these objects are merged into, with their versions."""
    wanted = {(item.type, item.external_id) for item in objects}
    if not wanted:
        return {}
    if connection.vendor == "postgresql":
        return known_at_once(store_id, wanted)
    rows: Sequence[Any] = []
    for kind in {key[0] for key in wanted}:
        of_kind = [key[1] for key in wanted if key[0] == kind]
        for start in range(0, len(of_kind), 500):
            chunk = of_kind[start : start + 500]
            found = Record.objects.filter(store_id=store_id, type=kind, external_id__in=chunk)
            rows = [*rows, *found.values_list("type", "external_id", "version", "data")]
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}
