"""Texts of messages, and when they may be sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from integrations.foundation.texts import shortened

#: An SMS of two parts.
SMS_LIMIT = 320
#: Incidents that a digest names; the others are counted.
DIGEST_LIMIT = 20
#: Characters of one incident's summary in an e-mail.
SUMMARY_LIMIT = 500
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

    @property
    def place(self) -> str:
        return f"{self.store} → {self.integration}" if self.integration else self.store


def harmless(text: str) -> str:
    """`text` of a receiver or of a name on one line, with nothing invisible, and with links that no program opens.

    Whoever answers a delivery writes into messages that staff trust: an address there must not look like ours.
    """
    visible = "".join(character if character.isprintable() else " " for character in text)
    return _LINK.sub(lambda link: link[0].replace("://", "[://]").replace(".", "[.]"), " ".join(visible.split()))


def subject(incidents: Sequence[Incident]) -> str:
    if len(incidents) > 1:
        return f"[Hookdesk] {len(incidents)} incidents"
    [incident] = incidents
    return shortened(f"[Hookdesk] {incident.level}: {incident.place}", 150)


def sms_text(incidents: Sequence[Incident], link: str) -> str:
    """At most `SMS_LIMIT` characters; the link is kept whole if possible."""
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
    """Plain text: what, where, how often, and where to resolve it."""
    parts = [
        f"{incident.level.upper()}  {incident.place}\n{shortened(incident.summary, SUMMARY_LIMIT)}\n"
        f"{incident.occurrences} so far. Resolve: {incident.link}"
        for incident in incidents[:DIGEST_LIMIT]
    ]
    if len(incidents) > DIGEST_LIMIT:
        parts.append(f"… and {len(incidents) - DIGEST_LIMIT} more: {link}")
    return "\n\n".join(parts) + "\n"


def after_quiet_hours(moment: datetime, start: time | None, end: time | None) -> datetime:
    """`moment`, or the end of the quiet hours (UTC, may span midnight) that it falls into."""
    if start is None or end is None or start == end:
        return moment
    clock = moment.astimezone(UTC).time()
    is_quiet = start <= clock < end if start < end else clock >= start or clock < end
    if not is_quiet:
        return moment
    ending = datetime.combine(moment.astimezone(UTC).date(), end, UTC)
    return ending if ending > moment else ending + timedelta(days=1)


def end_of_slot(moment: datetime, minutes: int) -> datetime:
    """The end of the digest that `moment` belongs to: slots of this many minutes, counted from the Unix epoch."""
    length = minutes * 60
    return datetime.fromtimestamp((int(moment.timestamp()) // length + 1) * length, UTC)


def window_of(moment: datetime, minutes: int) -> int:
    """The number of the window that `moment` is in."""
    return int(moment.timestamp()) // (max(1, minutes) * 60)
