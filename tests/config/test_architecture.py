"""What holds the house together and no type checker sees."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
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


#: They write the schema, with the connection that they are given; the settings have none yet.
MAY_ASK_FOR_THE_VENDOR = (
    "deliveries/storage/",
    "integrations/config_version.py",
    "integrations/foundation/online_migrations.py",
)


def vendor_checks(root: Path) -> Iterator[str]:
    """Where code asks which database it is, by whatever name it holds the connection."""
    for app in ("config", "integrations", "subscriptions", "deliveries", "notifications"):
        for path in sorted((root / app).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if "/migrations/" in name or name.startswith(MAY_ASK_FOR_THE_VENDOR):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                is_vendor = isinstance(node, ast.Attribute) and node.attr == "vendor"
                is_by_name = (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id == "getattr"
                    and any(isinstance(given, ast.Constant) and given.value == "vendor" for given in node.args)
                )
                if is_vendor or is_by_name:
                    yield f"{name}:{node.lineno}"


def test_only_the_storage_asks_which_database_it_is():
    assert list(vendor_checks(ROOT)) == []


def test_a_question_elsewhere_would_be_noticed(tmp_path):
    (tmp_path / "deliveries" / "storage").mkdir(parents=True)
    (tmp_path / "deliveries" / "storage" / "fine.py").write_text("connection.vendor\n")
    (tmp_path / "deliveries" / "sneaky.py").write_text(
        "if connections['default'].vendor == 'sqlite':\n    pass\ngetattr(connection, 'vendor')\n"
    )
    assert sorted(vendor_checks(tmp_path)) == ["deliveries/sneaky.py:1", "deliveries/sneaky.py:3"]


def test_every_setting_of_the_environment_is_in_the_example():
    read = set(re.findall(r'(?:env\.\w+|required)\(\s*"([A-Z_]+)"', (ROOT / "config" / "settings.py").read_text()))
    for module in (ROOT / "config" / "server").glob("*.py"):
        read |= set(re.findall(r'environ\.get\("((?:WEB|HOOKDESK)_[A-Z_]+)"', module.read_text()))
    told = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert read - told - {"ENV_FILE", "WEB_BIND"} == set()
