"""What a run took: processor time and memory of processes from /proc, percentiles, medians."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
PACKAGES = ("Django", "djangorestframework", "django-q2", "requests", "urllib3", "pycurl", "psycopg", "gunicorn")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process: CPU in seconds since it began, memory in MB. `private_mb` (PSS) counts shared pages by share."""

    pid: int
    name: str
    cpu: float
    resident_mb: float
    private_mb: float
    peak_mb: float


def family_of(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family, found = [pid], {pid}
    while True:
        more = [child for child, parent in parents.items() if parent in found and child not in found]
        if not more:
            return family
        found.update(more)
        family += sorted(more)


def cpu_of(pids: Iterable[int]) -> float:
    """Seconds of processor time that these processes have used; those that are gone count nothing."""
    return sum(processor_times(pids).values())


def processor_times(pids: Iterable[int]) -> dict[int, float]:
    """Seconds of processor time that each of these processes has used; those that are gone are left out."""
    times = {}
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            times[pid] = (int(fields[11]) + int(fields[12])) / TICKS
    return times


def usage_of(pid: int) -> Usage | None:
    """None: the process is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        status = (folder / "status").read_text()
        rollup = (folder / "smaps_rollup").read_text()
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    return Usage(
        pid,
        command,
        cpu_of([pid]),
        _kilobytes(status, "VmRSS") / 1024,
        _kilobytes(rollup, "Pss") / 1024,
        _kilobytes(status, "VmHWM") / 1024,
    )


def _kilobytes(text: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int((len(ordered) - 1) * share + 0.5))]


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = re.search(r"model name\s*:\s*(.+)", _text("/proc/cpuinfo"))
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(_kilobytes(_text("/proc/meminfo"), "MemTotal") / 2**20, 1),
        "system": platform.platform(),
        "fdatasync_ms": fdatasync_ms(),
        "load_before": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def fdatasync_ms() -> dict[str, float]:
    """How long the disk of the checkout takes to make 8 kB durable: what each commit waits for."""
    times = []
    with tempfile.TemporaryFile(dir=Path(__file__).parent) as file:
        file.write(bytes(8192))
        for _ in range(100):
            file.seek(0)
            started = time.perf_counter()
            file.write(bytes(8192))
            file.flush()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return {"p50": round(percentile(times, 0.5), 3), "p99": round(percentile(times, 0.99), 3)}


def _text(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text()
    return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""
