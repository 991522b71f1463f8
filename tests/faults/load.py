"""Clients that push through whatever happens, and the oracle: the receiver's ledger against the database."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import uuid
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.installation import Host, Installation
from tests.receiver import read_ledger


@dataclass
class Pushers:
    """Threads that send events until they are stopped. An event that got no 202 is sent again, with its key, to the
    next host, as a client should; what got one is in `accepted`: event id by number.
    """

    hosts: Callable[[], list[Host]]
    topic: str = "load.made"
    threads: int = 4
    pause: float = 0.02
    document: Callable[[int], dict[str, Any]] = lambda number: {"id": str(number), "text": "x" * 200}
    accepted: dict[int, str] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __enter__(self) -> Pushers:
        self._stop = threading.Event()
        self._running = [threading.Thread(target=self._push) for _ in range(self.threads)]
        for thread in self._running:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Each thread gets its last event through first."""
        self._stop.set()
        for thread in self._running:
            thread.join(60)

    def wait_for(self, count: int, timeout: float = 60) -> None:
        until = time.monotonic() + timeout
        goal = len(self.accepted) + count
        while len(self.accepted) < goal:
            assert time.monotonic() < until, f"{len(self.accepted)} of {goal} events were accepted: {self.refused}"
            time.sleep(0.02)

    def _push(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            document = {"topic": self.topic, "data": self.document(number)}
            self._push_one(number, document, uuid.uuid4().hex)
            self._stop.wait(self.pause)

    def _push_one(self, number: int, document: dict[str, Any], key: str) -> None:
        until = time.monotonic() + 60
        for turn in itertools.count(number):
            hosts = self.hosts()
            try:
                status, answer = hosts[turn % len(hosts)].request("POST", "/api/v1/events", document, key=key)
            except (OSError, http.client.HTTPException):
                status, answer = 0, None
            if status == 202:
                self.accepted[number] = answer["id"]
                return
            self.refused[status] += 1
            if status not in (0, 503):
                self.strange.append(f"{status}: {answer}")
                return
            if time.monotonic() > until:
                self.strange.append(f"event {number} was not accepted within a minute")
                return
            time.sleep(0.1)


@dataclass
class Verdict:
    """What the oracle counted."""

    accepted: int
    requests: int
    duplicates: int
    unknown: int
    late: int


def judge(installation: Installation, ledger: Path | Iterable[Path], accepted: Iterable[str] = ()) -> Verdict:
    """Nothing lost, nothing sent that is not recorded, no repetition without an attempt that says why.

    `accepted` are event ids that were answered with 202.
    """
    paths = [ledger] if isinstance(ledger, Path) else list(ledger)
    requests = [line for path in paths for line in read_ledger(path)]
    sent = Counter(_webhook_id(line) for line in requests)
    bodies = {_webhook_id(line): _body(line) for line in requests}
    deliveries = {f"msg_{hexadecimal(row[0])}": row for row in installation.rows(
        "SELECT d.id, d.event_id, d.status, d.due_at FROM deliveries_delivery d"
        " JOIN deliveries_event e ON e.id = d.event_id WHERE e.origin <> 'test'"
    )}  # fmt: skip
    attempts: dict[str, Counter[str]] = {}
    for key, outcome, body in installation.rows("SELECT delivery_id, outcome, request_body FROM deliveries_attempt"):
        name = f"msg_{hexadecimal(key)}"
        attempts.setdefault(name, Counter())[outcome] += 1
        if outcome == "unknown" and not body:
            continue  # the worker died with what it sent
        assert name not in bodies or bytes(body) == bodies[name], f"{name}: the body sent is not the one recorded"

    strange = set(sent) - set(deliveries)
    assert not strange, f"sent but not in the database: {strange}"
    events = {hexadecimal(row[1]) for row in deliveries.values()}
    lost = {event for event in accepted if _event_key(event) not in events}
    assert not lost, f"accepted and not stored: {lost}"
    for name, (_, _, status, due_at) in deliveries.items():
        assert (status, due_at) == ("succeeded", None), f"{name} is {status}, due {due_at}"
        assert sent[name], f"{name} counts as succeeded and was never received"
        tries = attempts[name]
        assert tries["running"] == 0, f"{name} has an attempt without an end: {tries}"
        assert sent[name] <= sum(tries.values()), f"{name}: {sent[name]} requests but {tries}"
        assert tries["succeeded"] == 1, f"{name}: {tries}"
    everything = sum(attempts.values(), Counter())
    duplicates = sum(sent.values()) - len(sent)
    return Verdict(len(set(accepted)), sum(sent.values()), duplicates, everything["unknown"], everything["late"])


def hexadecimal(value: Any) -> str:
    """Of a UUID as either database gives it."""
    return str(value).replace("-", "")


def _event_key(public: str) -> str:
    from integrations.foundation.identifiers import parse_public_id

    key = parse_public_id("evt", public)
    assert key is not None, public
    return key.hex


def _webhook_id(line: dict[str, Any]) -> str:
    return next(value for name, value in line["headers"] if name.lower() == "webhook-id")


def _body(line: dict[str, Any]) -> bytes:
    return b64decode(line["raw"]).partition(b"\r\n\r\n")[2]


def data_of(line: dict[str, Any]) -> dict[str, Any]:
    """The event's data in a request of the `standard` format."""
    found: dict[str, Any] = json.loads(_body(line))["data"]
    return found
