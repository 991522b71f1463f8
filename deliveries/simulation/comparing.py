"""What a change means for one event: what would happen with it, beside what happens today. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext

from deliveries.failures.fingerprint import normalise_message
from deliveries.results.request_changes import SentRequest, kinds_of_change
from integrations.foundation.languages import gettext_noop

#: Characters of a kind.
KIND_LIMIT = 300
_NEW, _ALREADY = gettext_noop("new"), gettext_noop("also today")
_FAILS_TODAY = gettext_noop("fails today, would be sent")
_NEWLY_SENT = gettext_noop("nothing is sent today, would be sent")
_NOT_SENT = gettext_noop("is sent today, nothing would be sent")


class Verdict(StrEnum):
    """Each compared event has exactly one of the first seven; the last two come on top."""

    SAME = "same"
    UNWANTED = "unwanted"
    NEWLY_MATCHED = "newly_matched"
    NO_LONGER_MATCHED = "no_longer_matched"
    CHANGED = "changed"
    ERROR = "error"
    UNKNOWN = "unknown"
    VIOLATION = "violation"
    CONFORMS = "conforms"


#: Those that are only counted: there is nothing to see.
SILENT = frozenset({Verdict.SAME, Verdict.UNWANTED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of an event with one configuration. Wanted and without a request: nothing needs to be sent, or
    `error` says why nothing can be. `violations`: of the topic's schema by its data.
    """

    is_wanted: bool
    request: SentRequest | None = None
    error: str = ""
    violations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind` is equal for events on which the change has the same effect; it holds no value of their data."""

    verdict: Verdict
    kind: str = ""


def compare(before: Outcome, after: Outcome) -> list[Finding]:
    """One finding on the delivery, and up to one on the schema."""
    return [_of_delivery(before, after), *_of_schema(before, after)]


def _of_delivery(before: Outcome, after: Outcome) -> Finding:
    if not after.is_wanted:
        return Finding(Verdict.NO_LONGER_MATCHED if before.is_wanted else Verdict.UNWANTED)
    if after.error:
        return Finding(Verdict.ERROR, _named(after.error, before.is_wanted and bool(before.error)))
    if not before.is_wanted:
        return Finding(Verdict.NEWLY_MATCHED)
    if before.error:
        return Finding(Verdict.CHANGED, _FAILS_TODAY)
    return _of_requests(before.request, after.request)


def _of_requests(before: SentRequest | None, after: SentRequest | None) -> Finding:
    if before is None or after is None:
        if before is after:
            return Finding(Verdict.SAME)
        kind = _NEWLY_SENT if before is None else _NOT_SENT
        return Finding(Verdict.CHANGED, kind)
    kinds = kinds_of_change(before, after)
    return Finding(Verdict.CHANGED, "; ".join(kinds)[:KIND_LIMIT]) if kinds else Finding(Verdict.SAME)


def _of_schema(before: Outcome, after: Outcome) -> list[Finding]:
    if after.violations:
        return [Finding(Verdict.VIOLATION, _named(after.violations[0], bool(before.violations)))]
    return (
        [Finding(Verdict.CONFORMS, normalise_message(before.violations[0])[:KIND_LIMIT])] if before.violations else []
    )


def _named(message: str, is_known: bool) -> str:
    return f"{_ALREADY if is_known else _NEW}: {normalise_message(message)}"[:KIND_LIMIT]


def kind_words(kind: str) -> str:
    """A kind as a page shows it; it is kept in English."""
    prefix, colon, message = kind.partition(": ")
    return f"{gettext(prefix)}: {message}" if colon and prefix in (_NEW, _ALREADY) else gettext(kind)
