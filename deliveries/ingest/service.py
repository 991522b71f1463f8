"""The two entry points of ingest: pushed objects and published events. Receivers' responses use `push_back`."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.db import transaction
from django.utils import timezone

from deliveries import hooks
from deliveries.ingest.loops import BY_PROGRAM, loop_text, note_arrival
from deliveries.ingest.parsing import read_events, read_objects
from deliveries.ingest.plan import (
    Plan,
    PublishedEvent,
    PushedObject,
    TooMuchWork,
    plan_events,
    plan_push,
)
from deliveries.ingest.records import known_records
from deliveries.ingest.responses import of_events, of_objects
from deliveries.ingest.write import write_plan
from deliveries.models import IdempotencyKey
from deliveries.runtime.failpoints import failpoint
from deliveries.runtime.notify import may_notify_inline, wake
from deliveries.storage import backend
from deliveries.storage.locks import lock_order_keys
from deliveries.storage.rows.pushes import ExistingRecords, IdempotencyRecord, OrderKey, PlanIsStale, RecordsExist
from integrations.models import AccessToken
from integrations.security.tokens import Principal, refresh
from subscriptions.routing import SchemaViolation, StoreConfig, config_of

#: How often a stale plan is remade before the client is told to retry.
TRIES = 12
#: Whether the records of a store's last push were new. The next push is assumed to be alike, so that new records, the
#: usual case, need no lookup.
_was_new: dict[uuid.UUID, bool] = {}
MAX_STORES = 10_000


class Revoked(Exception):
    """The caller's token was revoked, expired or lost its push scope since it was cached."""


class ScopeRevoked(Revoked):
    """The caller's token is valid but may no longer push."""


class KeyConflict(Exception):
    """The idempotency key was used with another body."""


class TooMuchContention(Exception):
    """The plan was stale too often because of contention on the same records. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The API's response, and whether it is a replay of an earlier, identical request."""

    response: Any
    is_replay: bool = False


def push_objects(
    *,
    principal: Principal,
    document: Any,
    raw: bytes,
    key: str | None = None,
    hops: int = 0,
    traceparent: str | None = None,
) -> Receipt:
    """Store `{"<plural>": [object, …]}` as records and events, all or nothing. `hops`: see `loops`.

    Raises Invalid, SchemaViolation, TooMuchWork, KeyConflict, Revoked or TooMuchContention; then nothing is stored.
    """
    return _ingest(principal, _Objects(document), raw, key, hops, traceparent)


def publish_events(
    *,
    principal: Principal,
    document: Any,
    raw: bytes,
    key: str | None = None,
    hops: int = 0,
    traceparent: str | None = None,
) -> Receipt:
    """Store one event, or an array of them, with their deliveries, all or nothing. `hops`: see `loops`.

    Raises Invalid, SchemaViolation, TooMuchWork, KeyConflict, Revoked or TooMuchContention; then nothing is stored.
    """
    return _ingest(principal, _Events(document), raw, key, hops, traceparent)


class _Input(Protocol):
    """The steps of ingesting one kind of body. `_ingest` runs them in this order, again if the plan was stale."""

    def parse(self, config: StoreConfig, now: datetime) -> list[Any]: ...

    def load(
        self, config: StoreConfig, items: list[Any], known: ExistingRecords | None, *, is_locked: bool
    ) -> ExistingRecords | None:
        """Return the records that the items are merged into; None: assume new ones. `known`: from an earlier try."""
        ...

    def plan(self, config: StoreConfig, items: list[Any], known: ExistingRecords | None, now: datetime) -> Plan: ...

    def response(self, plan: Plan) -> Any: ...


class _Objects:
    def __init__(self, document: Any) -> None:
        self._document = document

    def parse(self, config: StoreConfig, now: datetime) -> list[PushedObject]:
        return read_objects(self._document, config.singular_overrides)

    def load(
        self, config: StoreConfig, items: list[PushedObject], known: ExistingRecords | None, *, is_locked: bool
    ) -> ExistingRecords | None:
        if is_locked:
            return known_records(config.store_id, items, is_locked=True)
        if known is not None or _are_likely_new(config, items):
            return known
        return known_records(config.store_id, items)

    def plan(
        self, config: StoreConfig, items: list[PushedObject], known: ExistingRecords | None, now: datetime
    ) -> Plan:
        if known is None:
            with suppress(SchemaViolation, TooMuchWork):
                plan = plan_push(config=config, objects=items, known={}, now=now)
                plan.assumes_new = True
                return plan
            # An object that is invalid by itself may be valid once merged into its record.
            known = known_records(config.store_id, items)
        _remember(config.store_id, is_new=not known)
        return plan_push(config=config, objects=items, known=known, now=now)

    def response(self, plan: Plan) -> dict[str, int]:
        return of_objects(self._document)


