"""Places where a fault test may end the process: HOOKDESK_FAILPOINT=engine.before_record, `…:3` for the third pass.

`engine.send=<text>` crashes, as a buggy library would, whenever a body contains the text. Unset, as always except in
`tests/faults/`, a failpoint is a call that does nothing.
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
