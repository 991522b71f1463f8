"""`make check`: every check of the code that is not a test. Each one runs even if others fail.

Not pre-commit or nox: those install environments of their own, while these run with the locked packages of `make setup`.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests import translations

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
#: An installation as it should be, for `check --deploy`.
PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": secrets.token_urlsafe(60),
    "ENCRYPTION_KEYS": secrets.token_urlsafe(48),
    "ALLOWED_HOSTS": "hooks.example.com",
    "PUBLIC_URL": "https://hooks.example.com",
    "DATABASE_URL": "sqlite://:memory:",
}


def tool(*command: str) -> Callable[[], str]:
    """A command that must exit 0; what it printed otherwise."""

    def run() -> str:
        done = _run(command)
        return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit status {done.returncode}"

    return run


def advisories() -> str:
    """Known vulnerabilities of what is locked. The advisory service being away is said, and no failure."""
    command = ("pip-audit", "-r", "requirements.lock", "--disable-pip", "--progress-spinner", "off", "--format", "json")
    done = _run([*command, "--timeout", "20"])
    try:
        document = json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.strip().splitlines() or ["no answer"]
        print(f"        the advisory service cannot be reached, so nothing was audited: {lines[-1][:200]}")
        return ""
    found = [
        f"{package['name']} {package['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'none'}"
        for package in document["dependencies"]
        for flaw in package.get("vulns", ())
    ]
    return "\n".join(found)


def documentation() -> str:
    """Builds the site: links that lead nowhere, and pages that would load something from elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        done = _run(["sphinx-build", "--quiet", "--fail-on-warning", "--keep-going", "-c", "docs", ".", folder])
        if done.returncode:
            return (done.stdout + done.stderr).strip()
        pages = list(Path(folder).rglob("*.html"))
        foreign = [
            f"{page.relative_to(folder)} loads {address}"
            for page in pages
            for address in re.findall(
                r'<(?:script|img|iframe|link)\b[^>]*\s(?:src|href)="((?:https?:)?//[^"]+)"', page.read_text()
            )
        ]
        return "\n".join(foreign) if pages else "no page was built"


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    program = BIN / command[0]
    arguments = [str(program), *command[1:]] if program.exists() else list(command)
    environment = {**os.environ, **PRODUCTION, "ENV_FILE": os.devnull, "PYTHONWARNINGS": "default"}
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


CHECKS: dict[str, Callable[[], str]] = {
    "lint": tool("ruff", "check", "--quiet", "--output-format", "concise", "."),
    "format": tool("ruff", "format", "--check", "--quiet", "."),
    "types": tool("mypy", "."),
    "architecture": tool("lint-imports", "--no-cache"),
    "migrations": tool(sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"),
    "migrations online": tool(sys.executable, "-m", "tests.online_migrations"),
    "deployment": tool(sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"),
    "openapi": tool(sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull),
    "translations": lambda: "\n".join(translations.troubles()),
    "documentation": documentation,
    "advisories": advisories,
}


def main(wanted: Sequence[str]) -> int:
    failed = []
    for name, check in CHECKS.items():
        if wanted and name not in wanted:
            continue
        started = time.monotonic()
        trouble = check()
        print(f"{'FAILED' if trouble else 'ok    '}  {name} ({time.monotonic() - started:.1f} s)", flush=True)
        if trouble:
            failed.append(name)
            print(trouble, flush=True)
    print(f"\n{len(failed)} failed: {', '.join(failed)}" if failed else "\nAll checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
