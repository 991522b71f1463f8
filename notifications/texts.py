"""Builds the texts of messages, in the language that is active, and computes when they may be sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from integrations.foundation.texts import shortened
from integrations.foundation.written import grouped
from notifications.sms_text import sms

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Maximum incidents that a digest names; the others are counted.
DIGEST_LIMIT = 20
#: Maximum characters of an incident's summary in an e-mail.
SUMMARY_LIMIT = 500
#: Maximum characters of a chat message's title, and of an incident's summary among others.
TITLE_LIMIT = 150
LINE_LIMIT = 80
_LINK = re.compile(
    r"[a-z][a-z0-9+.-]*://\S+"
    r"|(?:www\.|(?:[\w-]+\.)+(?=[\w-]+/|(?:com|net|org|io|info|biz|app|dev|co|me|xyz|top|site|online|link|shop)\b))\S+",
    re.IGNORECASE,
)
LEVELS: Final[dict[str, StrPromise]] = {
    "info": pgettext_lazy("status", "info"),
    "warning": pgettext_lazy("status", "warning"),
    "error": pgettext_lazy("status", "error"),
}
#: What a message's title begins with: a level, or what became of the incident.
HEADS: Final[dict[str, StrPromise]] = {
    "info": gettext_lazy("Info"),
    "warning": gettext_lazy("Warning"),
    "error": gettext_lazy("Error"),
    "acknowledged": gettext_lazy("Acknowledged"),
    "resolved": gettext_lazy("Resolved"),
}


@dataclass(frozen=True, slots=True)
class Incident:
    """One notification, as shown in a message."""

    level: str
    store: str
    integration: str
    summary: str
    occurrences: int
    link: str
    key: str = ""  #: the same for all messages about it, for receivers that track incidents
    case: str = ""  #: the id of its case, case_…; empty if it has none
    since: str = ""  #: RFC 3339, UTC
    by: str = ""  #: who acknowledged or resolved it

    @property
    def place(self) -> str:
        return f"{self.store} → {self.integration}" if self.integration else self.store


def harmless(text: str) -> str:
    """Return untrusted text on one line, without invisible characters, and with URLs that no mail program links.

    Receivers' responses appear in messages that staff trust, so a URL in them must not look like ours.
    """
    visible = "".join(character if character.isprintable() else " " for character in text)
    return _LINK.sub(lambda link: link[0].replace("://", "[://]").replace(".", "[.]"), " ".join(visible.split()))


def subject(incidents: Sequence[Incident]) -> str:
    if len(incidents) > 1:
        return _counted(
            ngettext("[Hookdesk] %(number)s incident", "[Hookdesk] %(number)s incidents", len(incidents)),
            len(incidents),
        )
    [incident] = incidents
    words = _("[Hookdesk] %(level)s: %(place)s") % {"level": level_word(incident.level), "place": incident.place}
    return shortened(words, 150)


def title(incidents: Sequence[Incident], event: str) -> str:
    """Return one line that says what happened to which incidents: `event` is opened, acknowledged or resolved."""
    if (number := len(incidents)) > 1:
        if event == "opened":
            words = ngettext("%(number)s incident opened", "%(number)s incidents opened", number)
        elif event == "acknowledged":
            words = ngettext("%(number)s incident acknowledged", "%(number)s incidents acknowledged", number)
        else:
            words = ngettext("%(number)s incident resolved", "%(number)s incidents resolved", number)
        return _counted(words, number)
    [incident] = incidents
    state = HEADS.get(incident.level if event == "opened" else event, incident.level.capitalize())
    return shortened(_("%(state)s: %(place)s") % {"state": state, "place": incident.place}, TITLE_LIMIT)


def level_word(level: str) -> str:
    return str(LEVELS.get(level, level))


def how_many(incident: Incident) -> str:
    words = ngettext("%(number)s failure so far", "%(number)s failures so far", incident.occurrences)
    return _counted(words, incident.occurrences)


def facts_of(incident: Incident, event: str) -> dict[str, str]:
    """Return what a card lists of an incident, by label; what is not known is left out."""
    by = _("Acknowledged by") if event == "acknowledged" else _("Resolved by")
    found = {
        _("Store"): incident.store,
        _("Integration"): incident.integration,
        _("Failures"): grouped(incident.occurrences),
        by: incident.by,
    }
    return {label: value for label, value in found.items() if value}


def lines(incidents: Sequence[Incident]) -> list[str]:
    """Return a line per incident of a message about several; the last one counts those that are not named."""
    words = _("%(place)s: %(summary)s (%(how_many)s)")
    found = [
        words % {"place": each.place, "summary": shortened(each.summary, LINE_LIMIT), "how_many": how_many(each)}
        for each in incidents[:DIGEST_LIMIT]
    ]
    if (more := len(incidents) - DIGEST_LIMIT) > 0:
        found.append(_counted(ngettext("… and %(number)s more", "… and %(number)s more", more), more))
    return found


def sms_text(incidents: Sequence[Incident], link: str) -> str:
    """Return a text for few parts of an SMS; the link is kept whole if possible."""
    if (number := len(incidents)) > 1:
        named = "; ".join(f"{incident.place}: {incident.summary}" for incident in incidents[:DIGEST_LIMIT])
        words = ngettext("Hookdesk: %(number)s incident. %(list)s", "Hookdesk: %(number)s incidents. %(list)s", number)
        words = words % {"number": grouped(number), "list": named}
    else:
        [incident] = incidents
        link = incident.link
        words = _("Hookdesk %(level)s: %(place)s: %(summary)s") % {
            "level": level_word(incident.level),
            "place": incident.place,
            "summary": incident.summary,
        }
    return sms(" ".join(words.split()), link)


def email_text(incidents: Sequence[Incident], link: str) -> str:
    """Return the plain text: what failed, where, how often, and where to resolve it."""
    parts = [
        f"{level_word(incident.level).upper()}  {incident.place}\n{shortened(incident.summary, SUMMARY_LIMIT)}\n"
        + _("%(number)s so far. Resolve: %(link)s") % {"number": grouped(incident.occurrences), "link": incident.link}
        for incident in incidents[:DIGEST_LIMIT]
    ]
    if (more := len(incidents) - DIGEST_LIMIT) > 0:
        words = ngettext("… and %(number)s more: %(link)s", "… and %(number)s more: %(link)s", more)
        parts.append(words % {"number": grouped(more), "link": link})
    return "\n\n".join(parts) + "\n"


def _counted(words: str, number: int) -> str:
    return words % {"number": grouped(number)}


def after_quiet_hours(moment: datetime, start: time | None, end: time | None) -> datetime:
    """Return `moment`, or the end of the quiet hours (UTC, may span midnight) that contain it."""
    if start is None or end is None or start == end:
        return moment
    clock = moment.astimezone(UTC).time()
    is_quiet = start <= clock < end if start < end else clock >= start or clock < end
    if not is_quiet:
        return moment
    ending = datetime.combine(moment.astimezone(UTC).date(), end, UTC)
    return ending if ending > moment else ending + timedelta(days=1)


def end_of_slot(moment: datetime, minutes: int) -> datetime:
    """Return the end of the digest slot that contains `moment`. Slots of `minutes` start at the Unix epoch."""
    length = minutes * 60
    return datetime.fromtimestamp((int(moment.timestamp()) // length + 1) * length, UTC)


def window_of(moment: datetime, minutes: int) -> int:
    """Return the number of the deduplication window that contains `moment`."""
    return int(moment.timestamp()) // (max(1, minutes) * 60)