class _Events:
    def __init__(self, document: Any) -> None:
        self._document = document

    def parse(self, config: StoreConfig, now: datetime) -> list[PublishedEvent]:
        return read_events(self._document, now)

    def load(
        self, config: StoreConfig, items: list[PublishedEvent], known: ExistingRecords | None, *, is_locked: bool
    ) -> None:
        """Do nothing: events are not merged into records."""

    def plan(
        self, config: StoreConfig, items: list[PublishedEvent], known: ExistingRecords | None, now: datetime
    ) -> Plan:
        return plan_events(config=config, events=items, now=now)

    def response(self, plan: Plan) -> Any:
        return of_events(self._document, plan)


def _are_likely_new(config: StoreConfig, objects: Collection[PushedObject]) -> bool:
    """Whether to assume that the records are new because the last push's were. The write detects a wrong guess."""
    return bool(objects) and _was_new.get(config.store_id, True)


def _remember(store_id: uuid.UUID, *, is_new: bool) -> None:
    if len(_was_new) >= MAX_STORES:
        _was_new.clear()
    _was_new[store_id] = is_new


def _ingest(
    principal: Principal,
    source: _Input,
    raw: bytes,
    key: str | None,
    hops: int,
    traceparent: str | None,
) -> Receipt:
    body_hash = hashlib.sha256(raw).hexdigest() if key is not None else ""
    known: ExistingRecords | None = None
    locked_keys: set[OrderKey] | None = None  # order keys to lock first; None while there is no contention
    for _attempt in range(TRIES):
        if key is not None and (receipt := _earlier_response(principal, key, body_hash)):
            return receipt
        try:
            with nullcontext() if locked_keys is None else _locked(principal.store_id, locked_keys):
                config = config_of(principal.store_id, principal.config_version)
                if config.version != principal.config_version:
                    principal = _refresh(principal)
                    continue
                now = timezone.now()
                items = source.parse(config, now)
                plan = source.plan(
                    config, items, source.load(config, items, known, is_locked=locked_keys is not None), now
                )
                response = source.response(plan)
                if hops:
                    note_arrival(plan, hops)
                plan.trace(traceparent)
                if plan.is_empty and key is None:
                    # There is no write to verify the caller: check explicitly.
                    _refresh(principal)
                    return Receipt(response)
                if locked_keys is not None and not plan.order_keys <= locked_keys:
                    raise PlanIsStale
                notifies = bool(plan.deliveries) and may_notify_inline()
                write_plan(
                    plan, None if key is None else IdempotencyRecord(key, body_hash, response), notifies=notifies
                )
        except RecordsExist as found:
            known = found.known
            continue
        except PlanIsStale:
            # A concurrent push won. To avoid losing again, lock the records while planning.
            known, locked_keys = None, plan.order_keys.union(locked_keys or ())
            principal = _refresh(principal)
            continue
        failpoint("ingest.after_commit")
        if stopped := plan.stopped:
            text = loop_text(stopped, BY_PROGRAM)
            hooks.announced(principal.store_id, None, "loop:push", "error", text, plan.now)
        if plan.deliveries and not notifies:
            wake()
        return Receipt(response)
    raise TooMuchContention


@contextmanager
def _locked(store_id: uuid.UUID, keys: Collection[OrderKey]) -> Iterator[None]:
    """Open a transaction in which a plan cannot become stale: lock the configuration and the order keys.

    The caller then locks the records that it reads. This is the order of `deliveries.storage.locks`.
    """
    with transaction.atomic():
        backend().hold_configuration(store_id)
        lock_order_keys(keys)
        yield


def _refresh(principal: Principal) -> Principal:
    current = refresh(principal)
    if current is None:
        raise Revoked
    if AccessToken.Scope.PUSH not in current.scopes:
        raise ScopeRevoked
    return current


def _earlier_response(principal: Principal, key: str, body_hash: str) -> Receipt | None:
    """Return the key's earlier response, if any. Checks the caller first, because there is no write to verify it."""
    found = IdempotencyKey.objects.filter(store_id=principal.store_id, key=key).first()
    if found is None:
        return None
    _refresh(principal)
    if found.body_hash != body_hash:
        raise KeyConflict
    return Receipt(found.response, is_replay=True)
