"""The storage interface that PostgreSQL and SQLite implement, and the choice between them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
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

    # --- pushes ---------------------------------------------------------------------------------------------------

    @property
    def has_one_writer(self) -> bool:
        """Whether one transaction writes at a time, and those that wait for it only look now and then."""

    def write_push(
        self, rows: PushRows, idempotency: IdempotencyRecord | None = None, *, notifies: bool = False
    ) -> None:
        """Store all rows of a push in a transaction or savepoint of its own. `notifies`: the commit wakes the engines.

        Stores nothing and raises PlanIsStale if a precondition no longer holds, RecordsExist if records assumed to be
        new exist.
        """

    def write_pushes(self, pushes: Sequence[WaitingPush], *, notifies: bool = False) -> list[Verdict]:
        """Store them together: one transaction, one wait for the disk, but each of them whole or not at all.

        No two of them may share a key (`WaitingPush.keys`). Outside of a transaction. What became of each, in their
        order. Raises DatabaseError, and none is stored, if one of them cannot be written at all.
        """

    def existing_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        """Return the existing records among these types and ids (at least one)."""

    def locked_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        """The same, held until the transaction ends. Of what does not exist, an empty record of version 0 may be made,
        which the same transaction must write or delete."""

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
        """Write the new states where the lease still stands; the ids of those. Write the attempt of each as
        `write_attempts` does, those whose lease is gone as late. Count the figures of the others, all in one statement
        where the database can.
        """

    def record_alone(
        self,
        deliveries: Sequence[RecordedDelivery],
        attempts: Sequence[EndedAttempt],
        figures: Sequence[AttemptFigure] = (),
    ) -> set[uuid.UUID] | None:
        """`record_results` in a transaction of its own. None, and nothing is written, if any delivery at all awaits its
        source.
        """

    def count_attempts(self, figures: Sequence[AttemptFigure]) -> None:
        """Add these figures to the counts of this process."""

    def write_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        """Insert them, unless their delivery is gone. A row of the same delivery and number is replaced if its end is
        unknown; what has ended stays: a batch whose commit was never confirmed is recorded again.
        """

    def interrupt_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        """Insert those that have no row yet. One that has, of a version that wrote it at the start, ends as unknown."""

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
        """Why a table of search documents has no index over its texts, and what to do; empty if it has one."""

    def indexed_rows(self, rows: QuerySet[Any, Any], needed: Needed, limit: int) -> list[Any]:
        """The newest of the documents `rows`, up to `limit`, by the index: tuples, of which the id is the first.

        Their conditions on the text say the same as `needed`, whose texts have three letters or digits together.
        """

    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        """Within it, a statement that takes longer raises TookTooLong; on SQLite, if all of them together do."""

    # --- the rest -------------------------------------------------------------------------------------------------

    def database_file(self) -> str | None:
        """The path of the database file; None for a server."""

    @property
    def byte_collation(self) -> str:
        """The collation that sorts text as Python does, by code points."""

    def holds_text(self, column: str, text: str) -> tuple[str, Any]:
        """SQL: whether a column of text or JSON holds this text, without regard to the case of ASCII letters at least;
        and the parameter of the condition. No index helps: for rows chosen by other conditions."""

    def holds_bytes(self, column: str, text: str) -> tuple[str, Any]:
        """The same for a column of bytes, of which some may not be UTF-8."""

    def unix_seconds(self, column: str) -> str:
        """SQL: whole seconds since 1970."""

    def milliseconds(self, begin: str, end: str) -> str:
        """SQL: from one time to another."""

    def bin_of(self, value: str, bounds: Sequence[int]) -> str:
        """SQL: the number of ascending bounds that are less than or equal to the value."""

    def prefer_indexes(self) -> None:
        """Make the planner prefer indexes to scanning tables until the transaction ends."""

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
