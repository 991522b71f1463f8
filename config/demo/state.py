"""The demo's own installation in `.demo/`, created before the settings are read and recreated on each run.

It takes nothing from the environment, so a demo never touches the database of a real DATABASE_URL.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

from config.server.tcp_ports import free_port

ROOT = Path(os.environ.get("HOOKDESK_DEMO_ROOT") or Path(__file__).resolve().parents[2] / ".demo")
FOLDER_VARIABLE = "HOOKDESK_DEMO_FOLDER"
PORT_VARIABLE = "HOOKDESK_DEMO_PORT"
#: Kept open for the life of the process: the holder of the lock owns the folder.
_locks: list[object] = []


def prepare(arguments: list[str]) -> None:
    """Put the demo's settings into the environment; `arguments` are those of the command line."""
    is_help = bool({"-h", "--help"} & set(arguments))
    folder = ROOT if is_help else _claim_folder()
    port = _wanted_port(arguments) or free_port("127.0.0.1", 8000)
    values = settings_for(folder, port)
    if not is_help:
        for path in folder.glob("hookdesk.sqlite3*"):
            path.unlink()
        lines = "".join(f"{name}={value}\n" for name, value in values.items())
        _write_private(folder / "env", "# The demo's settings: ENV_FILE=.demo/env python manage.py doctor\n" + lines)
    # Variables set for another installation must not leak into this one.
    for name in ("ENGINE_PROCESSES", "TRANSPORT", "ENGINE_CAPACITY", "WEB_BIND", "DJANGO_SETTINGS_MODULE"):
        os.environ.pop(name, None)
    os.environ.update(values)
    os.environ["ENV_FILE"] = str(folder / "env")
    os.environ[FOLDER_VARIABLE] = str(folder)
    os.environ[PORT_VARIABLE] = str(port)


def settings_for(folder: Path, port: int) -> dict[str, str]:
    return {
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DATABASE_URL": f"sqlite:///{folder / 'hookdesk.sqlite3'}",
        "REDIS_URL": "",
        "OUTBOUND_ALLOW": "127.0.0.0/8,::1/128",
        "EMAIL_URL": "consolemail://",
        "LOG_LEVEL": "WARNING",
    }


def _claim_folder() -> Path:
    """Return `.demo`, or `.demo/2`, `.demo/3`, … if a demo is running in it already."""
    for number in range(1, 100):
        folder = ROOT if number == 1 else ROOT / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _locks.append(lock)
            return folder
        lock.close()
    sys.exit("Too many demos are running already. Stop some of them.")


def _wanted_port(arguments: list[str]) -> int | None:
    for index, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--port":
            text = value or (arguments[index + 1] if index + 1 < len(arguments) else "")
            return int(text) if text.isdigit() else None
    return None


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
