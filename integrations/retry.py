"""When a delivery is tried again: the named schedules (docs/contract.md#retry-policies), and how far the next try is.

A policy is a tuple of delays in seconds; its n-th entry is the wait after the n-th failed try, and its length is
the number of retries. Nothing here reads a clock: the caller adds the delay to its own `now`.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

MAX_RETRIES: Final = 100
MAX_DELAY: Final = 30 * DAY
#: A receiver may ask us to wait this long and no longer, in seconds.
RETRY_AFTER_LIMIT: Final = 24 * HOUR
#: The shortest pause, in seconds, even if the receiver names a moment in the past.
RETRY_AFTER_MINIMUM: Final = 1.0
JITTER: Final = 0.1

#: One delay as people write it: `90`, `1.5h`, `30m`.
_DELAY = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)
_UNIT_SECONDS: Final = {"": 1.0, "s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY}
_WHAT_TO_WRITE: Final = "Write a name ({names}) or a list of seconds such as [5, 300, 7200]."


def _daily_to(total: float, start: Sequence[float]) -> tuple[float, ...]:
    """`start`, then one retry a day; the last wait is cut so that the very last retry falls on `total` seconds."""
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
    """The delays, in seconds, that `value` stands for.

    `value` is a name of `POLICIES`, a list of seconds, or such a list as staff type it: `5s 5m 2h` or `5, 300, 7200`.
    An empty list means the same as `none`. Raises ValueError in plain words, naming the entry that is wrong.
    """
    if isinstance(value, str):
        named = POLICIES.get(value.strip().lower())
        return _checked(_delays_from_text(value)) if named is None else named
    if not isinstance(value, list | tuple):
        raise ValueError(f"The retry policy is neither a name nor a list. {_advice()}")
    return _checked(value)


def _advice() -> str:
    return _WHAT_TO_WRITE.format(names=", ".join(POLICIES))


def _delays_from_text(text: str) -> list[float]:
    delays = []
    for word in re.split(r"[\s,]+", text.strip().strip("[]").strip()):
        match = _DELAY.fullmatch(word.lower())
        if match is None:
            raise ValueError(f"There is no retry policy {text[:60]!r}. {_advice()}")
        delays.append(float(match[1]) * _UNIT_SECONDS[match[2]])
    return delays


def _checked(delays: Sequence[float]) -> tuple[float, ...]:
    if len(delays) > MAX_RETRIES:
        raise ValueError(
            f"The retry policy has {len(delays)} entries; {MAX_RETRIES} is the most. Leave out the last ones."
        )
    for number, delay in enumerate(delays, start=1):
        is_number = isinstance(delay, int | float) and not isinstance(delay, bool)
        if not is_number or not 0 < delay <= MAX_DELAY:
            raise ValueError(
                f"Entry {number} of the retry policy is {str(delay)[:40]!r}. Each must be a number of seconds "
                f"greater than 0 and at most {MAX_DELAY:.0f} (30 days)."
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
    """Seconds until the next retry, or None when the policy is used up.

    `retries_made` counts the retries that were already made: 0 after the first try failed. The delay is spread by
    ± `jitter` (a fraction of it), so that deliveries that failed together are not retried together.

    `retry_after`, in seconds, is what the receiver asked for, and replaces the policy's delay: it knows better than
    a table when it will have recovered. It is kept between 1 s and 24 h, and spread upwards only, since coming
    sooner than asked would be wrong. It never adds a retry to an exhausted policy.
    """
    if retries_made >= len(policy):
        return None
    if retry_after is None or math.isnan(retry_after):
        return policy[retries_made] * (1 + jitter * rng.uniform(-1, 1))
    asked = max(retry_after, RETRY_AFTER_MINIMUM)
    return min(asked * (1 + jitter * rng.random()), RETRY_AFTER_LIMIT)


def total_duration(policy: Sequence[float]) -> float:
    """Seconds from the first failure to the last retry, without jitter."""
    return sum(policy)


def retry_moments(policy: Sequence[float]) -> tuple[float, ...]:
    """Seconds after the first failure at which each retry falls, without jitter (for pages that show a schedule)."""
    return tuple(accumulate(policy))
