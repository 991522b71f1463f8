"""The storage interface that PostgreSQL and SQLite implement, and the choice between them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache
from typing import Any, Protocol

from django.db import connection
from django.db.models import QuerySet

from deliveries.storage.rows.claims import IntegrationQueue, Leased
from deliveries.storage.rows.figures import AttemptFigure
from deliveries.storage.rows.pushes import (
    ExistingRecords,
    IdempotencyRecord,
    PushCount,
    PushRows,
    Verdict,
    WaitingPush,
)
from deliveries.storage.rows.reservations import ReservableIntegration
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery
from deliveries.storage.rows.search import Needed


class Waiter(Protocol):
    """An engine's listener. `wait` returns True when woken, False after `timeout` seconds."""

    def wait(self, timeout: float) -> bool: ...

    def close(self) -> None: ...


class Backend(Protocol):
    # --- claims ---------------------------------------------------------------------------------------------------

    def lock_claims(self) -> None:
        """Prevent other engines from claiming until the transaction ends."""

    def queued_integrations(self, now: datetime) -> list[IntegrationQueue]:
        """Return the enabled integrations that have queued deliveries, due or not."""

    def lease(self, shares: Mapping[int, int], lease: uuid.UUID, now: datetime) -> Leased:
        """Lease the earliest due deliveries of each integration, up to its share.

        They stay locked until the transaction ends. Those locked by another transaction are skipped.
        """

    def lock_numbers(self, numbers: list[int]) -> None:
        """Lock these numbers (signed 64-bit) in the given order until the transaction ends."""

    # --- reservations of capacity ---------------------------------------------------------------------------------

    def reservable(
        self, engine_id: int, host: str, integrations: Collection[int], now: datetime
    ) -> list[ReservableIntegration]:
        """Return those of `integrations` at which this engine, which runs on `host`, may reserve capacity."""

    def replace_reservations(self, engine_id: int, rooms: Mapping[int, int], until: datetime) -> None:
        """Give the engine exactly these reservations, by integration."""

    # --- pushes ---------------------------------------------------------------------------------------------------

    @property
    def has_one_writer(self) -> bool:
        """Whether only one transaction can write at a time, and waiting ones poll for their turn."""

    def write_push(
        self, rows: PushRows, idempotency: IdempotencyRecord | None = None, *, notifies: bool = False
    ) -> None:
        """Store all rows of a push in a transaction or savepoint of its own. `notifies`: the commit wakes the engines.

        Stores nothing and raises PlanIsStale if a precondition no longer holds, RecordsExist if records assumed to be
        new exist.
        """

    def write_pushes(
        self,
        pushes: Sequence[WaitingPush],
        *,
        notifies: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Verdict]:
        """Store several pushes in one transaction, each of them completely or not at all; return their verdicts.

        `meanwhile` is called while the transaction runs, again if it has to be repeated; it must not raise.
        Call outside a transaction. No two pushes may share a key (`WaitingPush.keys`). Raises DatabaseError, and stores
        nothing, if one of them cannot be written at all.
        """

    def existing_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        """Return the existing records among these types and ids (at least one)."""

    def locked_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        """Return the same, locked until the transaction ends. May create placeholders of version 0 for records that do
        not exist; the same transaction must write or delete them."""

    def hold_configuration(self, store_id: uuid.UUID) -> None:
        """Lock the store's configuration against changes until the transaction ends. Pushes share the lock."""

    def count_pushes(self, store_id: uuid.UUID, number: int) -> PushCount:
        """Add pushes to the current second's count and return the new count. The commit need not be durable."""

    # --- results --------------------------------------------------------------------------------------------------

    def record_results(
        self,
        deliveries: Sequence[RecordedDelivery],
        attempts: Sequence[EndedAttempt],
        figures: Sequence[AttemptFigure] = (),
    ) -> set[uuid.UUID]:
        """Write the new states of deliveries whose lease is still current; return their ids.

        Also write all attempts as `write_attempts` does, as late where the lease is gone, and count the figures of the
        others. Uses a single statement where the database supports it.
        """

    def record_alone(
        self,
        deliveries: Sequence[RecordedDelivery],
        attempts: Sequence[EndedAttempt],
        figures: Sequence[AttemptFigure] = (),
    ) -> set[uuid.UUID] | None:
        """Like `record_results`, in a transaction of its own. Writes nothing and returns None if any delivery awaits
        its source.
        """

    def count_attempts(self, figures: Sequence[AttemptFigure]) -> None:
        """Add these figures to this process's counts."""

    def write_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        """Insert attempts, unless their delivery is gone. Replace a row with the same delivery and number only if its
        outcome is unknown: a batch whose commit was not confirmed is recorded twice.
        """

    def interrupt_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        """Insert attempts without a row. A row of a running one, as earlier versions wrote it, becomes unknown."""

    # --- wake-ups -------------------------------------------------------------------------------------------------

    @property
    def commits_wake(self) -> bool:
        """Whether engines detect each commit without being notified."""

    def notify(self) -> None:
        """Wake the engines when the transaction commits."""

    def make_waiter(self, *, is_standby: bool = False) -> Waiter:
        """Return a waiter for wake-ups. `is_standby`: listen less often if listening costs CPU."""

    # --- search ---------------------------------------------------------------------------------------------------

    def missing_text_index(self, table: str) -> str:
        """Return why a table of search documents has no text index, and what to do; empty if it has one."""

    def indexed_rows(self, rows: QuerySet[Any, Any], needed: Needed, limit: int) -> list[Any]:
        """Return the newest `limit` of the documents `rows`, found by the index, as tuples that begin with the id.

        `needed` expresses the conditions of `rows` on the text; each of its texts has at least three characters, all
        letters or digits.
        """

    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        """Limit the time of each statement in the block, on SQLite of all together. Exceeding it raises TookTooLong."""

    # --- other ----------------------------------------------------------------------------------------------------

    def database_file(self) -> str | None:
        """Return the path of the database file; None for a server."""

    @property
    def byte_collation(self) -> str:
        """The collation that sorts text as Python does, by code points."""

    def holds_text(self, column: str, text: str) -> tuple[str, Any]:
        """Return SQL for whether a text or JSON column contains this text, and its parameter. Ignores case, at least
        that of ASCII letters. Uses no index: restrict the rows by other conditions."""

    def holds_bytes(self, column: str, text: str) -> tuple[str, Any]:
        """Return the same for a column of bytes, which need not be valid UTF-8."""

    def unix_seconds(self, column: str) -> str:
        """Return SQL for whole seconds since 1970."""

    def milliseconds(self, begin: str, end: str) -> str:
        """Return SQL for the milliseconds from one time to another."""

    def bin_of(self, value: str, bounds: Sequence[int]) -> str:
        """Return SQL for the number of ascending bounds that are less than or equal to the value."""

    def prefer_indexes(self) -> None:
        """Make the planner prefer indexes over table scans until the transaction ends."""

    def estimated_rows(self, table: str) -> int:
        """Estimate the rows of a large table from statistics, without reading it."""

    def server_clock(self) -> datetime | None:
        """Return the time of the database server; None if the database uses this machine's clock."""


@cache
def backend() -> Backend:
    if connection.vendor == "postgresql":
        from deliveries.storage.postgresql import PostgreSQL

        return PostgreSQL()
    from deliveries.storage.sqlite import SQLite

    return SQLite()
