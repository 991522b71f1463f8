"""Database and broker servers of our own, so that tests may stop and kill them without harm to anybody else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

#: Where Debian and others put the programs that are not in PATH.
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class PrivatePostgresql:
    """A cluster in a folder of its own, run as the user `postgres` where we are root (it refuses root)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "postgresql"
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
        self.folder.mkdir()
        if os.geteuid() == 0:
            for folder in (self.folder, *list(self.folder.parents)[:3]):
                if folder != Path(folder.anchor) and folder.stat().st_uid == 0 and folder != Path("/tmp"):
                    folder.chmod(0o755)
            shutil.chown(self.folder, "postgres")
        self._call("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "--auth=trust", "--no-instructions")
        settings = f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
        settings += "max_connections = 200\nshared_buffers = 64MB\n"
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write(settings)

    def start(self) -> None:
        self._control("start", "-w", "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        self._control("stop", "-w", "-m", mode)

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(statement)

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
