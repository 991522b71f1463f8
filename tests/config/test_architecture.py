"""What holds the house together and no type checker sees."""

from __future__ import annotations

import re
from pathlib import Path

from tests.one_door import offences

ROOT = Path(__file__).resolve().parent.parent.parent


def test_only_the_transport_opens_connections():
    assert list(offences()) == []


def test_an_import_elsewhere_would_be_noticed(tmp_path):
    (tmp_path / "deliveries").mkdir()
    (tmp_path / "deliveries" / "sneaky.py").write_text("from urllib import request\nimport requests.adapters\n")

    assert sorted(offences(tmp_path)) == [
        "deliveries/sneaky.py:1 imports urllib.request; only integrations/transport may open connections",
        "deliveries/sneaky.py:2 imports requests; only integrations/transport may open connections",
    ]


def test_every_setting_of_the_environment_is_in_the_example():
    read = set(re.findall(r'(?:env\.\w+|required)\(\s*"([A-Z_]+)"', (ROOT / "config" / "settings.py").read_text()))
    for module in (ROOT / "config" / "server").glob("*.py"):
        read |= set(re.findall(r'environ\.get\("((?:WEB|HOOKDESK)_[A-Z_]+)"', module.read_text()))
    told = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert read - told - {"ENV_FILE", "WEB_BIND"} == set()
