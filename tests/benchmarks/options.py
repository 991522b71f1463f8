"""What a run is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`scale` shrinks numbers of deliveries and seconds alike: 1 in full, less with --quick."""

    is_quick: bool = False
    databases: tuple[str, ...] = ("postgresql", "sqlite")
    transports: tuple[str, ...] = ("requests", "curl")
    repeat: int = 3
    backlogs: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    finished: int = 10_000_000
    #: Of `live` alone: what is measured, with how many clients, and what is sent to whom.
    parts: tuple[str, ...] = ("rates", "load", "stored")
    clients: tuple[int, ...] = (1, 8, 50, 200)
    event_size: int = 350
    subscriptions: int = 1
    is_filtered: bool = False

    def count(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full

    def seconds(self, full: float, quick: float) -> float:
        return quick if self.is_quick else full
