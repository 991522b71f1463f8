"""Processes that tests start with an environment of their own and that run to their end count in the coverage too."""

from __future__ import annotations

import os


def measuring() -> dict[str, str]:
    """The variables by which coverage.py measures such a process; empty if nothing is measured."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
