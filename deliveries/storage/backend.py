"""The interface that PostgreSQL and SQLite both have, and which of them it is."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Protocol

from django.db import connection

from deliveries.storage.rows.claims import IntegrationQueue, Leased
from deliveries.storage.rows.pushes import (
    ExistingRecords,
    IdempotencyRecord,
    PushCount,
    PushRows,
    Verdict,
    WaitingPush,
)
from deliveries.storage.rows.results import EndedAttempt, RecordedDelivery


class Waiter(Protocol):
    """An engine's listener. `wait` returns True when woken, False after `timeout` seconds."""

    def wait(self, timeout: float) -> bool: ...

    def close(self) -> None: ...


class Backend(Protocol):
    # --- claims ---------------------------------------------------------------------------------------------------

    def lock_claims(self) -> None:
        """Until the transaction ends, no other engine claims."""

    def queued_integrations(self, now: datetime) -> list[IntegrationQueue]:
        """Those that are enabled and have anything queued, due or not."""

    def lease(self, shares: Mapping[int, int], lease: uuid.UUID, now: datetime) -> Leased:
        """Of each integration, the earliest due deliveries up to its share, now under this lease.

        Until the transaction ends, they are ours. Those that another transaction has locked are left out.
        """

    def lock_numbers(self, numbers: list[int]) -> None:
        """Until the transaction ends, nobody else gets these: signed 64-bit, in the order in which they are locked."""

    # --- pushes ---------------------------------------------------------------------------------------------------

    @property
    def can_guess_new(self) -> bool:
        """Whether `write_push` takes rows that assume that their records are new."""

    def write_push(
        self, rows: PushRows, repetition: IdempotencyRecord | None = None, *, notifies: bool = False
    ) -> None:
        """Store all of it, or nothing if a premise no longer holds (PlanIsStale) or a guess was wrong (RecordsExist).

        A transaction or savepoint of its own. `notifies`: the commit also wakes the engines.
        """

    def write_pushes(self, pushes: Sequence[WaitingPush], *, notifies: bool = False) -> list[Verdict]:
        """Store them together: one transaction, one wait for the disk, but each of them whole or not at all.

        No two of them may share a key (`WaitingPush.keys`). Outside of a transaction. What became of each, in their
        order. Raises DatabaseError, and none is stored, if one of them cannot be written at all.
        """

    def existing_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        """Those of these types and ids (at least one) that exist."""

    def locked_records(self, store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
        """The same, held until the transaction ends. Of what does not exist, an empty record of version 0 may be made,
        which the same transaction must write or delete."""

    def hold_configuration(self, store_id: uuid.UUID) -> None:
        """Until the transaction ends, the store's configuration stays as it is. Shared with other pushes."""

    def count_pushes(self, store_id: uuid.UUID, number: int) -> PushCount:
        """Count so many more pushes into this second; what is used of it then. A commit that need not wait for disk."""

    # --- results --------------------------------------------------------------------------------------------------

    def record_results(
        self, deliveries: Sequence[RecordedDelivery], attempts: Sequence[EndedAttempt]
    ) -> set[uuid.UUID]:
        """Write the new states where the lease still stands; the ids of those. Write the attempt of each as
        `write_attempts` does, those whose lease is gone as late.
        """

    def record_alone(
        self, deliveries: Sequence[RecordedDelivery], attempts: Sequence[EndedAttempt]
    ) -> set[uuid.UUID] | None:
        """`record_results` in a transaction of its own. None, and nothing is written, if any delivery at all awaits its
        source.
        """

    def write_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        """Insert them, unless their delivery is gone. A row of the same delivery and number is replaced if its end is
        unknown; what has ended stays: a batch whose commit was never confirmed is recorded again.
        """

    def interrupt_attempts(self, rows: Sequence[EndedAttempt]) -> None:
        """Insert those that have no row yet. One that has, of a version that wrote it at the start, ends as unknown."""

    # --- wake-ups -------------------------------------------------------------------------------------------------

    @property
    def commits_wake(self) -> bool:
        """Whether engines see each commit by themselves."""

    def notify(self) -> None:
        """Wake the engines, when the transaction commits."""

    def make_waiter(self, *, is_standby: bool = False) -> Waiter:
        """`is_standby`: another engine of this host listens too, and is quicker where listening costs something."""

    # --- the rest -------------------------------------------------------------------------------------------------

    def database_file(self) -> str | None:
        """None for a server."""

    @property
    def byte_collation(self) -> str:
        """The collation that sorts text as Python does, by code points."""

    def unix_seconds(self, column: str) -> str:
        """SQL: whole seconds since 1970."""

    def milliseconds(self, begin: str, end: str) -> str:
        """SQL: from one time to another."""

    def bin_of(self, value: str, bounds: Sequence[int]) -> str:
        """SQL: how many of the ascending bounds are not above the value."""

    def prefer_indexes(self) -> None:
        """Until the transaction ends, no table is read as a whole where an index would do."""

    def estimated_rows(self, table: str) -> int:
        """From what the database knows of a large table, without reading it."""

    def server_clock(self) -> datetime | None:
        """The time at the database's server; None where that is this machine's clock."""


@cache
def backend() -> Backend:
    if connection.vendor == "postgresql":
        from deliveries.storage.postgresql import PostgreSQL

        return PostgreSQL()
    from deliveries.storage.sqlite import SQLite

    return SQLite()
