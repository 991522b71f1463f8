"""Retry policies: the named schedules (docs/contract.md#retry-policies) and the delay until the next retry. Pure.

A policy is a tuple of delays in seconds: entry n is the delay after the n-th failed attempt, the length is the number
of retries. Nothing here reads a clock; the caller adds the delay to its own `now`.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from django.utils.translation import gettext as _

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

MAX_RETRIES: Final = 100
MAX_DELAY: Final = 30 * DAY
#: Longest delay, in seconds, that a receiver may request.
RETRY_AFTER_LIMIT: Final = 24 * HOUR
#: Shortest delay, in seconds, even if the receiver names a time in the past.
RETRY_AFTER_MINIMUM: Final = 1.0
JITTER: Final = 0.1

#: One delay as people write it: `90`, `1.5h`, `30m`.
_DELAY = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)
_UNIT_SECONDS: Final = {"": 1.0, "s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY}


def _daily_to(total: float, start: Sequence[float]) -> tuple[float, ...]:
    """Return `start`, then one retry a day; the last delay is cut so that the last retry is at `total` seconds."""
    delays = list(start)
    while (rest := total - sum(delays)) > 0:
        delays.append(min(DAY, rest))
    return tuple(delays)


def _patient() -> tuple[float, ...]:
    """n⁴ + 5 seconds, 25 times; Spiffy Stores says "fails after about 25 days".

    n is the number of tries made so far and so runs from 1 to 25: the waits are 6 s, 21 s, 86 s … 4.5 days, and
    their sum is 2,153,770 s = 24.93 days, which is "about 25 days". From 0 to 24 it would be 20.41 days.
    """
    return tuple(float(tries**4 + 5) for tries in range(1, 26))


POLICIES: Final[dict[str, tuple[float, ...]]] = {
    "standard": (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR),
    "hub": _daily_to(7 * DAY, (5.0, MINUTE, 3 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR)),
    "once": (MINUTE,),
    "patient": _patient(),
    "none": (),
}


def parse_policy(value: str | Sequence[float]) -> tuple[float, ...]:
    """Return the delays of a policy in seconds.

    `value`: a name of `POLICIES`, a list of seconds, or a list as typed by staff: `5s 5m 2h` or `5, 300, 7200`. An
    empty list means `none`. Raises ValueError with a message for staff that names the invalid entry.
    """
    if isinstance(value, str):
        named = POLICIES.get(value.strip().lower())
        return _checked(_delays_from_text(value)) if named is None else named
    if not isinstance(value, list | tuple):
        raise ValueError(_("The retry policy is neither a name nor a list. %(advice)s") % {"advice": _advice()})
    return _checked(value)


def _advice() -> str:
    return _("Write a name (%(names)s) or a list of seconds such as [5, 300, 7200].") % {"names": ", ".join(POLICIES)}


def _delays_from_text(text: str) -> list[float]:
    delays = []
    for word in re.split(r"[\s,]+", text.strip().strip("[]").strip()):
        match = _DELAY.fullmatch(word.lower())
        if match is None:
            raise ValueError(
                _("There is no retry policy %(text)r. %(advice)s") % {"text": text[:60], "advice": _advice()}
            )
        delays.append(float(match[1]) * _UNIT_SECONDS[match[2]])
    return delays


def _checked(delays: Sequence[float]) -> tuple[float, ...]:
    if len(delays) > MAX_RETRIES:
        raise ValueError(
            _("The retry policy has %(number)s entries; %(limit)s is the most. Leave out the last ones.")
            % {"number": len(delays), "limit": MAX_RETRIES}
        )
    for number, delay in enumerate(delays, start=1):
        is_number = isinstance(delay, int | float) and not isinstance(delay, bool)
        if not is_number or not 0 < delay <= MAX_DELAY:
            raise ValueError(
                _(
                    "Entry %(number)s of the retry policy is %(delay)r. Each must be a number of seconds "
                    "greater than 0 and at most %(limit)s (30 days)."
                )
                % {"number": number, "delay": str(delay)[:40], "limit": f"{MAX_DELAY:.0f}"}
            )
    return tuple(float(delay) for delay in delays)


def next_delay(
    policy: Sequence[float],
    retries_made: int,
    *,
    rng: random.Random,
    jitter: float = JITTER,
    retry_after: float | None = None,
) -> float | None:
    """Return the seconds until the next retry, or None if the policy is exhausted.

    `retries_made`: retries already made, 0 after the first attempt failed. The delay varies by ± `jitter` (a fraction),
    so that deliveries that failed together are not retried together.

    `retry_after`: seconds requested by the receiver. It replaces the policy's delay, limited to 1 s to 24 h. Jitter
    only increases it, as a retry must not come earlier than requested. It never adds a retry to an exhausted policy.
    """
    if retries_made >= len(policy):
        return None
    if retry_after is None or math.isnan(retry_after):
        return policy[retries_made] * (1 + jitter * rng.uniform(-1, 1))
    asked = max(retry_after, RETRY_AFTER_MINIMUM)
    return min(asked * (1 + jitter * rng.random()), RETRY_AFTER_LIMIT)


def total_duration(policy: Sequence[float]) -> float:
    """Return the seconds from the first failure to the last retry, without jitter."""
    return sum(policy)


def retry_moments(policy: Sequence[float]) -> tuple[float, ...]:
    """Return the seconds from the first failure to each retry, without jitter, for pages that show a schedule."""
    return tuple(accumulate(policy))
