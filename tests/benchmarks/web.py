"""The product's web server, and what is pushed to it."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.engines import Processes
from tests.benchmarks.environment import Installation, Plot
from tests.benchmarks.loadgen import NOW, SERIAL, TURN, write_request
from tests.benchmarks.rows import PAYLOAD


class WebServer(Processes):
    """`manage.py run --only web`, on a port of its own; entered when it answers."""

    def __init__(self, installation: Installation, *, workers: int = 2) -> None:
        self.port = free_port()
        command = ["manage.py", "run", "--only", "web", "--no-migrate", "--port", str(self.port)]
        super().__init__(installation, command, WEB_WORKERS=str(workers))

    def __enter__(self) -> WebServer:
        super().__enter__()
        wait_for_port(self, self.port)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=30) as answer:
            answer.read()
        return self


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(running: Processes, port: int, *, timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            running.require_alive()
            if time.monotonic() > deadline:
                raise RuntimeError(f"The web server does not listen. {running.installation.last_words()}") from None
            time.sleep(0.05)
        else:
            return


def headers_of(plot: Plot) -> dict[str, str]:
    return {"X-Hub-Store": plot.store, "X-Hub-Access-Token": plot.token}


def shipment(prefix: str = "S") -> dict[str, Any]:
    """An object that no push had before, with the time at which it was due to be sent."""
    return {**PAYLOAD, "id": f"{prefix}{SERIAL}", "sent_us": NOW}


def push_request(folder: Path, plot: Plot, *, size: int = 1) -> Path:
    """`POST /api/v1/push` with so many new shipments."""
    document = {"shipments": [shipment() for _ in range(size)]}
    return write_request(folder, "/api/v1/push", document, headers_of(plot))


def source_request(folder: Path, plot: Plot, *, port: int) -> Path:
    """The same shipment at a new source of the kind hub, as a vendor would post it."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/sources",
        json.dumps({"name": "Benchmark", "kind": "hub"}).encode(),
        headers_of(plot),
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        source = json.load(answer)
    path = urlsplit(source["address"]).path
    return write_request(folder, path, {"shipments": [shipment()]}, {"X-Hub-Access-Token": source["secret"]})


def event_request(folder: Path, plot: Plot) -> Path:
    """`POST /api/v1/events` with one event, whose topic goes round the destinations: t000.moved, t001.moved …"""
    document = {"topic": f"t{TURN}.moved", "data": shipment()}
    return write_request(folder, "/api/v1/events", document, headers_of(plot))
