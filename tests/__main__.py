"""`make test`: all tests on SQLite, then those that need a service, if it is available.

Not nox or tox: all runs use the environment of `make setup` and differ in services, not versions.

Prints the branch coverage where PostgreSQL is found: without it, half of the code that speaks to databases does not run.
With COVERAGE=1 (`make coverage`) always, with COVERAGE=0 never: measuring takes two fifths more CPU time.

The output says what was left out; with REQUIRE_SERVICES=1 that fails the run. TEST_DATABASE=sqlite or postgresql selects
one half: SQLite and the browser, or PostgreSQL and Redis. The last line is a summary in pytest's form. Further arguments
are passed to pytest: `.venv/bin/python -m tests -k wizard`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import once, services

ROOT = Path(__file__).resolve().parent.parent
#: Folders whose tests touch the database in earnest; they run on PostgreSQL too.
DATABASE_FOLDERS = [
    "tests/deliveries",
    "tests/integrations",
    "tests/subscriptions",
    "tests/notifications",
    "tests/config",
    "tests/doors",
    "tests/systems",
]
#: … but these need no database at all.
PURE_FOLDERS = ["tests/integrations/transport", "tests/integrations/wire_formats", "tests/integrations/connectors"]
EVERYWHERE = "not postgresql and not redis and not browser and not slow"
#: Idle workers take tests from busy ones: a few tests take as long as a hundred others.
DISTRIBUTION = ("--dist", "worksteal")
SUMMARY = re.compile(r"^(?:\x1b\[[\d;]*m)*=*\s*((?:\x1b\[[\d;]*m)*\d+ .*) in [\d.]+s")
COUNT = re.compile(r"(\d+) (failed|passed|skipped|errors?|xfailed|xpassed|deselected|warnings?)")


@dataclass
class Run:
    """One start of pytest. `status` is pytest's: 5 means that nothing was selected."""

    title: str
    arguments: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    status: int = 0
    is_measured: bool = False
    #: What `tests.once` left out of this run.
    not_repeated: str = ""

    def go(self, workers: int, extra: Sequence[str]) -> None:
        print(f"\n----- {self.title}", flush=True)
        pytest = ["coverage", "run", "-m", "pytest"] if self.is_measured else ["pytest"]
        command = [sys.executable, "-m", *pytest, "-q", "-n", str(workers), *DISTRIBUTION, *self.arguments, *extra]
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(self.environment), stdout=subprocess.PIPE, text=True, errors="replace"
        )
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if match := SUMMARY.match(line):
                self.counts = Counter({_plural(word): int(number) for number, word in COUNT.findall(match[1])})
            elif line.startswith(once.NOT_REPEATED):
                self.not_repeated = line.strip()
        self.status = process.wait()

    @property
    def has_failed(self) -> bool:
        return self.status not in (0, 5)


def main(extra: Sequence[str]) -> int:
    started = time.monotonic()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
    # One more than there are cores: hundreds of tests wait for a deadline, a process or a socket.
    workers = max(2, min(8, cores)) + 1
    chosen = os.environ.get("TEST_DATABASE", "")
    if chosen not in ("", "sqlite", "postgresql"):
        print(f"TEST_DATABASE is sqlite or postgresql (or not set: both), not {chosen!r}.", file=sys.stderr)
        return 2
    runs, left_out = _planned(chosen)
    database = f"hookdesk_{os.getpid()}"
    measured = [] if extra else _measured(runs)
    try:
        with TemporaryDirectory() as folder:
            for run in runs:
                if run in measured:
                    run.is_measured = True
                    run.environment["COVERAGE_FILE"] = str(Path(folder) / "coverage")
                run.go(workers, extra)
            if measured:
                _print_coverage(measured, folder)
    except KeyboardInterrupt:
        print("\nInterrupted.")
        return 2
    finally:
        if any("DATABASE_URL" in run.environment for run in runs):
            with suppress(Exception):
                services.drop_databases(database, workers)
    print()
    for run in runs:
        if run.not_repeated:
            print(run.not_repeated)
    for what, why in left_out:
        print(f"Left out: {what}, because {why}.")
    return _close(runs, left_out, time.monotonic() - started)


def _planned(chosen: str) -> tuple[list[Run], list[tuple[str, str]]]:
    """The runs, one for each service that answers; and what is left out and why. `chosen`: a database, or both."""
    runs: list[Run] = []
    left_out: list[tuple[str, str]] = []
    if chosen != "postgresql":
        runs.append(Run("SQLite, no services", ["-m", EVERYWHERE]))
    if chosen != "sqlite":
        _add_servers(runs, left_out)
    if chosen != "postgresql":
        if why := services.browser_trouble():
            left_out.append(("tests in a browser", why))
        else:
            arguments = ["-m", "browser and not slow", *files_with("browser")]
            runs.append(Run("Browser", arguments, {"TEST_BROWSER": str(services.BROWSER)}))
    return runs, left_out


