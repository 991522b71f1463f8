"""Starting the C receiver and reading its ledger, also while it runs."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass

from tests.benchmarks.programs import build_program, fast_folder

HEAD_BYTES = 4096
_HEAD = struct.Struct("<8Q")
_ENTRY = struct.Struct("<QQQQI36s")
#: `answer_delay` of a receiver that never answers.
NEVER = -0.001


@dataclass(frozen=True, slots=True)
class Entry:
    """One request as the receiver saw it. Times in µs; `steady_us` is monotonic, the others since 1970."""

    received_us: int
    steady_us: int
    sent_us: int
    serial: int
    destination: int
    webhook_id: str


@dataclass(frozen=True, slots=True)
class Head:
    port: int
    count: int
    overflow: int
    in_flight: int
    most_in_flight: int
    connections: int
    most_connections: int
    malformed: int


class LedgerError(AssertionError):
    """Something was lost, doubled or garbled: the run proves nothing but a fault."""


class LedgerReceiver:
    """A context manager. `answer_delay` in seconds, `NEVER` to hang."""

    def __init__(self, *, answer_delay: float = 0.0, capacity: int = 2_000_000) -> None:
        self._folder = fast_folder()
        self._path = self._folder / "ledger"
        self._values = [str(self._path), str(capacity), str(round(answer_delay * 1000))]
        self._bytes = HEAD_BYTES + capacity * _ENTRY.size

    def __enter__(self) -> LedgerReceiver:
        self.process = subprocess.Popen([build_program("receiver"), "0", *self._values])
        deadline = time.monotonic() + 10
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("The receiver did not start.")
            time.sleep(0.01)
        self.port = self.head.port
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()
        self._map.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _is_ready(self) -> bool:
        if not self._path.exists() or self._path.stat().st_size < self._bytes:
            return False
        if not hasattr(self, "_map"):
            with self._path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), self._bytes, prot=mmap.PROT_READ)
        return self.head.port != 0

    @property
    def head(self) -> Head:
        return Head(*_HEAD.unpack_from(self._map))

    @property
    def count(self) -> int:
        return self.head.count

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        last = self.count if end is None else end
        view = memoryview(self._map)[HEAD_BYTES + start * _ENTRY.size : HEAD_BYTES + last * _ENTRY.size]
        try:
            for received, steady, sent, serial, destination, name in _ENTRY.iter_unpack(view):
                yield Entry(received, steady, sent, serial, destination, name.rstrip(b"\0").decode())
        finally:
            view.release()

    def seconds(self, start: int = 0, end: int | None = None) -> float:
        """From the first of these requests to the last, by the monotonic clock."""
        times = [entry.steady_us for entry in self.entries(start, end)]
        return (max(times) - min(times)) / 1e6 if times else 0.0

    def check(self, expected: Set[str]) -> None:
        """Raises LedgerError unless each of these ids came in exactly once, and nothing else."""
        head = self.head
        if head.overflow or head.malformed:
            raise LedgerError(f"{head.overflow} requests past the ledger's end, {head.malformed} malformed")
        seen: set[str] = set()
        doubled = []
        for entry in self.entries():
            if entry.webhook_id in seen:
                doubled.append(entry.webhook_id)
            seen.add(entry.webhook_id)
        lost, strange = expected - seen, seen - expected
        if lost or doubled or strange:
            found = f"{len(lost)} lost, {len(doubled)} doubled, {len(strange)} that nobody sent"
            examples = sorted([*lost, *doubled, *strange])[:3]
            raise LedgerError(f"of {len(expected)} deliveries: {found} (such as {', '.join(examples)})")
