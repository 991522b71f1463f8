"""`make run` on a fresh clone: a `.env` with keys of its own, made once. Run as `python -m config.first_env`.

Only where nothing is set and nothing is stored yet: with other keys, what an existing database holds could not be read.
Whoever starts `manage.py run` without keys is refused, as ever.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DECIDING = ("SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "DEBUG", "ENV_FILE")


def make_first_env(root: Path, environment: Mapping[str, str]) -> bool:
    """Write `.env` into `root`. False, and nothing is done, where there is one, or settings, or a database."""
    if any(environment.get(name) for name in DECIDING) or (root / "hookdesk.sqlite3").exists():
        return False
    text = (
        "# Made by `make run`; .env.example has all settings. Keep the second key: without it, what is encrypted in\n"
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
    print(
        "Made .env with random keys. Keep it: what is encrypted in the database cannot be read without it.", flush=True
    )
