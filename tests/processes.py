"""Helpers for tests with real processes: which processes run, and waiting for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def processes() -> Iterator[tuple[int, int]]:
    """Yield id and process group of all running processes, except zombies."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError, IndexError, ValueError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                yield int(folder.name), int(fields[2])


def started_at(pid: int) -> int | None:
    """Return a process's start in ticks since boot, or None. Ids are reused; pairs of id and start are not."""
    with suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else int(fields[19])
    return None


def children_of(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def name_of(pid: int) -> str:
    """As `ps` and `top` show it: "hookdesk web"."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def descendants_of(pid: int) -> list[int]:
    found = children_of(pid)
    return [*found, *(below for child in found for below in descendants_of(child))]


def connections_of(pid: int) -> set[str]:
    """The inodes of its sockets, without those that listen on a TCP port."""
    found = set()
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if (link := str(entry.readlink())).startswith("socket:["):
                    found.add(link[len("socket:[") : -1])
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return found - {fields[9] for line in lines if (fields := line.split())[3] == "0A"}


def eventually(condition: Callable[[], T], seconds: float = 20, why: str = "it did not happen") -> T:
    """Return the result of `condition` once it is true; fails the test after `seconds`."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"{why} within {seconds:.0f} s"
        time.sleep(0.03)
    return found
