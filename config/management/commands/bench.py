"""`manage.py bench`: the benchmarks of tests/benchmarks."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def run(arguments: Sequence[str]) -> NoReturn:
    """Replace this process with the benchmarks. Needs no settings."""
    if importlib.util.find_spec("tests.benchmarks") is None:
        raise SystemExit("CommandError: The benchmarks are not installed: run this in a full checkout.")
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "tests.benchmarks", *arguments])  # noqa: S606 - our own module


class Command(BaseCommand):
    help = "Run the benchmarks; further arguments are passed on (see: bench --help)."
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        run(argv[2:])

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Run it from the command line: manage.py bench")
