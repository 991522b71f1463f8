"""The last outcomes of an integration, run-length encoded as stored in its health row, oldest first. Pure.

`[["ok", 12], ["401", 150]]`: twelve successes, then 150 responses with status 401. The row stays small even for an
integration whose every delivery fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from integrations.foundation.languages import gettext_noop
from integrations.foundation.written import grouped

#: Maximum number of outcomes, and of runs.
OUTCOMES_KEPT = 200
RUNS_KEPT = 40
SUCCESS = "ok"

Runs = list[list[Any]]

_PHRASES = {
    "timeout": gettext_noop("timed out"),
    "dns": gettext_noop("not reached: its host name does not resolve"),
    "connection": gettext_noop("not reached"),
    "tls": gettext_noop("not reached: its certificate is not valid"),
    "refused_address": gettext_noop("not reached: its address is not allowed"),
    "configuration": gettext_noop("not sent: its settings cannot be used"),
    "protocol": gettext_noop("answered with invalid HTTP"),
}


def added(runs: Sequence[Sequence[Any]] | None, what: str, count: int = 1) -> Runs:
    """Return `runs` with `count` more outcomes appended; the oldest are dropped beyond the limits."""
    found: Runs = [[str(name), int(number)] for name, number in runs or ()]
    if count > 0:
        if found and found[-1][0] == what:
            found[-1][1] += count
        else:
            found.append([what, count])
    found = found[-RUNS_KEPT:]
    excess = sum(number for _, number in found) - OUTCOMES_KEPT
    while excess > 0:
        taken = min(excess, found[0][1])
        found[0][1] -= taken
        excess -= taken
        if not found[0][1]:
            found.pop(0)
    return found


@dataclass(frozen=True, slots=True)
class Recent:
    """`failed` of the last `total`; `in_a_row` of them since the last success.

    `with_what` is the most common failure.
    """

    total: int = 0
    failed: int = 0
    in_a_row: int = 0
    with_what: str = ""
    is_uniform: bool = True

    @property
    def refuses_everything(self) -> bool:
        """Whether all known outcomes failed, or at least the last three."""
        return self.in_a_row > 0 and (self.in_a_row >= 3 or self.in_a_row == self.total)

    @property
    def is_poor(self) -> bool:
        """Whether at least half of the outcomes failed, although the latest succeeded."""
        return self.total > 0 and not self.in_a_row and self.failed * 2 >= self.total

    @property
    def words(self) -> str:
        """Such as `150 of the last 150 refused with 401`; empty if no failure is known."""
        if not self.in_a_row:
            return ""
        number = grouped(self.in_a_row)
        words = {"number": number, "total": number, "outcome": phrase(self.with_what)}
        if self.is_uniform:
            return _("%(number)s of the last %(total)s %(outcome)s") % words
        return _("%(number)s of the last %(total)s failed, most of them %(outcome)s") % words


def recent_of(runs: Sequence[Sequence[Any]] | None) -> Recent:
    pairs = [(str(name), int(number)) for name, number in runs or ()]
    total = sum(number for _, number in pairs)
    failed = sum(number for name, number in pairs if name != SUCCESS)
    trailing = []
    for name, number in reversed(pairs):
        if name == SUCCESS:
            break
        trailing.append((name, number))
    kinds = _summed(trailing)
    common = max(kinds, key=lambda name: kinds[name], default="")
    return Recent(total, failed, sum(number for _, number in trailing), common, len(kinds) < 2)


def _summed(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, number in pairs:
        found[name] = found.get(name, 0) + number
    return found


def phrase(what: str) -> str:
    if what.isdecimal():
        text = _("refused with %(status)s") if what.startswith("4") else _("answered with %(status)s")
        return text % {"status": what}
    if what in _PHRASES:
        return _(_PHRASES[what])
    return _("failed (%(what)s)") % {"what": what} if what else _("failed")
