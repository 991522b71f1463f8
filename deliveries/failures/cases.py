"""Staff actions on a case: assign, comment, snooze, link a ticket. Each writes an audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.failures.people import staff_of
from deliveries.models import CaseComment, CaseRule, FailureGroup
from deliveries.models.failure_group import is_snoozed
from deliveries.storage.locks import lock_groups
from integrations.foundation.audit import Actor, record_change
from integrations.foundation.written import grouped
from integrations.models import AuditEntry

COMMENT_LIMIT = 10_000
LONGEST_SNOOZE = timedelta(days=366)
MOST_TO_SNOOZE = 1_000_000
TICKET_LIMIT = 500
#: Most cases woken by one call.
WAKE_BATCH = 1_000


class CaseError(Exception):
    """Nothing was changed; `message` says why and what to do. `field` names the invalid value, if there is one."""

    def __init__(self, message: str, field: str = "", *, is_conflict: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.is_conflict = is_conflict


def locked_case(case: FailureGroup) -> FailureGroup:
    """Return the current case, locked until the transaction ends. Raises CaseError if it was merged."""
    lock_groups([case.pk])
    found = FailureGroup.objects.select_related("integration", "assignee").get(pk=case.pk)
    if (merged := CaseRule.objects.filter(source=found, field="").first()) is not None:
        raise CaseError(
            _("This case was merged into case %(case)s. Work on that one.") % {"case": merged.target_id},
            is_conflict=True,
        )
    return found


def assign_case(
    *, case: FailureGroup, assignee: User | None, actor: Actor, note: str = "", now: datetime | None = None
) -> FailureGroup:
    """Assign the case to a person, who is notified, or to nobody. A note becomes a comment. Raises CaseError."""
    now = now or timezone.now()
    note = _checked_text(note) if note.strip() else ""
    with transaction.atomic():
        found = locked_case(case)
        if assignee is not None and not staff_of(found.store_id).filter(pk=assignee.pk).exists():
            raise CaseError(
                _("%(person)s cannot see cases of this store. Choose somebody who can.")
                % {"person": assignee.get_username()},
                "assignee",
            )
        if note:
            _add_comment(found, note, actor, now)
        if found.assignee_id == (assignee.pk if assignee else None):
            return found
        before, found.assignee = _name(found.assignee), assignee
        found.save(update_fields=["assignee"])
        audit_case(found, actor, "assign", {"assignee": before}, {"assignee": _name(assignee)}, note)
        if assignee is not None and assignee != actor.user:
            hooks.case_assigned(found.pk, assignee.pk, actor.name, note, now)
    return found


def comment_on_case(*, case: FailureGroup, text: str, actor: Actor, now: datetime | None = None) -> CaseComment:
    """Add a comment. Comments are never changed. Raises CaseError."""
    text = _checked_text(text)
    with transaction.atomic():
        return _add_comment(locked_case(case), text, actor, now or timezone.now())


def _checked_text(text: str) -> str:
    text = text.strip()
    if not text:
        raise CaseError(_("Write a comment first."), "text")
    if len(text) > COMMENT_LIMIT or "\0" in text:
        raise CaseError(
            _("A comment has at most %(limit)s characters, none of them NUL.") % {"limit": grouped(COMMENT_LIMIT)},
            "text",
        )
    return text


def _add_comment(case: FailureGroup, text: str, actor: Actor, now: datetime) -> CaseComment:
    comment = CaseComment.objects.create(
        case=case, author=actor.user, author_name=actor.name[:200], text=text, created_at=now
    )
    audit_case(case, actor, "comment", None, {"comment": comment.pk})
    return comment


def snooze_case(
    *,
    case: FailureGroup,
    actor: Actor,
    until: datetime | None = None,
    more: int | None = None,
    now: datetime | None = None,
) -> FailureGroup:
    """Suppress notifications of the case until `until` or until `more` more failures, whichever comes first.

    Raises CaseError.
    """
    now = now or timezone.now()
    if until is None and more is None:
        raise CaseError(_("Say until when, or until how many more failures."), "until")
    if until is not None and not now < until <= now + LONGEST_SNOOZE:
        raise CaseError(_("The time must be in the future, and at most a year away."), "until")
    if more is not None and not 1 <= more <= MOST_TO_SNOOZE:
        raise CaseError(
            _("The number of failures must be from 1 to %(limit)s.") % {"limit": grouped(MOST_TO_SNOOZE)},
            "more",
        )
    with transaction.atomic():
        found = locked_case(case)
        if found.status != FailureGroup.Status.OPEN:
            raise CaseError(_("This case is resolved: nobody is notified of it anyway."), is_conflict=True)
        before = _snooze_of(found)
        found.snoozed_until = until
        found.snoozed_to_count = found.occurrences + more if more is not None else None
        found.save(update_fields=["snoozed_until", "snoozed_to_count"])
        audit_case(found, actor, "snooze", before, _snooze_of(found))
    return found


def wake_case(*, case: FailureGroup, actor: Actor) -> FailureGroup:
    """End its snooze manually. Nobody is notified, since a person is already looking at it. Raises CaseError."""
    with transaction.atomic():
        found = locked_case(case)
        if found.snoozed_until is None and found.snoozed_to_count is None:
            return found
        before = _snooze_of(found)
        found.snoozed_until = found.snoozed_to_count = None
        found.save(update_fields=["snoozed_until", "snoozed_to_count"])
        audit_case(found, actor, "wake", before, None)
    return found


def wake_due(now: datetime) -> int:
    """End snoozes that are due by time or count and call `hooks.cases_woken` for open cases; return how many."""
    asleep = Q(snoozed_until__isnull=False) | Q(snoozed_to_count__isnull=False)
    due = FailureGroup.objects.filter(asleep).exclude(pk__in=FailureGroup.objects.filter(is_snoozed(now)).values("pk"))
    ids = list(due.values_list("id", flat=True)[:WAKE_BATCH])
    if not ids:
        return 0
    with transaction.atomic():
        lock_groups(ids)
        # Skip a case that was snoozed again in the meantime.
        woken = list(due.filter(id__in=ids).values_list("id", "status"))
        FailureGroup.objects.filter(id__in=[pk for pk, _ in woken]).update(snoozed_until=None, snoozed_to_count=None)
        is_open = [pk for pk, status in woken if status == FailureGroup.Status.OPEN]
        if is_open:
            hooks.cases_woken(is_open, now)
    return len(woken)


def set_ticket(*, case: FailureGroup, url: str, actor: Actor) -> FailureGroup:
    """Link a ticket of another system; an empty `url` removes the link. Raises CaseError."""
    url = _checked_ticket(url.strip())
    with transaction.atomic():
        found = locked_case(case)
        before, found.ticket_url = found.ticket_url, url
        if before != url:
            found.save(update_fields=["ticket_url"])
            audit_case(found, actor, "link_ticket", {"ticket": before}, {"ticket": url})
    return found


def _checked_ticket(url: str) -> str:
    if not url:
        return ""
    try:
        URLValidator(schemes=["https"])(url)
        parts = urlsplit(url)
    except (ValidationError, ValueError):
        raise CaseError(_("The ticket must be a complete https:// address."), "ticket") from None
    if parts.username is not None or parts.password is not None:
        raise CaseError(_("The ticket's address must not contain a user name or password."), "ticket")
    if len(url) > TICKET_LIMIT:
        raise CaseError(
            _("The ticket's address may have %(limit)s characters at most.") % {"limit": TICKET_LIMIT},
            "ticket",
        )
    return url


def _name(user: User | None) -> str | None:
    return user.get_username() if user is not None else None


def _snooze_of(case: FailureGroup) -> dict[str, Any]:
    until = case.snoozed_until
    return {"snoozed_until": until.isoformat() if until else None, "snoozed_to_count": case.snoozed_to_count}


def audit_case(
    case: FailureGroup,
    actor: Actor,
    action: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    reason: str = "",
) -> None:
    record_change(
        actor=actor, action=action, target=case, store=case.store_id, name=case.headline,
        before=before, after=after, reason=reason,
    )  # fmt: skip


def merged_into(case: FailureGroup) -> FailureGroup | None:
    """Return the case that this one was merged into, possibly in several steps; None if it was not."""
    found, seen = None, {case.pk}
    step = CaseRule.objects.filter(source=case, field="").select_related("target").first()
    while step is not None and step.target_id not in seen:
        found = step.target
        seen.add(found.pk)
        step = CaseRule.objects.filter(source=found, field="").select_related("target").first()
    return found


def case_of(number: int | str | None) -> FailureGroup | None:
    """Return the case with this number, or the one that it was merged into; None if there is none.

    Also accepts the text of a filter: returns None for `none` and for several numbers.
    """
    text = str(number or "")
    case = FailureGroup.objects.filter(pk=int(text)).first() if text.isascii() and text.isdecimal() else None
    return (merged_into(case) or case) if case is not None else None


def with_merged(case: FailureGroup) -> list[int]:
    """Return the ids of the case and of all cases merged into it, whose history it shares."""
    ids, fresh = [case.pk], [case.pk]
    while fresh:
        found = CaseRule.objects.filter(target__in=fresh, field="").values_list("source_id", flat=True)
        fresh = [pk for pk in found if pk not in ids]
        ids += fresh
    return ids


def comments_of(case: FailureGroup) -> QuerySet[CaseComment]:
    return CaseComment.objects.filter(case__in=with_merged(case)).order_by("-id")


def audits_of(case: FailureGroup) -> QuerySet[AuditEntry]:
    ids = [str(pk) for pk in with_merged(case)]
    return AuditEntry.objects.filter(target_type="failuregroup", target_id__in=ids).order_by("-id")
