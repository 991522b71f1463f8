"""Tying the life of a process to its parent's, by Linux's PR_SET_PDEATHSIG."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
#: The supervisor's process id, for the children that it starts.
SUPERVISOR_VARIABLE = "HOOKDESK_SUPERVISOR"


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """The kernel sends `signum` to this process when its parent ends, however it ends. Linux only; else nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def die_with_supervisor() -> None:
    """For a child of the supervisor: drain and stop when that is gone, so that nothing holds the port or the slots."""
    supervisor = os.environ.get(SUPERVISOR_VARIABLE, "")
    if not supervisor.isdigit():
        return
    die_with_parent(signal.SIGTERM)
    if os.getppid() != int(supervisor):
        raise SystemExit("the supervisor has already exited")
