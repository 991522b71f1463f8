"""Builds the texts of messages and computes when they may be sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from integrations.foundation.texts import shortened

#: Characters of an SMS with two parts.
SMS_LIMIT = 320
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
        return f"[Hookdesk] {len(incidents)} incidents"
    [incident] = incidents
    return shortened(f"[Hookdesk] {incident.level}: {incident.place}", 150)


def title(incidents: Sequence[Incident], event: str) -> str:
    """Return one line that says what happened to which incidents: `event` is opened, acknowledged or resolved."""
    if len(incidents) > 1:
        return f"{len(incidents)} incidents {event}"
    [incident] = incidents
    state = incident.level if event == "opened" else event
    return shortened(f"{state.capitalize()}: {incident.place}", TITLE_LIMIT)


def how_many(incident: Incident) -> str:
    return f"{incident.occurrences} {'failure' if incident.occurrences == 1 else 'failures'} so far"


def lines(incidents: Sequence[Incident]) -> list[str]:
    """Return a line per incident of a message about several; the last one counts those that are not named."""
    found = [
        f"{incident.place}: {shortened(incident.summary, LINE_LIMIT)} ({how_many(incident)})"
        for incident in incidents[:DIGEST_LIMIT]
    ]
    if len(incidents) > DIGEST_LIMIT:
        found.append(f"… and {len(incidents) - DIGEST_LIMIT} more")
    return found


def sms_text(incidents: Sequence[Incident], link: str) -> str:
    """Return a text of at most `SMS_LIMIT` characters; the link is kept whole if possible."""
    if len(incidents) > 1:
        words = f"Hookdesk: {len(incidents)} incidents. " + "; ".join(
            f"{incident.place}: {incident.summary}" for incident in incidents[:DIGEST_LIMIT]
        )
    else:
        [incident] = incidents
        words, link = f"Hookdesk {incident.level}: {incident.place}: {incident.summary}", incident.link
    words = " ".join(words.split())
    if len(link) + 2 > SMS_LIMIT:
        return shortened(words, SMS_LIMIT)
    return f"{shortened(words, SMS_LIMIT - len(link) - 1)} {link}"


def email_text(incidents: Sequence[Incident], link: str) -> str:
    """Return the plain text: what failed, where, how often, and where to resolve it."""
    parts = [
        f"{incident.level.upper()}  {incident.place}\n{shortened(incident.summary, SUMMARY_LIMIT)}\n"
        f"{incident.occurrences} so far. Resolve: {incident.link}"
        for incident in incidents[:DIGEST_LIMIT]
    ]
    if len(incidents) > DIGEST_LIMIT:
        parts.append(f"… and {len(incidents) - DIGEST_LIMIT} more: {link}")
    return "\n\n".join(parts) + "\n"


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
