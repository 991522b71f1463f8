"""The supervisor's children: web server and worker, forked after everything is loaded.

What is loaded before the fork is in memory only once. But nothing may be opened before it: connections, sockets,
threads and curl handles break if two processes share them. `tests/config/test_children.py` checks that.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from contextlib import suppress
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import connections

from config.engine_watch import EngineWatch
from config.supervisor import FORK, Child
from deliveries.runtime.gc_tuning import freeze_and_tune_gc
from deliveries.runtime.parent_death import die_with_parent
from deliveries.runtime.process_name import name_process
from deliveries.storage import backend
from integrations.object_types import singular

#: Modules that web server, engines and tasks import, at start-up or later.
_MODULES = (
    "config.wsgi",
    "config.server.master",
    "config.server.worker",
    "deliveries.management.commands.qcluster",
    "deliveries.maintenance.retention",
    "deliveries.replay",
    "deliveries.runtime.process",
    "deliveries.stats.rollups",
    "notifications.tasks",
)
#: The demo's only child is itself a supervisor, which stops its own children first.
NESTED_GRACE_SECONDS = 20.0


def load_everything() -> None:
    """Import everything. Call before the first child is forked."""
    from django.urls import get_resolver

    for name in _MODULES:
        importlib.import_module(name)
    assert get_resolver().url_patterns  # every view
    singular("things", {})  # compiles the rules of English plurals, which the first push would wait for
    backend()  # imports the implementation for this database and Django's; neither connects
    _relate_models()
    if settings.TRANSPORT == "curl":
        importlib.import_module("integrations.transport.curl.transport").initialize()
    connections.close_all()
    freeze_and_tune_gc()
    _return_memory()


def _relate_models() -> None:
    """Find the relations of all models, which each process would else do by itself, with 3 MB of its own."""
    for model in apps.get_models(include_auto_created=True):
        assert model._meta.get_fields() is not None


def _return_memory() -> None:
    """Return free heap memory left over from importing to the system. glibc only; elsewhere a no-op."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def web_server(*, host: str, port: int) -> Child:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Child("the web server", lambda: _serve(address))


def _serve(address: str) -> None:
    from config.server.master import serve

    name_process("web")
    os.environ["WEB_BIND"] = address
    serve()


def worker() -> Child:
    """Return the child that runs django-q2's cluster with the engines, whose heartbeats are watched."""
    watch = EngineWatch()
    last_seen = watch.last_seen if settings.ENGINE_PROCESSES > 0 else lambda: None
    return Child("the worker", _work, last_seen=last_seen)


def _work() -> None:
    name_process("worker")
    execute_from_command_line(["manage.py", "qcluster"])


def installation(*, port: int) -> Child:
    """Return a child that runs `manage.py run`, for a parent with threads and connections: it loads everything anew."""
    manage = str(Path(__file__).resolve().parent.parent / "manage.py")
    command = [sys.executable, manage, "run", "--no-migrate", "--verbosity", "0", "--port", str(port)]
    return Child(
        "Hookdesk",
        lambda: os.execv(command[0], command),  # noqa: S606 - our own
        grace_seconds=NESTED_GRACE_SECONDS,
    )


def migrate_in_subprocess() -> str:
    """Migrate in a separate process, so that what migrations load does not stay in the shared memory.

    Returns what went wrong, or an empty text.
    """
    reader, writer = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_migrate, args=(writer,))
    process.start()
    writer.close()
    try:
        problem = str(reader.recv())
    except EOFError:
        problem = "its process ended early"
    process.join()
    return problem


def _migrate(writer: object) -> None:
    from django.core.management import call_command
    from django.core.management.base import CommandError
    from django.db import DatabaseError

    die_with_parent()
    try:
        call_command("migrate", interactive=False, verbosity=0)
        problem = ""
    except (DatabaseError, CommandError) as error:
        problem = str(error)
    writer.send(problem)  # type: ignore[attr-defined]
