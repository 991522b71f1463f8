"""What `manage.py doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing. `level`: ok, warning (works, but needs attention) or problem."""

    check: str
    level: str
    message: str
    advice: str = ""
