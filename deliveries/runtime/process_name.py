"""The names of Hookdesk's processes in `ps`, `top` and `pstree`: all are forked from one command line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

#: The kernel keeps 15 bytes.
PREFIX = "hookdesk"


def name_process(role: str) -> None:
    """`role`: web, worker, engine …, or nothing for the supervisor. Linux only; else nothing."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"{PREFIX} {role}".strip()[:15])