def _add_servers(runs: list[Run], left_out: list[tuple[str, str]]) -> None:
    """One run for both servers: what needs Redis needs PostgreSQL too, and its waits leave the other worker the time."""
    redis_is_away = services.redis_trouble()
    if why := services.postgresql_trouble():
        left_out.append(("the same tests on PostgreSQL", why))
        left_out.append(("tests with Redis", redis_is_away or "they need PostgreSQL too"))
        return
    if redis_is_away:
        left_out.append(("tests with Redis", redis_is_away))
    environment = {"DATABASE_URL": services.own_database(services.POSTGRESQL_URL, f"hookdesk_{os.getpid()}")}
    folders = [folder for folder in DATABASE_FOLDERS if (ROOT / folder).is_dir()]
    others = files_with("postgresql") if redis_is_away else files_with("postgresql", "redis")
    others = [file for file in others if not file.startswith(tuple(f"{folder}/" for folder in folders))]
    wanted = "not browser and not slow"
    if redis_is_away:
        wanted += " and not redis"
    else:
        environment["TEST_REDIS_URL"] = services.REDIS_URL
    ignored = [f"--ignore={folder}" for folder in PURE_FOLDERS]
    title = "PostgreSQL" if redis_is_away else "PostgreSQL, and Redis"
    runs.append(Run(title, ["-m", wanted, "-p", "tests.once", *ignored, *folders, *others], environment))


def files_with(*markers: str) -> list[str]:
    """The files of tests that name one of these markers: collecting all others takes longer than running a few tests.

    `tests/conftest.py` fails a run with tests that would be missed here.
    """
    named = [f"pytest.mark.{marker}" for marker in markers]
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if any(name in file.read_text() for name in named)]


def _measured(runs: Sequence[Run]) -> Sequence[Run]:
    """Of which runs the coverage is measured; a selection of tests has none that says anything."""
    wish = os.environ.get("COVERAGE", "")
    if wish == "0" or (wish != "1" and not any("DATABASE_URL" in run.environment for run in runs)):
        return []
    return [run for run in runs if "TEST_BROWSER" not in run.environment]


def _print_coverage(measured: Sequence[Run], folder: str) -> None:
    """Files with lines or branches that nothing ran, and the sum. A figure to look at: no threshold fails the run."""
    print(f"\n----- Branch coverage of: {', '.join(run.title for run in measured)}", flush=True)
    environment = {**os.environ, "COVERAGE_FILE": str(Path(folder) / "coverage")}
    for command in (("combine", "--quiet"), ("report", "--sort=-cover")):
        subprocess.run([sys.executable, "-m", "coverage", *command], cwd=ROOT, env=environment, check=False)


def _environment(added: dict[str, str]) -> dict[str, str]:
    """That of the shell without what it sets for an installation: tests bring their own settings."""
    example = (ROOT / ".env.example").read_text()
    names = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) | {"ENV_FILE", "DJANGO_SETTINGS_MODULE"}
    # Each process of each run would compile all modules and rewrite their assertions: half of the time of collecting.
    names.add("PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "ENV_FILE": os.devnull, **added}


def _plural(word: str) -> str:
    return {"error": "errors", "warning": "warnings"}.get(word, word)


def _close(runs: Sequence[Run], left_out: Sequence[tuple[str, str]], seconds: float) -> int:
    """Print the sum of all runs in pytest's own form; returns the exit status."""
    counts: Counter[str] = Counter()
    for run in runs:
        counts.update(run.counts)
        if run.has_failed:
            print(f"Failed: {run.title}.")
            counts["errors"] += 0 if run.counts["failed"] or run.counts["errors"] else 1
    if left_out and os.environ.get("REQUIRE_SERVICES") == "1":
        print("REQUIRE_SERVICES=1 asks for everything: what was left out counts as an error.")
        counts["errors"] += len(left_out)
    shown = ["failed", "passed", "skipped", "xfailed", "xpassed", "errors"]
    parts = [
        f"{counts[name]} {'error' if (counts[name], name) == (1, 'errors') else name}" for name in shown if counts[name]
    ]
    text = f" {', '.join(parts) or 'no tests ran'} in {seconds:.2f}s "
    print(text.center(100, "="), flush=True)
    return 1 if counts["failed"] or counts["errors"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
