"""When a channel sends: its quiet hours, its deduplication window, and its digests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any, Final

from django.core.exceptions import ValidationError

from notifications.models import Channel

#: 30 days. What is longer was a slip, and no date could be reckoned with it.
MINUTES_LIMIT: Final = 30 * 24 * 60
_MINUTES: Final = {"window_minutes": (1, 60), "digest_minutes": (0, 0)}  #: by field: the smallest, the default


def set_timing(row: Channel, values: Mapping[str, Any]) -> None:
    """Set what is given, without saving; raises ValidationError by field."""
    for name in ("quiet_from", "quiet_until"):
        if name in values:
            setattr(row, name, _time(name, values[name]))
    for name, (smallest, default) in _MINUTES.items():
        if name in values:
            value = default if values[name] is None else values[name]
            if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= MINUTES_LIMIT:
                message = f"{name} must be a whole number from {smallest} to {MINUTES_LIMIT}."
                raise ValidationError({name: message})
            setattr(row, name, value)


def timing_of(channel: Channel) -> dict[str, Any]:
    """What `set_timing` takes."""
    return {
        "quiet_from": channel.quiet_from.isoformat("minutes") if channel.quiet_from else None,
        "quiet_until": channel.quiet_until.isoformat("minutes") if channel.quiet_until else None,
        "window_minutes": channel.window_minutes,
        "digest_minutes": channel.digest_minutes,
    }


def _time(name: str, value: Any) -> time | None:
    if value is None or value == "":
        return None
    try:
        found = time.fromisoformat(value)
    except (TypeError, ValueError):
        found = None
    if found is None or found.tzinfo is not None:
        raise ValidationError({name: f"{name} must be a time of day in UTC, such as '22:00'."})
    return found
