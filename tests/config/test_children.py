"""What is forked after everything was loaded shares memory and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

#: Loads everything, forks twice, and tells what the supervisor has and what the children draw at random.
PROGRAM = """
import contextlib, json, os, threading, django
before = set(os.listdir("/proc/self/fd"))
django.setup()
from config.children import FORK, load_everything
load_everything()
import random, secrets, sys
from integrations.foundation.identifiers import uuid7
opened = []
for name in set(os.listdir("/proc/self/fd")) - before:
    with contextlib.suppress(OSError):
        opened.append(os.readlink(f"/proc/self/fd/{name}"))

def draw(pipe):
    imported = len(sys.modules)
    from deliveries.runtime.process import run_engine_here
    from deliveries.storage import backend
    from integrations.transport import current_policy, make_transport
    backend()
    pipe.send([random.random(), uuid7().hex[16:], secrets.token_hex(8)])
    make_transport(os.environ["TRANSPORT"], current_policy(), 10).close()
    pipe.send(len(sys.modules) - imported)

drawn, imported = [], []
for _ in range(2):
    ours, theirs = FORK.Pipe()
    child = FORK.Process(target=draw, args=(theirs,))
    child.start()
    drawn.append(ours.recv())
    imported.append(ours.recv())
    child.join()
print(json.dumps({"threads": threading.active_count(), "opened": opened, "drawn": drawn, "imported": imported}))
"""


@pytest.mark.parametrize("transport", ["requests", "curl"])
def test_loading_opens_nothing_and_starts_no_thread_and_children_differ(tmp_path, transport):
    if transport == "curl":
        pytest.importorskip("pycurl")
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ENV_FILE": os.devnull,
        "DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'hookdesk.sqlite3'}",
        "TRANSPORT": transport,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["threads"] == 1
    # django-q2 makes a queue when it is imported, to see whether queues can tell their size.
    assert [name for name in found["opened"] if not name.startswith(("pipe:", "/dev/shm/pym-"))] == []
    first, second = found["drawn"]
    assert all(one != other for one, other in zip(first, second, strict=True)), found["drawn"]
    assert found["imported"] == [0, 0], "an engine imports what could have been loaded before the fork"
