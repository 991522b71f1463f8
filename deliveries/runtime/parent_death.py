"""End a process when its parent dies, with Linux's PR_SET_PDEATHSIG."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
#: Passes the supervisor's process id to its children.
SUPERVISOR_VARIABLE = "HOOKDESK_SUPERVISOR"


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """Have the kernel send `signum` to this process when its parent ends, however it ends. No-op except on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def die_with_supervisor() -> None:
    """In a child of the supervisor: drain and stop when the supervisor dies, to free the port and the slots."""
    supervisor = os.environ.get(SUPERVISOR_VARIABLE, "")
    if not supervisor.isdigit():
        return
    die_with_parent(signal.SIGTERM)
    if os.getppid() != int(supervisor):
        raise SystemExit("the supervisor has already exited")
