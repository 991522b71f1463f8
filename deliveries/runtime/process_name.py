"""Name Hookdesk's processes in `ps`, `top` and `pstree`; all are forked from the same command line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

#: Prefix of the name, of which the kernel keeps 15 bytes.
PREFIX = "hookdesk"


def name_process(role: str) -> None:
    """Set the process's name. `role`: web, worker, engine …; empty for the supervisor. No-op except on Linux."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"{PREFIX} {role}".strip()[:15])
