"""`make run` and `make bench` on a fresh clone, without a setting."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config.first_env import ROOT, make_first_env


def test_a_fresh_clone_gets_keys_of_its_own(tmp_path: Path) -> None:
    assert make_first_env(tmp_path, {})
    file = tmp_path / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    checked = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ENV_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_no_two_get_the_same(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make_first_env(tmp_path / name, {})
        texts.append((tmp_path / name / ".env").read_text())
    assert texts[0] != texts[1]


def test_one_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=INFO\n")
    assert not make_first_env(tmp_path, {})
    assert (tmp_path / ".env").read_text() == "LOG_LEVEL=INFO\n"


@pytest.mark.parametrize("name", ["SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "DEBUG", "ENV_FILE"])
def test_whoever_sets_something_is_left_to_set_the_rest(tmp_path: Path, name: str) -> None:
    assert not make_first_env(tmp_path, {name: "x"})
    assert not (tmp_path / ".env").exists()


def test_a_database_that_other_keys_may_have_written_gets_no_new_ones(tmp_path: Path) -> None:
    (tmp_path / "hookdesk.sqlite3").touch()
    assert not make_first_env(tmp_path, {})


@pytest.mark.parametrize("command", [["manage.py", "bench"], ["-m", "tests.benchmarks"]])
def test_the_benchmarks_need_no_settings(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command, "--help"],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "ENV_FILE": os.devnull}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "scenarios" in done.stdout


def test_the_makefile_starts_them_past_the_settings() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "bench", "run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "python -m tests.benchmarks" in done.stdout
    assert done.stdout.index("config.first_env") < done.stdout.index("manage.py run")


def test_started_without_make_it_refuses_as_ever() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "run"],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "ENV_FILE": os.devnull}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "SECRET_KEY is not set" in done.stderr
