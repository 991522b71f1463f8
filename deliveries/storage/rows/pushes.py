"""Rows that a push writes, and those that it is merged with."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from deliveries.storage.arrays import BIG_NUMBER, FLAG, KEY, NUMBER, TEXT, TIME

#: Subscription and record: an ordered subscription sends one delivery at a time for each.
OrderKey = tuple[uuid.UUID, str]
#: Records by type and id: their versions and data.
ExistingRecords = Mapping[tuple[str, str], tuple[int, dict[str, Any]]]


@dataclass(slots=True)
class EventRow:
    """A row of `deliveries_event`; store, origin and creation time are those of the push."""

    id: Annotated[uuid.UUID, KEY]
    topic: Annotated[str | None, TEXT]
    intent: Annotated[str | None, TEXT]
    object_type: Annotated[str, TEXT]
    object_id: Annotated[str, TEXT]
    data_json: Annotated[str, TEXT, "data"]
    occurred_at: Annotated[datetime, TIME]
    #: Its hops, how many deliveries its responses may cause, and whether it was stopped because of a loop: see
    #: `deliveries.ingest.loops`.
    hops: Annotated[int, NUMBER] = 0
    cascade_left: Annotated[int | None, NUMBER] = None
    is_stopped: Annotated[bool, FLAG] = False
    #: Its trace context: see `integrations.foundation.trace_context`.
    traceparent: Annotated[str | None, TEXT] = None

    @property
    def is_plain(self) -> bool:
        """Whether the columns above have their default values."""
        return not self.hops and self.traceparent is None


@dataclass(slots=True)
class DeliveryRow:
    """A row of `deliveries_delivery`. `due_at`: set when the row is written; None for a held delivery.

    With a `lease`, the delivery is born claimed by the engine that it will be handed to; `due_at` is then the end of
    the lease.
    """

    id: Annotated[uuid.UUID, KEY]
    event_id: Annotated[uuid.UUID, KEY]
    integration_id: Annotated[int, BIG_NUMBER]
    subscription_id: Annotated[uuid.UUID, KEY]
    topic: Annotated[str, TEXT]
    order_key: Annotated[str | None, TEXT]
    due_at: Annotated[datetime | None, TIME] = None
    lease: Annotated[uuid.UUID | None, KEY] = None


@dataclass(slots=True)
class RecordRow:
    """A record. `version`: after the push. `read_version`: when it was read (0: it did not exist)."""

    type: Annotated[str, TEXT]
    external_id: Annotated[str, TEXT]
    data_json: Annotated[str, TEXT, "data"]
    version: Annotated[int, NUMBER]
    read_version: Annotated[int, NUMBER]


@dataclass(slots=True)
class PushRows:
    """All rows of one push, with the versions of the configuration and the records that it was planned with."""

    store_id: uuid.UUID
    config_version: int
    origin: str
    now: datetime
    #: The records were assumed to be new and not looked up.
    assumes_new: bool = False
    records: list[RecordRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    deliveries: list[DeliveryRow] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Whether none of its events was pushed back by a receiver or is traced."""
        return all(row.is_plain for row in self.events)

    def trace(self, traceparent: str | None) -> None:
        """Set the trace context of its events."""
        if traceparent is not None:
            for row in self.events:
                row.traceparent = traceparent


@dataclass(slots=True)
class IdempotencyRecord:
    """The idempotency key of a push, with the response for repeated requests."""

    key: str
    body_hash: str
    response: Any


class WaitingPush(NamedTuple):
    """A push to be written, alone or in a group."""

    rows: PushRows
    idempotency: IdempotencyRecord | None = None

    def keys(self) -> Iterator[tuple[object, ...]]:
        """Yield its records and its idempotency key: no other push of the same group may have any of these."""
        store_id = self.rows.store_id
        for row in self.rows.records:
            yield (store_id, row.type, row.external_id)
        if self.idempotency is not None:
            yield (store_id, self.idempotency.key)


class PushCount(NamedTuple):
    """The pushes of a store in the Unix second `second`. `now`: Unix seconds of the same clock."""

    used: int
    second: int
    now: float


class PlanIsStale(Exception):
    """The configuration, a record or an idempotency key changed since the plan was made. Plan again."""


class RecordsExist(Exception):
    """Records that the plan assumed to be new exist. Nothing was stored; `known` are the existing ones."""

    def __init__(self, known: ExistingRecords) -> None:
        super().__init__(f"{len(known)} records exist")
        self.known = known


#: The result of one push of a group: stored (None), or the reason why nothing of it was stored.
Verdict = PlanIsStale | RecordsExist | None


def raise_unless_stored(verdict: Verdict, rows: PushRows) -> None:
    """Raise the verdict of a push that was written alone. RecordsExist only applies if it assumed new records."""
    if isinstance(verdict, RecordsExist) and not rows.assumes_new:
        raise PlanIsStale
    if verdict is not None:
        raise verdict
