"""Backups by the very commands of docs/operations/backup.md, restored: nothing is lost."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deployment.conftest import ROOT, Site
from tests.deployment.test_copydatabase import LOOK, fill
from tests.services import POSTGRESQL_URL, own_database

PAGE = (ROOT / "docs" / "operations" / "backup.md").read_text()


def documented(beginning: str, **put: str) -> str:
    """The command of the page that begins so, with its sample values replaced."""
    found = re.search(rf"^\$ ({re.escape(beginning)}.*)$", PAGE, re.MULTILINE)
    assert found is not None, f"the page has no command {beginning}"
    command = found[1]
    for sample, value in put.items():
        command = command.replace(sample, value)
    return command


def run(command: str, folder: Path) -> None:
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_sqlite_backup_that_is_restored_has_everything_and_its_keys_fit(sqlite_site: Site, tmp_path: Path) -> None:
    fill(sqlite_site, tmp_path)
    before = sqlite_site.python(LOOK)
    run(documented("python3 -c"), tmp_path)
    for file in tmp_path.glob("hookdesk.sqlite3*"):
        file.unlink()
    shutil.move(tmp_path / "backup.sqlite3", tmp_path / "hookdesk.sqlite3")
    sqlite_site.manage("migrate", "--check")
    assert sqlite_site.python(LOOK) == before
    assert len(before) > 100_000


def test_a_backup_is_of_no_use_to_those_who_have_not_the_keys(sqlite_site: Site, tmp_path: Path) -> None:
    fill(sqlite_site, tmp_path)
    secret = sqlite_site.python("from integrations.models import Secret; print(Secret.objects.get().value)")
    run(documented("python3 -c"), tmp_path)
    assert secret.encode() not in (tmp_path / "backup.sqlite3").read_bytes()
    thief = Site(f"sqlite:///{tmp_path / 'backup.sqlite3'}", {"ENCRYPTION_KEYS": "a guess"})
    assert thief.run(
        "shell", "-v", "0", "-c", "from integrations.models import Secret; Secret.objects.get().value"
    ).returncode


@pytest.mark.postgresql
def test_a_postgresql_backup_that_is_restored_has_everything_and_its_keys_fit(
    postgresql_site: Site, tmp_path: Path
) -> None:
    fill(postgresql_site, tmp_path)
    before = postgresql_site.python(LOOK)
    sample = "postgres://hookdesk:password@127.0.0.1:5432/hookdesk"
    restored = Site(f"{postgresql_site.url}_restored")
    run(documented("pg_dump", **{sample: postgresql_site.url}), tmp_path)
    name = restored.url.rpartition("/")[2]
    admin = own_database(POSTGRESQL_URL, "postgres")
    run(f"psql -q '{admin}' -c 'CREATE DATABASE \"{name}\"'", tmp_path)
    try:
        run(documented("pg_restore", **{sample: postgresql_site.url}), tmp_path)
        restored.manage("migrate", "--check")
        assert restored.python(LOOK) == before
    finally:
        run(f"psql -q '{admin}' -c 'DROP DATABASE \"{name}\" WITH (FORCE)'", tmp_path)
