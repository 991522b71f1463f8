"""What holds the house together and no type checker sees."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("deliveries/sneaky.py", "from urllib import request"),
        ("deliveries/sneaky.py", "import requests.adapters"),
        ("config/sneaky.py", "from http import client"),
        ("notifications/sneaky.py", "def later():\n    import smtplib"),
    ],
)
def test_an_import_of_a_client_outside_of_the_transport_is_refused(path: str, code: str) -> None:
    assert "TID251" in refusals(path, code)


def test_the_transport_may_import_clients() -> None:
    assert refusals("integrations/transport/fine.py", "import requests") == ""


def refusals(path: str, code: str) -> str:
    """What `make check` says to such a file about what it imports."""
    ruff = Path(sys.executable).parent / "ruff"
    command = [ruff, "check", "--no-cache", "--quiet", "--output-format", "concise", "--select", "TID251"]
    done = subprocess.run(
        [*command, "--stdin-filename", path, "-"], input=code, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


def test_every_setting_of_the_environment_is_in_the_example():
    read = set(re.findall(r'(?:env\.\w+|required)\(\s*"([A-Z_]+)"', (ROOT / "config" / "settings.py").read_text()))
    for module in (ROOT / "config" / "server").glob("*.py"):
        read |= set(re.findall(r'environ\.get\("((?:WEB|HOOKDESK)_[A-Z_]+)"', module.read_text()))
    told = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert read - told - {"ENV_FILE", "WEB_BIND"} == set()
