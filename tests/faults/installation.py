"""Whole installations under test: hosts that run `manage.py run`, a database, perhaps a broker, and their undoing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.servers import free_port
from tests.processes import name_of

ROOT = Path(__file__).resolve().parent.parent.parent
#: In the environment of everything that a host starts, and nowhere else: what is killed is ours.
MARK = "HOOKDESK_FAULT_MARK"


def wait_until(condition: Callable[[], Any], *, timeout: float, what: str) -> Any:
    """The condition's first true value. Fails the test after `timeout` seconds."""
    until = time.monotonic() + timeout
    while True:
        if found := condition():
            return found
        assert time.monotonic() < until, f"not within {timeout:.0f} s: {what}"
        time.sleep(0.05)


def python_of(root: Path) -> str:
    """The interpreter with what the code there needs: another version has an environment of its own."""
    own = root / ".venv" / "bin" / "python"
    return str(own) if root != ROOT and own.exists() else sys.executable


@dataclass
class Installation:
    """One database and what runs on it. `name` says which kind, for messages."""

    name: str
    database_url: str
    folder: Path
    redis_url: str = ""
    hosts: list[Host] = field(default_factory=list)
    store: str = ""
    token: str = ""
    _connection: Any = None

    @property
    def is_postgresql(self) -> bool:
        return self.database_url.startswith("postgres")

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
        return {
            **kept,
            "ENV_FILE": os.devnull,
            "DEBUG": "false",
            "SECRET_KEY": "a-secret-key-for-fault-tests-that-is-long-enough-for-the-checks",
            "ENCRYPTION_KEYS": "a-passphrase-for-fault-tests",
            "OUTBOUND_ALLOW": "127.0.0.0/8",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "ENGINE_PROCESSES": "1",
            "WEB_WORKERS": "1",
            "RETRY_JITTER": "0",
            "LOG_LEVEL": "WARNING",
            **variables,
        }

    def run(self, *command: str, root: Path = ROOT, **variables: str) -> str:
        """What a command of the product printed; `root` is where its code is."""
        done = subprocess.run(
            [python_of(root), *command],
            cwd=root, env=self.environment(**variables), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{command} failed: {done.stderr[-2000:]}"
        return done.stdout

    def make_store(self, root: Path = ROOT) -> None:
        made = json.loads(self.run("manage.py", "createstore", "Fault store", "--json", root=root))
        self.store, self.token = made["store"], made["access_token"]

    def start_host(self, name: str = "a", *, only: str = "", root: Path = ROOT, **variables: str) -> Host:
        """Started and answering; `only` is `web` or empty, `root` is where its code is."""
        host = Host(self, name, variables, ["--only", only] if only else [], root)
        self.hosts.append(host)
        host.start()
        host.wait_until_up()
        return host

    def close(self) -> None:
        for host in self.hosts:
            host.kill()
        if self._connection is not None:
            self._connection.close()

    # --- the database, past the product -------------------------------------------------------------------

    def rows(self, query: str, *values: Any) -> Sequence[Sequence[Any]]:
        """`query` with `?` for values."""
        if self._connection is None:
            self._connection = self._connect()
        text = query.replace("?", "%s") if self.is_postgresql else query
        return self._connection.execute(text, values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        return self.rows(query, *values)[0][0]

    def execute(self, query: str) -> None:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.execute(query)

    def reconnect(self) -> None:
        with suppress(Exception):
            self._connection.close()
        self._connection = None

    def _connect(self) -> Any:
        if self.is_postgresql:
            import psycopg

            return psycopg.connect(self.database_url, autocommit=True)
        return sqlite3.connect(self.database_url.removeprefix("sqlite:///"), timeout=60, isolation_level=None)

    def let_leases_run_out(self) -> None:
        """As if timeout + 30 s had passed since their workers died."""
        now = "now()" if self.is_postgresql else "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
        self.execute(f"UPDATE deliveries_delivery SET due_at = {now} WHERE status = 'sending'")

    def let_leases_before_run_out(self, engine: int, *, seconds: int) -> None:
        """Those of engines that ended before this one (a process id) started; `seconds`: how long leases are."""
        if self.is_postgresql:
            now, end = "now()", f"started_at + interval '{seconds} seconds'"
        else:
            now, end = (
                f"strftime('%Y-%m-%d %H:%M:%f000', {moment})"
                for moment in ("'now'", f"started_at, '+{seconds} seconds'")
            )
        ends = f"(SELECT {end} FROM deliveries_engine WHERE pid = {int(engine)})"
        self.execute(f"UPDATE deliveries_delivery SET due_at = {now} WHERE status = 'sending' AND due_at < {ends}")

    def open_deliveries(self) -> int:
        return int(self.value("SELECT count(*) FROM deliveries_delivery WHERE due_at IS NOT NULL"))

    def engines(self, host: str | None = None) -> list[int]:
        """Process ids of the engines by their heartbeat rows."""
        query = "SELECT pid FROM deliveries_engine"
        found = self.rows(query) if host is None else self.rows(f"{query} WHERE host = ?", host)
        return [row[0] for row in found]

    def wait_for_engines(self, count: int = 1, host: str | None = None, timeout: float = 40) -> list[int]:
        def alive() -> list[int]:
            pids = [pid for pid in self.engines(host) if is_running(pid)]
            return pids if len(pids) >= count else []

        found: list[int] = wait_until(alive, timeout=timeout, what=f"{count} engines of {host or 'any host'}")
        return found

    def wait_until_drained(self, timeout: float = 60) -> None:
        wait_until(lambda: not self.open_deliveries(), timeout=timeout, what=f"nothing is due: {self.summary()}")

    def summary(self) -> str:
        found = self.rows("SELECT status, count(*), min(due_at), max(crash_count) FROM deliveries_delivery GROUP BY 1")
        return f"{[tuple(map(str, row)) for row in found]}"


@dataclass
class Host:
    """`manage.py run` and all that it starts."""

    installation: Installation
    name: str
    variables: dict[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    #: Where its code is: another version's, for upgrades.
    root: Path = ROOT

    def start(self) -> None:
        self.port = free_port()
        self.mark = uuid.uuid4().hex
        variables = {"HOOKDESK_HOST": self.name, MARK: self.mark, **self.variables}
        with (self.installation.folder / f"{self.name}.log").open("ab") as output:
            self.process = subprocess.Popen(
                [python_of(self.root), "manage.py", "run", "--port", str(self.port), "--no-migrate", *self.options],
                cwd=self.root,
                env=self.installation.environment(**variables),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_until_up(self, timeout: float = 60) -> None:
        wait_until(self._is_up, timeout=timeout, what=f"host {self.name} answers: {self.log()[-1500:]}")

    def _is_up(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/healthz")[0] == 200
        return False

    def log(self) -> str:
        return (self.installation.folder / f"{self.name}.log").read_text(errors="replace")

    def request(
        self, method: str, path: str, document: Any = None, *, key: str | None = None, timeout: float = 40
    ) -> tuple[int, Any]:
        """Status and parsed answer; raises OSError or HTTPException where there is none."""
        headers = {
            "X-Hub-Store": self.installation.store,
            "X-Hub-Access-Token": self.installation.token,
            "Content-Type": "application/json",
        }
        if key is not None:
            headers["Idempotency-Key"] = key
        body = None if document is None else json.dumps(document)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(data)
        except ValueError:
            return answer.status, data

    def subscribe(self, url: str, topics: Sequence[str], *, name: str = "receiver", **values: Any) -> str:
        """An integration and a subscription to it, made through the API; most of `values` are of the integration."""
        own: dict[str, Any] = {key: values.pop(key) for key in ("ordered", "path") if key in values}
        integration: dict[str, Any] = {"name": name, "url": url, "timeout": 2, "retry_policy": [1] * 20, **values}
        status, made = self.request("POST", "/api/v1/integrations", integration)
        assert status == 201, made
        wanted = {"integration": made["slug"], "topics": list(topics), **own}
        status, subscription = self.request("POST", "/api/v1/subscriptions", wanted)
        assert status == 200, subscription
        return str(subscription["id"])

    # --- processes --------------------------------------------------------------------------------------

    def pids(self) -> list[int]:
        """Everything that this host has started and that still runs."""
        needle = f"{MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                if needle in (entry / "environ").read_bytes() and is_running(int(entry.name)):
                    found.append(int(entry.name))
        return found

    def children(self) -> dict[str, int]:
        """The supervisor's two: `web` and `worker`."""
        found = {}
        for pid in self.pids():
            with suppress(OSError):
                if parent_of(pid) == self.process.pid:
                    found[name_of(pid).removeprefix("hookdesk ")] = pid
        return found

    def idle_workers(self) -> list[int]:
        """Worker processes of the task queue that run no engine."""
        worker = self.children()["worker"]
        below = sorted(pid for pid in self.pids() if parent_of(pid) == worker)
        return [pid for pid in below if name_of(pid) == "hookdesk worker"]

    def kill(self) -> None:
        """SIGKILL to every process at once, like a machine that loses its power."""
        for _ in range(20):
            pids = self.pids()
            if not pids:
                break
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self, *, group: bool = False, timeout: float = 20) -> float:
        """SIGTERM to the process or its group; the seconds until all of it was gone."""
        started = time.monotonic()
        if group:
            os.killpg(self.process.pid, signal.SIGTERM)
        else:
            self.process.terminate()
        self.process.wait(timeout)
        wait_until(lambda: not self.pids(), timeout=5, what="nothing is left behind")
        return time.monotonic() - started


def is_running(pid: int) -> bool:
    """Zombies do not count."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
