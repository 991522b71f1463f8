"""The words of the time machine's pages."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from deliveries.models import Simulation
from deliveries.simulation.choosing import EventChoice
from deliveries.simulation.comparing import Verdict
from integrations.foundation.identifiers import made_at
from integrations.foundation.written import grouped
from subscriptions.admin.subscription import TYPED

#: Characters of a query; longer changes are typed again.
QUERY_LIMIT = 4_000

#: Verdicts with something to see: what they are called, and what that means.
SECTIONS = (
    (
        Verdict.CHANGED.value,
        _("Requests that differ"),
        _("Wanted today and with the change, but not as the same request."),
    ),
    (Verdict.NEWLY_MATCHED.value, _("Newly matched"), _("Not sent today; would be sent.")),
    (Verdict.NO_LONGER_MATCHED.value, _("No longer matched"), _("Sent today; would not be sent.")),
    (Verdict.ERROR.value, _("Errors"), _("Would be made as deliveries, and fail before anything is sent.")),
    (
        Verdict.UNKNOWN.value,
        _("Cannot be told"),
        _("A condition needs the object as it was before, which is not kept."),
    ),
    (Verdict.VIOLATION.value, _("Schema violations"), _("Pushes of this data would be refused.")),
    (Verdict.CONFORMS.value, _("No longer violate the schema"), _("Pushes of this data are refused today.")),
)

#: The same verdicts under a figure.
FIGURES = {
    Verdict.CHANGED.value: _("requests that differ"),
    Verdict.NEWLY_MATCHED.value: _("newly matched"),
    Verdict.NO_LONGER_MATCHED.value: _("no longer matched"),
    Verdict.ERROR.value: _("errors"),
    Verdict.UNKNOWN.value: _("cannot be told"),
    Verdict.VIOLATION.value: _("schema violations"),
    Verdict.CONFORMS.value: _("no longer violate the schema"),
}

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
        return ngettext("one chosen event", "%(number)s chosen events", number) % {"number": grouped(number)}
    if "until" in kept:
        times = {"since": _moment(kept["since"]), "until": _moment(kept["until"])}
        words = gettext("events from %(since)s until %(until)s") % times
    elif "since" in kept:
        words = gettext("events since %(since)s") % {"since": _moment(kept["since"])}
    else:
        number = kept.get("last", 0)
        words = ngettext("the last event", "the last %(number)s events", number) % {"number": grouped(number)}
    if "topic" in kept:
        words = gettext("%(events)s of %(topic)s") % {"events": words, "topic": kept["topic"]}
    return gettext("%(events)s with %(text)s") % {"events": words, "text": kept["q"]} if "q" in kept else words


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
