"""Notices to one member of staff: a case is theirs, or came back; payloads await their approval.

They show on the dashboard until they are read, and go out by e-mail to who has an address. Recorded in the
transaction of what happened; sent like all messages, by `tasks.send_waiting`, outside of any.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Max, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from deliveries.failures.people import staff_of
from deliveries.models import FailureGroup, Proposal
from deliveries.proposals.waiting import waiting
from integrations.foundation.languages import staff_language
from integrations.foundation.texts import shortened
from integrations.foundation.written import grouped
from integrations.security.staff import visible_store_ids
from notifications.channels import ChannelError, OutgoingMessage, provider_for
from notifications.models import INTERRUPTED, Channel, PersonalNotice
from notifications.texts import harmless

logger = logging.getLogger("hookdesk.notifications")

Mail = PersonalNotice.Mail
APPROVES = "deliveries.approve_revision"
#: What keys of notices about what awaits approval begin with; the store follows.
APPROVALS = "approvals:"
#: News of the same thing is mailed at most this often.
MAIL_EVERY = timedelta(minutes=30)
#: A mail that has been on its way for this long has lost its worker.
LEASE = timedelta(minutes=5)
BATCH = 100


def on_case_assigned(group_id: int, user_id: int, by: str, note: str, now: datetime) -> None:
    """Listener of `hooks.case_assigned`."""
    try:
        with transaction.atomic():
            case = FailureGroup.objects.select_related("integration").get(pk=group_id)
            with staff_language():
                words = _assigned(case, by, note)
            _tell(User.objects.get(pk=user_id), case.store_id, f"case:{case.pk}", words, _page_of(case), now, case=case)
    except Exception:  # whatever goes wrong here, the case is assigned
        logger.exception("could not notify user %s of case %s", user_id, group_id)


def tell_assignees(group_ids: Collection[int], what: str, now: datetime) -> None:
    """Tell whoever has one of these cases that it came back (`what` is returned) or woke (woke)."""
    cases = FailureGroup.objects.filter(id__in=group_ids, assignee__isnull=False)
    for case in cases.select_related("integration", "assignee"):
        assert case.assignee is not None
        with staff_language():
            words = _returned(case, what)
        _tell(case.assignee, case.store_id, f"case:{case.pk}", words, _page_of(case), now, case=case)


def tell_approvers(now: datetime) -> int:
    """Tell those who may approve how much waits, once for all that came together. Returns how many people.

    Nobody is told of what they ask for themselves.
    """
    stores = _waiting_stores()
    told: set[int] = set()
    for store_id, (name, latest) in stores.items():
        key = f"{APPROVALS}{store_id}"
        known = dict(PersonalNotice.objects.filter(key=key).values_list("user_id", "at"))
        for user in staff_of(store_id, APPROVES):
            if known.get(user.pk) is not None and known[user.pk] >= latest:
                continue
            number, newest = _waiting_for(user, store_id)
            if newest is None or (user.pk in known and known[user.pk] >= newest):
                continue
            with staff_language():
                words = _awaiting(number, name)
            _tell(user, store_id, key, words, reverse("admin:deliveries_approvals"), now)
            told.add(user.pk)
    # Decided, by whomever: nothing to do any more.
    open_keys = {f"{APPROVALS}{store_id}" for store_id in stores}
    over = PersonalNotice.objects.filter(key__startswith=APPROVALS, read_at=None).exclude(key__in=open_keys)
    over.update(read_at=now, mail=Mail.NONE)
    return len(told)


def _waiting_stores() -> dict[uuid.UUID, tuple[str, datetime]]:
    """Where something awaits approval: the store's name, and when the last of it was asked for."""
    found: dict[uuid.UUID, tuple[str, datetime]] = {}
    for rows, path in waiting():
        stores = rows.order_by().values(path, f"{path}__name").annotate(latest=Max("created_at"))
        for store_id, name, latest in stores.values_list(path, f"{path}__name", "latest"):
            found[store_id] = (name, max(latest, found[store_id][1]) if store_id in found else latest)
    return found


def _waiting_for(user: User, store_id: uuid.UUID) -> tuple[int, datetime | None]:
    """How much this person could decide, and when the last of it was asked for."""
    number, newest = 0, None
    for rows, path in waiting():
        others = rows.filter(**{path: store_id}).exclude(author=user)
        if rows.model is not Proposal:  # their tokens' proposals are for them too
            others = others.exclude(people=user)
        found = others.aggregate(number=Count("pk", distinct=True), latest=Max("created_at"))
        number += found["number"]
        newest = max(filter(None, (newest, found["latest"])), default=None)
    return number, newest


