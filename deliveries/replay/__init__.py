"""Replays: bulk resend or discard, by filter rather than by ids, in small steps."""

from deliveries.replay.canary import CANARY_ABOVE, STOP_ABOVE
from deliveries.replay.outcome import ReplayOutcome, outcome_of
from deliveries.replay.runner import Step, matching, run, run_waiting, step
from deliveries.replay.service import (
    GUARDED,
    GUARDED_LIMIT,
    Preview,
    ReplayError,
    UnconfirmedError,
    cancel_replay,
    count_guarded,
    pause_replay,
    preview,
    resume_replay,
    start_replay,
    with_status,
)

__all__ = [
    "CANARY_ABOVE",
    "GUARDED",
    "GUARDED_LIMIT",
    "STOP_ABOVE",
    "Preview",
    "ReplayError",
    "ReplayOutcome",
    "Step",
    "UnconfirmedError",
    "cancel_replay",
    "count_guarded",
    "matching",
    "outcome_of",
    "pause_replay",
    "preview",
    "resume_replay",
    "run",
    "run_waiting",
    "start_replay",
    "step",
    "with_status",
]
