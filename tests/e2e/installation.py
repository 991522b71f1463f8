"""A whole installation in a folder of the test: a database, `manage.py run`, a store to push to."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any, ClassVar

from config.server.tcp_ports import is_port_free
from tests.measured import measuring
from tests.processes import children_of, command_of, descendants_of, eventually, name_of, started_at

ROOT = Path(__file__).resolve().parent.parent.parent


def _heed_interrupts() -> None:
    """Whoever runs the tests in the background, as `make test &` does, has them and all below ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _claim_port() -> tuple[IO[str], int]:
    """A free port, and the lock that keeps it ours while installations of other runs on this machine look for theirs.

    Without it a port is somebody else's as soon as the installation stops, which looks as if it had not stopped. Below
    the ports that the kernel gives to clients.
    """
    for port in range(18_000, 20_000):
        claim = (Path(tempfile.gettempdir()) / f"hookdesk-test-port-{port}.lock").open("w")
        with suppress(OSError):
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_port_free("127.0.0.1", port):
                return claim, port
        claim.close()
    raise AssertionError("two thousand ports are taken")


class Installation:
    """`start()`, then push and look; everything it started is gone after `clean_up()`."""

    #: A migrated SQLite file, which new installations copy; the first one makes it. None: all start without a database.
    migrated: ClassVar[Path | None] = None

    def __init__(self, folder: Path, *, is_empty: bool = False, **environment: str) -> None:
        self.database = folder / "hookdesk.sqlite3"
        self.log = folder / "log"
        self._claim, self.port = _claim_port()
        names = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
        self.environment = {
            **{name: os.environ[name] for name in names if name in os.environ},
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "a-secret-key-for-tests-that-is-long-enough-for-the-checks",
            "ENCRYPTION_KEYS": "a-passphrase-for-the-tests",
            "OUTBOUND_ALLOW": "127.0.0.0/8",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "RETRY_JITTER": "0",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        #: Process ids with their starts: an id alone may be somebody else's by now.
        self._seen: dict[int, int] = {}
        if self.migrated is not None and not is_empty and "DATABASE_URL" not in environment:
            self._copy_database(self.migrated)

    def _copy_database(self, migrated: Path) -> None:
        if migrated.exists():
            shutil.copy(migrated, self.database)
        else:
            self.manage("migrate", "--verbosity", "0")
            shutil.copy(self.database, migrated)

    # --- processes -----------------------------------------------------------------------------------

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Web and worker; returns when both work."""
        chosen = command or (sys.executable, "manage.py", "run", "--port", str(self.port))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                chosen,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_heed_interrupts,
            )
        self.await_engines()
        eventually(lambda: self.answers("/healthz"), 60, "the web server did not answer")
        self.all_pids()
        return self.process

    def await_engines(self, count: int = 2, *, but_not: tuple[int, ...] = ()) -> list[int]:
        """The process ids of the engines, once there are so many, all of them alive and ours."""

        def found() -> list[int] | None:
            assert self.process is not None
            assert self.process.poll() is None, f"it ended:\n{self.said()}"
            ours = descendants_of(self.process.pid)
            pids = [pid for pid in self.engine_pids() if pid in ours and pid not in but_not]
            return pids if len(pids) == count else None

        return eventually(found, 60, f"{count} engines did not start:\n{self.said()}") or []

    def engine_pids(self) -> list[int]:
        with suppress(sqlite3.Error):  # not migrated yet
            return [row[0] for row in self.rows("SELECT pid FROM deliveries_engine")]
        return []

    def cluster_pid(self) -> int:
        """The worker's main process; 0 while there is none."""
        assert self.process is not None
        return next((pid for pid in children_of(self.process.pid) if name_of(pid) == "hookdesk worker"), 0)

    def all_pids(self) -> set[int]:
        """Every process that it has, or had when this was last called."""
        if self.process is not None:
            for pid in (self.process.pid, *descendants_of(self.process.pid)):
                if (start := started_at(pid)) is not None:
                    self._seen[pid] = start
        return set(self._seen)

    def left(self) -> set[int]:
        """Those of `all_pids` that run."""
        self.all_pids()
        return {pid for pid, start in self._seen.items() if started_at(pid) == start}

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def clean_up(self) -> None:
        for pid in self.left():
            if "manage.py" in command_of(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)
        self._claim.close()

    # --- using it --------------------------------------------------------------------------------------

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env={**self.environment, **measuring()}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, query: str) -> list[Any]:
        url = self.environment["DATABASE_URL"]
        if url.startswith("postgres"):
            import psycopg

            with psycopg.connect(url.replace("postgres://", "postgresql://", 1)) as server:
                return server.execute(query).fetchall()
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(query).fetchall()

    def request(self, method: str, path: str, document: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def answers(self, path: str) -> bool:
        with suppress(OSError, http.client.HTTPException, ValueError):
            return self.request("GET", path)[0] == 200
        return False

    def make_store(self, receiver_url: str, **subscription: Any) -> dict[str, str]:
        """A store whose shipments all go to the receiver, in `flat` format; the headers that push to it."""
        made = json.loads(self.manage("createstore", "Shop", "--json"))
        headers = {"X-Hub-Store": made["store"], "X-Hub-Access-Token": made["access_token"]}
        integration = {"name": "Mirror", "url": receiver_url, "wire_format": "flat"}
        status, answer = self.request("POST", "/api/v1/integrations", integration, **headers)
        assert status == 201, answer
        wanted = {"integration": answer["slug"], "topics": ["shipment"], **subscription}
        status, answer = self.request("POST", "/api/v1/subscriptions", wanted, **headers)
        assert status == 200, answer
        return headers
