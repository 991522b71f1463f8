"""The commands in docs/ are run as they stand, page by page, against a live server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.systems.programs.running import RECEIVERS
from tests.systems.stories import service
from tests.systems.test_turn import Weather

PAGES = [RECEIVERS.parent / "api.md", *sorted(RECEIVERS.parent.glob("coming-from-*.md"))]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="curl and jq are not here"),
]


def integration(request):
    """Answers a handshake and a chat as a Turn.io integration, everything else with nothing."""
    body = json.loads(request.body) if request.body.startswith(b"{") else {}
    if body.get("handshake"):
        return 200, {"version": "1.0.0-alpha", "capabilities": Weather.capabilities}
    return (200, Weather().context) if "chat" in body else (200, b"")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_the_page_work(page, store, receiver, live_server, tmp_path):
    receiver.script(service(integration))
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL))
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOOKDESK_URL": live_server.url,
        "STORE_ID": str(store.store.id),
        "ACCESS_TOKEN": store.token.text,
        "RECEIVER": receiver.url(""),
    }

    done = subprocess.run(
        ["sh", "-eux", "-c", commands],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-3000:]