def _tell(
    user: User, store_id: uuid.UUID, key: str, text: str, path: str, now: datetime, case: FailureGroup | None = None
) -> None:
    known = PersonalNotice.objects.filter(user=user, key=key).first()
    # Unread and mailed a moment ago: the same person need not be written to again.
    is_fresh = known is not None and known.read_at is None and known.mailed_at is not None
    is_recent = is_fresh and known is not None and known.mailed_at is not None and now - known.mailed_at < MAIL_EVERY
    mail = Mail.WAITING if user.email and not is_recent else Mail.NONE
    values = {"store_id": store_id, "text": text, "path": path, "case": case, "at": now, "read_at": None, "mail": mail}
    PersonalNotice.objects.update_or_create(user=user, key=key, defaults=values)


def _assigned(case: FailureGroup, by: str, note: str) -> str:
    values = {"name": by, "case": _name_of(case), "note": shortened(note, 300)}
    words = _("%(name)s gave you the case %(case)s: “%(note)s”") if note else _("%(name)s gave you the case %(case)s")
    return words % values


def _returned(case: FailureGroup, what: str) -> str:
    if what == "woke":
        words = _("Your case %(case)s is no longer snoozed and is still open")
    elif case.returned_at is not None:
        words = _("Your case %(case)s came back after it was resolved")
    else:
        words = _("Your case %(case)s is failing")
    return words % {"case": _name_of(case)}


def _awaiting(number: int, store: str) -> str:
    words = ngettext(
        "%(number)s change of %(store)s awaits approval", "%(number)s changes of %(store)s await approval", number
    )
    return words % {"number": grouped(number), "store": store}


def _name_of(case: FailureGroup) -> str:
    return f"{case.integration.name}: {shortened(case.headline, 200)}"


def _page_of(case: FailureGroup) -> str:
    return reverse("admin:deliveries_failuregroup_change", args=[case.pk])


def unread(user: User) -> QuerySet[PersonalNotice]:
    """Newest first, of the stores that this person sees now."""
    rows = PersonalNotice.objects.filter(user=user, read_at=None)
    ids = visible_store_ids(user)
    return rows if ids is None else rows.filter(store__in=ids)


def on_page_opened(user_id: int, path: str, now: datetime) -> None:
    """Listener of `hooks.page_opened`: their notices that lead there are read."""
    _mark_read(PersonalNotice.objects.filter(user=user_id, path=path), now)


def mark_read(*, notice: PersonalNotice, now: datetime | None = None) -> bool:
    """Whether it was unread."""
    return bool(_mark_read(PersonalNotice.objects.filter(pk=notice.pk), now or timezone.now()))


def _mark_read(rows: QuerySet[PersonalNotice], now: datetime) -> int:
    rows = rows.filter(read_at=None)
    # What has not been mailed yet need not be: they know.
    rows.filter(mail=Mail.WAITING).update(mail=Mail.NONE)
    return rows.update(read_at=now)


def send_mails(now: datetime) -> int:
    """Send what waits, each once; returns how many were sent."""
    lost = PersonalNotice.objects.filter(mail=Mail.SENDING, mailed_at__lt=now - LEASE)
    lost.update(mail=Mail.FAILED, mail_error=INTERRUPTED)
    count = 0
    waiting = PersonalNotice.objects.filter(mail=Mail.WAITING).select_related("user")
    for notice in waiting.order_by("at")[:BATCH]:
        if not PersonalNotice.objects.filter(pk=notice.pk, mail=Mail.WAITING).update(mail=Mail.SENDING, mailed_at=now):
            continue  # another worker has it
        mine = PersonalNotice.objects.filter(pk=notice.pk, mail=Mail.SENDING)
        try:
            provider_for(Channel(kind="email")).send(_message_of(notice))
        except ChannelError as error:
            logger.warning("a notice could not be mailed to %s: %s", notice.user, error.message)
            mine.update(mail=Mail.FAILED, mail_error=error.message.replace("\0", ""))
        else:
            mine.update(mail=Mail.SENT, mail_error="")
            count += 1
    return count


def _message_of(notice: PersonalNotice) -> OutgoingMessage:
    text = harmless(notice.text)
    subject = shortened(f"[Hookdesk] {text}", 150)
    return OutgoingMessage(notice.user.email, subject, f"{text}\n\n{settings.PUBLIC_URL}{notice.path}\n")


def prune_notices(before: datetime, limit: int = 1_000) -> int:
    """Delete what was read before then, at most `limit`; returns how many."""
    ids = list(PersonalNotice.objects.filter(read_at__lt=before).values_list("id", flat=True)[:limit])
    PersonalNotice.objects.filter(id__in=ids).delete()
    return len(ids)
