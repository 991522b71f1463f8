"""`make run` on a fresh clone: a `.env` with random keys, created once. Run as `python -m config.first_env`.

Only if nothing is set and nothing is stored yet: an existing database could not be read with other keys.
`manage.py run` without keys still fails.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from config.observability import json_lines

ROOT = Path(__file__).resolve().parent.parent
DECIDING = ("SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "DEBUG", "ENV_FILE")


def make_first_env(root: Path, environment: Mapping[str, str]) -> bool:
    """Write `.env` into `root`. False, and nothing is done, if it exists, or settings or a database do."""
    if any(environment.get(name) for name in DECIDING) or (root / "hookdesk.sqlite3").exists():
        return False
    text = (
        "# Created by `make run`; .env.example has all settings. Keep the second key: without it, encrypted values in\n"
        "# the database cannot be read.\n"
        f"SECRET_KEY={secrets.token_urlsafe(48)}\n"
        f"ENCRYPTION_KEYS={secrets.token_urlsafe(48)}\n"
    )
    try:
        file = os.open(root / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(file, "w") as output:
        output.write(text)
    return True


if __name__ == "__main__" and make_first_env(ROOT, os.environ):
    text = "Created .env with random keys. Keep it: encrypted values in the database cannot be read without it."
    print(json_lines.line_of(text) if json_lines.is_wanted() else text, flush=True)
