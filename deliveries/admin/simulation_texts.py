"""The words of the time machine's pages."""

from __future__ import annotations

from urllib.parse import urlencode

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from deliveries.models import Simulation
from deliveries.simulation.comparing import Verdict
from subscriptions.admin.subscription import TYPED

#: Characters of a query; longer changes are typed again.
QUERY_LIMIT = 4_000

#: Verdicts with something to see: what they are called, and what that means.
SECTIONS = (
    (Verdict.CHANGED.value, "Requests that differ", "Wanted today and with the change, but not as the same request."),
    (Verdict.NEWLY_MATCHED.value, "Newly matched", "Not sent today; would be sent."),
    (Verdict.NO_LONGER_MATCHED.value, "No longer matched", "Sent today; would not be sent."),
    (Verdict.ERROR.value, "Errors", "Would be made as deliveries, and fail before anything is sent."),
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


def as_typed(simulation: Simulation) -> str:
    """What the form of a subscription, or of another wire format, is opened with again: a query, or nothing."""
    if simulation.kind == Simulation.Kind.INTEGRATION:
        after = simulation.changes.get("wire_format", ["", ""])[1]
        return f"?{urlencode({'kind': after})}" if after else ""
    if simulation.kind == Simulation.Kind.TOPIC:
        return ""
    texts = {name: after for name, (_, after) in simulation.changes.items() if name in TYPED}
    found = urlencode({name: " ".join(text) if isinstance(text, list) else text for name, text in texts.items()})
    return f"?{found}" if 0 < len(found) <= QUERY_LIMIT else ""


def _moment(text: str) -> str:
    moment = parse_datetime(text)
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M}" if moment is not None else text
