"""Replays: many deliveries again (or discarded), by filter and not by ids, in small steps."""

from deliveries.replay.services import (
    Preview,
    ReplayError,
    cancel_replay,
    pause_replay,
    preview,
    resume_replay,
    start_replay,
)
from deliveries.replay.steps import Step, matching, run, run_waiting, step

__all__ = [
    "Preview",
    "ReplayError",
    "Step",
    "cancel_replay",
    "matching",
    "pause_replay",
    "preview",
    "resume_replay",
    "run",
    "run_waiting",
    "start_replay",
    "step",
]
