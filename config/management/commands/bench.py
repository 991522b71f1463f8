"""`manage.py bench`: the benchmarks of tests/benchmarks."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Run the benchmarks; what follows is passed on (see: bench --help)."
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        if importlib.util.find_spec("tests.benchmarks") is None:
            raise SystemExit("CommandError: The benchmarks are not installed: run this in a full checkout.")
        os.chdir(settings.BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "tests.benchmarks", *argv[2:]])  # noqa: S606 - our own module

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Run it from the command line: manage.py bench")
