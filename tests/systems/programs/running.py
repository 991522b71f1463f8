"""Programs in other languages as receivers: started on a free port, stopped by their process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
RECEIVERS = HERE.parent.parent.parent / "docs" / "receivers"


@dataclass
class Program:
    port: int
    folder: Path

    @property
    def printed(self) -> str:
        return (self.folder / "printed.txt").read_text()

    @property
    def sent(self) -> str:
        """What the library of Twilio was asked to send."""
        file = self.folder / "sent.txt"
        return file.read_text() if file.exists() else ""

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def running(folder: Path, command: Sequence[str], port: int, **environment: str) -> Iterator[Program]:
    """Runs `command` in `folder` until the block ends; it must listen on `port`."""
    with (folder / "printed.txt").open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_listening(port, process, folder)
            yield Program(port, folder)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_listening(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the program does not listen: {(folder / 'printed.txt').read_text()[-2000:]}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@cache
def ruby() -> str | None:
    """A Ruby that has Sinatra, Active Support and a web server."""
    found = shutil.which("ruby")
    wanted = "require 'sinatra/base'; require 'webrick'; require 'active_support/core_ext/hash/indifferent_access'"
    return found if found and shutil.which("rackup") and _succeeds(found, "-e", wanted) else None


@cache
def php() -> str | None:
    found = shutil.which("php")
    return found if found and _succeeds(found, "-r", "exit(class_exists('SimpleXMLElement') ? 0 : 1);") else None


@cache
def node() -> str | None:
    return shutil.which("node")


@cache
def python_with(*modules: str) -> str | None:
    """The Python of these tests, or the one on the PATH, whichever has the modules."""
    candidates = [sys.executable, shutil.which("python3")]
    wanted = "import " + ", ".join(modules)
    return next((found for found in candidates if found and _succeeds(found, "-c", wanted)), None)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
