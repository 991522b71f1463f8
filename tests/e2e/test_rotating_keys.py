"""The key of encryption changes while web, engines and `rotate_keys` run: nothing fails, nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest

from tests.e2e.installation import Installation
from tests.processes import eventually
from tests.receiver import Receiver

pytestmark = pytest.mark.slow
OLD, NEW = "the-old-key-of-the-tests", "the-new-key-of-the-tests"


def restart(installation: Installation, keys: str) -> None:
    if installation.process is not None:
        os.killpg(installation.process.pid, signal.SIGTERM)
        assert installation.process.wait(30) == 0
    installation.environment["ENCRYPTION_KEYS"] = keys
    installation.start()


class TooMuchContention(threading.Thread):
    """Pushes, and gives the integration another token and another secret, all the time."""

    def __init__(self, installation: Installation, headers: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.installation, self.headers = installation, headers
        self.stopped = threading.Event()
        self.pushed = 0
        self.token = ""
        self.refused: list[object] = []

    def run(self) -> None:
        while not self.stopped.is_set():
            self.pushed += 1
            self.token = f"token-{self.pushed}"
            self._call("POST", "push", {"shipments": [{"id": str(self.pushed)}]})
            self._call("PATCH", "integrations/mirror", {"auth_type": "token", "token": self.token})

    def _call(self, method: str, path: str, body: object) -> None:
        status, answer = self.installation.request(method, f"/api/v1/{path}", body, **self.headers)
        if status not in (200, 202):
            self.refused.append((status, answer))


def test_keys_are_rotated_under_load(installation: Installation, receiver: Receiver) -> None:
    restart(installation, OLD)
    headers = installation.make_store(receiver.url("/hook"))
    pushed = 0
    for keys, rotations in ((f"{OLD},{NEW}", 0), (f"{NEW},{OLD}", 4)):
        restart(installation, keys)
        busy = TooMuchContention(installation, headers)
        busy.start()
        eventually(lambda busy=busy: busy.pushed > 5, 30, "nothing was pushed")
        for _ in range(rotations):
            rotated = json.loads(installation.manage("rotate_keys", "--json"))
            assert rotated["unreadable"] == []
        busy.stopped.set()
        busy.join(30)
        assert busy.refused == []
        pushed += busy.pushed
    assert json.loads(installation.manage("rotate_keys", "--json"))["unreadable"] == []

    restart(installation, NEW)
    assert json.loads(installation.manage("rotate_keys", "--json")) == {
        "seen": rotated["seen"],
        "changed": 0,
        "unreadable": [],
    }
    assert installation.request("POST", "/api/v1/push", {"shipments": [{"id": "last"}]}, **headers)[0] == 202
    eventually(lambda: b'"last"' in receiver.requests[-1].body, 30, "the last one did not come")
    assert receiver.requests[-1].header("Authorization") is not None
    assert busy.token in str(receiver.requests[-1].headers)
    count = "SELECT status, count(*) FROM deliveries_delivery GROUP BY status"
    eventually(lambda: [state for state, _ in installation.rows(count)] == ["succeeded"], 30, "some are still open")
    assert "cannot be decrypted" not in installation.said()
    assert "Traceback" not in installation.said()
