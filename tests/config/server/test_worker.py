"""What config/server/worker.py takes from gunicorn: names of the base worker that it documents, in a pinned range."""

from __future__ import annotations

import ast
import os
import re
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

from gunicorn.config import Config
from gunicorn.workers.base import Worker
from packaging.specifiers import SpecifierSet

from config.server import worker as ours
from config.server.worker import WebWorker

ROOT = Path(__file__).resolve().parents[3]
USED = {"SIGNALS", "alive", "cfg", "handle_abort", "log", "notify", "ppid", "sockets", "wsgi"}


def names_of_self() -> set[str]:
    tree = ast.parse(Path(str(ours.__file__)).read_text())
    of_self = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name))
    return {node.attr for node in of_self if node.value.id == "self"}  # type: ignore[attr-defined]


def test_only_these_names_are_used_and_none_is_private():
    assert names_of_self() - set(vars(WebWorker)) == USED
    assert not any(name.startswith("_") for name in USED)
    assert "gunicorn.workers.base" in Path(str(ours.__file__)).read_text()


def test_gunicorns_worker_has_them():
    app = SimpleNamespace(wsgi=lambda: "the application")
    worker = WebWorker(1, os.getppid(), [], app, 30, Config(), None)
    try:
        worker.load_wsgi()
        assert {name for name in USED if not hasattr(worker, name)} == set()
        assert (worker.ppid, worker.alive, worker.wsgi) == (os.getppid(), True, "the application")
    finally:
        worker.tmp.close()


def test_what_we_override_is_still_called():
    """`run` at the end of `init_process`, `init_signals` before it: else a worker would serve nothing, or not stop."""
    names = Worker.init_process.__code__.co_names
    assert names.index("init_signals") < names.index("load_wsgi") < names.index("run")


def test_the_range_is_pinned_and_the_installed_version_is_in_it():
    wanted = re.search(r'"gunicorn([^"]+)"', (ROOT / "pyproject.toml").read_text())
    assert wanted is not None
    specifiers = SpecifierSet(wanted[1])
    assert {one.operator for one in specifiers} == {">=", "<"}
    assert specifiers.contains(version("gunicorn"))
