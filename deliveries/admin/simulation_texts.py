"""The words of the time machine's pages."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from deliveries.models import Simulation
from deliveries.simulation.choosing import EventChoice
from deliveries.simulation.comparing import Verdict
from integrations.foundation.identifiers import made_at
from subscriptions.admin.subscription import TYPED

#: Characters of a query; longer changes are typed again.
QUERY_LIMIT = 4_000

#: Verdicts with something to see: what they are called, and what that means.
SECTIONS = (
    (Verdict.CHANGED.value, "Requests that differ", "Wanted today and with the change, but not as the same request."),
    (Verdict.NEWLY_MATCHED.value, "Newly matched", "Not sent today; would be sent."),
    (Verdict.NO_LONGER_MATCHED.value, "No longer matched", "Sent today; would not be sent."),
    (Verdict.ERROR.value, "Errors", "Would be made as deliveries, and fail before anything is sent."),
    (Verdict.UNKNOWN.value, "Cannot be told", "A condition needs what the object was before, which is not kept."),
    (Verdict.VIOLATION.value, "Schema violations", "Pushes of this data would be refused."),
    (Verdict.CONFORMS.value, "No longer violate the schema", "Pushes of this data are refused today."),
)

_VIEW = {
    Simulation.Kind.SUBSCRIPTION: ("subscriptions", "view_subscription"),
    Simulation.Kind.INTEGRATION: ("integrations", "view_integration"),
    Simulation.Kind.TOPIC: ("subscriptions", "view_topic"),
}


def needed_to_see(kind: str) -> tuple[str, str]:
    """The app of what is changed, and the permission to look at it."""
    return _VIEW[Simulation.Kind(kind)]


def events_named(simulation: Simulation) -> str:
    """Which events it runs over."""
    kept = simulation.events
    if number := len(kept.get("ids", ())):
        return "one chosen event" if number == 1 else f"{number:,} chosen events"
    if "since" in kept:
        words = f"events since {_moment(kept['since'])}"
        words += f" until {_moment(kept['until'])}" if "until" in kept else ""
    else:
        words = f"the last {kept.get('last', 0):,} events"
    words += f" of {kept['topic']}" if "topic" in kept else ""
    return words + (f" with {kept['q']}" if "q" in kept else "")


def percent_of(simulation: Simulation) -> int:
    """How far it has come: by number, or through a period, of which nobody has counted the events."""
    if simulation.is_over:
        return 100
    percent = simulation.looked_at * 100 // max(1, simulation.limit)
    if "since" in simulation.events and simulation.cursor is not None:
        choice = EventChoice.of(simulation.events)
        assert choice.since is not None
        until = min(choice.until or simulation.created_at, simulation.created_at)
        percent = max(
            percent, int((until - made_at(simulation.cursor)) * 100 / max(until - choice.since, timedelta(seconds=1)))
        )
    return max(0, min(99, percent))


def as_typed(simulation: Simulation) -> str:
    """What the form of a subscription, or of another wire format, is opened with again: a query, or nothing."""
    if simulation.kind == Simulation.Kind.INTEGRATION:
        after = simulation.changes.get("wire_format", ["", ""])[1]
        return f"?{urlencode({'kind': after})}" if after else ""
    if simulation.kind == Simulation.Kind.TOPIC:
        return ""
    texts = {name: each[1] for name, each in simulation.changes.items() if name in TYPED}
    found = urlencode({name: " ".join(text) if isinstance(text, list) else text for name, text in texts.items()})
    return f"?{found}" if 0 < len(found) <= QUERY_LIMIT else ""


def _moment(text: str) -> str:
    moment = parse_datetime(text)
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M}" if moment is not None else text
