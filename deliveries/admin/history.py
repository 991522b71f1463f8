"""A delivery's history: who did what and why, and how a resend's request differed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from deliveries.models import Attempt, Delivery, Revision
from deliveries.resolution import history_of
from deliveries.results.attempt_bodies import readable_body
from deliveries.results.request_changes import SentRequest, request_changes
from integrations.foundation.json_documents import describe_patch
from integrations.models import AuditEntry

LISTED = 200
#: Number of resends, newest first, whose requests are compared.
RESENDS_COMPARED = 5
ATTEMPTS_LOOKED_AT = 200
#: Action → what follows the name of the person who did it: "Anna resent the same payload".
WORDS = {
    # Translators: these follow the name of a person.
    "backfill": _("had it made for a past event"),
    "retry": _("resent the same payload"),
    "edit": _("edited the payload"),
    "discard": _("discarded it"),
    "wait_for_source": _("set it to wait for a fix at the source"),
    "release_hold": _("released it"),
    "approve": _("approved the edited payload"),
    "reject": _("rejected the edited payload"),
}


@dataclass(frozen=True)
class Entry:
    """One line of the history."""

    at: datetime
    who: str
    what: str
    reason: str = ""
    lines: list[str] = field(default_factory=list)


def history(delivery: Delivery, revisions: list[Revision]) -> list[Entry]:
    """Who did what and why, newest first; attempts have their own section."""
    event = delivery.event
    audits = list(history_of(delivery)[:LISTED])
    compared = _compared(delivery, [audit for audit in audits if audit.action == "retry"][:RESENDS_COMPARED])
    notes = {revision.number: revision for revision in revisions}
    entries = [Entry(event.created_at, event.get_origin_display(), gettext("was received"))]
    for audit in audits:
        number = (audit.after or {}).get("revision")
        revision = notes.get(number) if audit.action == "edit" and isinstance(number, int) else None
        lines = describe_patch(revision.patch)[:20] if revision else []
        what = str(WORDS.get(audit.action, audit.action.replace("_", " ")))
        if (found := compared.get(audit.pk)) is not None:
            if found:
                what = gettext("resent it; the request differed from the previous one")
            else:
                what = gettext("resent it unchanged")
            lines = found
        entries.append(Entry(audit.created_at, audit.actor, what, audit.reason, lines))
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


def _compared(delivery: Delivery, resends: list[AuditEntry]) -> dict[int, list[str]]:
    """For each resend with an attempt before and after it: what differed, and who had changed what."""
    if not resends:
        return {}
    times = list(delivery.attempts.order_by("-number").values_list("pk", "started_at")[:ATTEMPTS_LOOKED_AT])
    pairs = {}
    for resend in resends:
        before = next((pk for pk, at in times if at < resend.created_at), None)
        after = next((pk for pk, at in reversed(times) if at >= resend.created_at), None)
        if before is not None and after is not None:
            pairs[resend.pk] = (before, after)
    keys = {pk for pair in pairs.values() for pk in pair}
    rows = {row.pk: row for row in Attempt.objects.filter(pk__in=keys).defer("response_body")}
    changes = _configuration_changes(delivery, list(rows.values()))
    found = {}
    for key, (before, after) in pairs.items():
        old, new = rows[before], rows[after]
        if lines := request_changes(_request(old, delivery), _request(new, delivery)):
            lines += [words for at, words in changes if old.started_at <= at <= new.started_at]
        found[key] = lines
    return found


def _request(attempt: Attempt, delivery: Delivery) -> SentRequest:
    attempt.delivery = delivery
    return SentRequest(attempt.method, attempt.url, attempt.request_headers or [], readable_body(attempt))


def _configuration_changes(delivery: Delivery, attempts: list[Attempt]) -> list[tuple[datetime, str]]:
    """Changes to the subscription and the integration between these attempts."""
    if not attempts:
        return []
    mine = Q(target_type="integration", target_id=str(delivery.integration_id))
    if delivery.subscription_id is not None:
        mine |= Q(target_type="subscription", target_id=str(delivery.subscription_id))
    since, until = min(one.started_at for one in attempts), max(one.started_at for one in attempts)
    rows = AuditEntry.objects.filter(mine, action="change", created_at__gte=since, created_at__lte=until)
    return [(row.created_at, _change(row)) for row in rows.order_by("id")[:LISTED]]


def _change(row: AuditEntry) -> str:
    if row.target_type == "subscription":
        sentence = gettext("%(who)s had changed the subscription: %(fields)s")
    else:
        sentence = gettext("%(who)s had changed the integration: %(fields)s")
    return sentence % {"who": row.actor, "fields": ", ".join(row.after or {})}
