"""Driving the C load generator."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.programs import build_program

SERIAL = "@SERIAL@@@@@"
#: Stands where a number does, so it must not be quoted in the JSON: see `write_request`.
NOW = "@NOW@@@@@@@@@@@@"
TURN = "@T@"


@dataclass(frozen=True, slots=True)
class Load:
    """Latencies are of the answers, in µs from when the request was due."""

    accepted: int
    refused: int
    broken: int
    sent: int
    seconds: float
    p50_us: int
    p99_us: int

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds

    def require_clean(self) -> Load:
        if self.refused or self.broken:
            raise RuntimeError(f"{self.refused} requests were refused and {self.broken} broke off")
        return self


def write_request(folder: Path, path: str, document: Any, headers: Mapping[str, str]) -> Path:
    """A file with a whole request; marks in it are replaced for each request that is sent."""
    body = json.dumps(document, separators=(",", ":")).replace(f'"{NOW}"', NOW).encode()
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    head.append(f"Content-Length: {len(body)}")
    file = folder / f"request-{path.strip('/').replace('/', '-')}"
    file.write_bytes("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    return file


def start_load(
    port: int, request: Path, *, seconds: float, connections: int, rate: float = 0, first: int = 1, modulo: int = 1
) -> subprocess.Popen[bytes]:
    values = [port, connections, seconds, rate, first, modulo, request]
    return subprocess.Popen([build_program("load"), *map(str, values)], stdout=subprocess.PIPE)


def run_load(
    port: int, request: Path, *, seconds: float, connections: int, rate: float = 0, first: int = 1, modulo: int = 1
) -> Load:
    """`rate` per second on schedule, or 0: the next request as soon as the one before is answered."""
    process = start_load(port, request, seconds=seconds, connections=connections, rate=rate, first=first, modulo=modulo)
    return finish_load(process, seconds)


def finish_load(process: subprocess.Popen[bytes], seconds: float) -> Load:
    try:
        output, _ = process.communicate(timeout=seconds + 60)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError("The load generator failed.")
    return Load(**json.loads(output))
