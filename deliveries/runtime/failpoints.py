"""Failpoints: places at which a fault test can kill the process.

HOOKDESK_FAILPOINT=engine.before_record exits at the first pass, `…:3` at the third. `engine.send=<text>` crashes, as a
buggy library would, when a body contains the text. Unset, as it always is outside `tests/faults/`, a failpoint does
nothing.
"""

from __future__ import annotations

import os
import signal

_plan = os.environ.get("HOOKDESK_FAILPOINT", "")
_name, _, _pass = _plan.partition(":")
_left = int(_pass or 1) if _plan and "=" not in _plan else 0


def failpoint(name: str, detail: bytes = b"") -> None:
    if _plan:
        _reached(name, detail)


def _reached(name: str, detail: bytes) -> None:
    global _left
    if detail and _plan.startswith(f"{name}=") and _plan.partition("=")[2].encode() in detail:
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == _name and _left:
        _left -= 1
        if not _left:
            os._exit(137)
