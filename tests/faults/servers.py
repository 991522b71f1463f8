"""Database and broker servers of our own, so that tests may stop and kill them without harm to anybody else."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.processes import descendants_of

#: Where Debian and others put the programs that are not in PATH.
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class PrivatePostgresql:
    """A cluster in a folder of its own, run as the user `postgres` where we are root (it refuses root)."""

    def __init__(self, folder: Path, name: str = "postgresql") -> None:
        self.folder = folder / name
        self.port = free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}"

    @staticmethod
    def trouble() -> str:
        """Why there can be none; empty when there can."""
        if not _PROGRAMS and shutil.which("initdb") is None:
            return "initdb is not installed"
        if os.geteuid() == 0 and (shutil.which("runuser") is None or not _has_user("postgres")):
            return "we are root and cannot become the user postgres"
        return ""

    def make(self) -> None:
        self._make_folder()
        self._call("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "--auth=trust", "--no-instructions")
        settings = f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
        settings += "max_connections = 200\nshared_buffers = 64MB\n"
        self.configure(settings)

    def make_standby_of(self, primary: PrivatePostgresql) -> None:
        """A copy of the running `primary` that follows it; started, it is what the primary's commits wait for."""
        self._make_folder()
        data = str(self.folder / "data")
        self._call("pg_basebackup", "-d", primary.url, "-D", data, "-R", "-X", "stream", "-c", "fast")
        # What the primary waits for must not be copied: once promoted, this one is alone and would wait for ever.
        self.configure(f"port = {self.port}\nsynchronous_standby_names = ''\n")
        self.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")

    def configure(self, settings: str) -> None:
        """Further lines of postgresql.conf, of which the last counts."""
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write(settings)

    def promote(self) -> None:
        """Returns at once; it takes what it has received, and then writes."""
        self._control("promote", "-W")

    def kill(self) -> None:
        """SIGKILL to every process at once, like a machine that loses its power."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        for one in [pid, *descendants_of(pid)]:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)

    def kill_if_running(self) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self.kill()

    def _make_folder(self) -> None:
        self.folder.mkdir()
        if os.geteuid() == 0:
            for folder in (self.folder, *list(self.folder.parents)[:3]):
                if folder != Path(folder.anchor) and folder.stat().st_uid == 0 and folder != Path("/tmp"):
                    folder.chmod(0o755)
            shutil.chown(self.folder, "postgres")

    def start(self) -> None:
        self._control("start", "-w", "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        self._control("stop", "-w", "-m", mode)

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(statement)

    def value(self, query: str) -> Any:
        import psycopg

        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            row = connection.execute(query).fetchone()
        return row[0] if row else None

    def _control(self, *arguments: str) -> None:
        self._call("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def _call(self, program: str, *arguments: str) -> None:
        path = next((str(folder / program) for folder in _PROGRAMS if (folder / program).exists()), program)
        command: Sequence[str] = [path, *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # The server inherits what we are told to write to, so no pipe that would wait for its end.
        with (self.folder / "calls").open("ab") as output:
            subprocess.run(command, check=True, stdout=output, stderr=output, cwd=self.folder, timeout=60)


def _has_user(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


class PrivateRedis:
    """A server that keeps nothing on disk: killing it loses the queue, as with a Redis without persistence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def trouble() -> str:
        return "" if shutil.which("redis-server") else "redis-server is not installed"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self.folder / "redis.log").open("ab") as output:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=output)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("redis-server does not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Forwarder:
    """An address that can be moved from one server to another, as a proxy or a virtual IP is."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._pairs: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def move(self, target: int) -> None:
        """New connections go to `target`; the old ones are cut."""
        self.target = target
        for one in list(self._pairs):
            _cut(one)

    def close(self) -> None:
        _cut(self._server)
        self._server.close()
        self.move(self.target)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            self._pairs |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            _cut(one)
            self._pairs.discard(one)


def _cut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
