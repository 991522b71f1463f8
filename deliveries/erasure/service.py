"""Beginning, approving and cancelling an erasure. `runner` does the work, in the background."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.erasure import runner
from deliveries.erasure.matching import Sought
from deliveries.models import Erasure
from integrations.foundation.audit import Actor, record_change
from integrations.foundation.languages import staff_language
from integrations.models import Store
from integrations.services import people_behind

PERMISSION = "deliveries.erase_data"
#: What was counted and then left is forgotten, since its value is kept until then.
COUNTS_KEPT = timedelta(days=1)
REASON_LIMIT = 500

Status = Erasure.Status


class ErasureError(Exception):
    """Nothing was changed; the message says why and what to do. `field` names what was wrong with what was given."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def count_first(
    *, store: Store, value: str, match: str, actor: Actor, reason: str = "", now: datetime | None = None
) -> Erasure:
    """Begin to count what holds the value. Nothing is erased until `confirm_erasure`. Raises ErasureError."""
    with transaction.atomic():
        erasure = _begin(store, value, match, actor, reason, now or timezone.now())
        transaction.on_commit(lambda: runner.enqueue(erasure.pk))
    return erasure


def start_erasure(
    *, store: Store, value: str, match: str, actor: Actor, reason: str = "", now: datetime | None = None
) -> Erasure:
    """Erase without counting first. In a store with a second approver it waits for one. Raises ErasureError."""
    now = now or timezone.now()
    with transaction.atomic():
        erasure = _begin(store, value, match, actor, reason, now)
        erasure.status = Erasure.Status.READY
        return _confirm(erasure, actor, erasure.reason, now)


def confirm_erasure(*, erasure: Erasure, actor: Actor, reason: str = "", now: datetime | None = None) -> Erasure:
    """Erase what was counted. In a store with a second approver it waits for one. Raises ErasureError."""
    now = now or timezone.now()
    with transaction.atomic():
        found = _locked(erasure, Status.READY)
        reason = _clean_reason(reason, found.store, Sought(found.value, found.match == Erasure.Match.EXACT))
        return _confirm(found, actor, reason, now)


def approve_erasure(*, erasure: Erasure, actor: Actor, now: datetime | None = None) -> Erasure:
    """The second person. Raises ErasureError, also for who has asked for it."""
    now = now or timezone.now()
    with transaction.atomic():
        found = _locked(erasure, Status.AWAITING)
        if objection := why_not_approver(found, actor):
            raise ErasureError(objection)
        found.approved_by, found.approved_by_name = actor.user, actor.name
        _run(found, now)
        _audit(found, actor, "approve erasure")
        hooks.announcement_settled(found.store_id, _key(found), actor.name, now)
    return found


def cancel_erasure(*, erasure: Erasure, actor: Actor, now: datetime | None = None) -> Erasure:
    """Stop, or refuse. What has been erased stays erased. Raises ErasureError if it is over."""
    now = now or timezone.now()
    with transaction.atomic():
        found = Erasure.objects.select_for_update(of=("self",)).get(pk=erasure.pk)
        if found.is_over:
            words = _("This erasure is %(status)s: it is too late to cancel it.")
            raise ErasureError(words % {"status": found.get_status_display()})
        was_asked_for = found.status in (Status.AWAITING, Status.RUNNING)
        runner.end(found, Status.CANCELLED, now)
        if was_asked_for:
            _audit(found, actor, "cancel erasure")
            hooks.announcement_settled(found.store_id, _key(found), actor.name, now)
    return found


def forget_counted(now: datetime) -> int:
    """Cancel what was counted a day ago and not confirmed; returns how many. Part of the sweep."""
    old = Erasure.objects.filter(status=Status.READY, created_at__lt=now - COUNTS_KEPT)
    with transaction.atomic():
        found = list(old.select_for_update(of=("self",), skip_locked=True))
        for erasure in found:
            runner.end(erasure, Status.CANCELLED, now)
    return len(found)


def why_not_approver(erasure: Erasure, actor: Actor) -> str:
    """Why `actor` cannot approve it, for staff; empty if they can."""
    user = actor.user
    if user is None:
        return _("An erasure must be approved by a person, not by a program.")
    if erasure.author_id == user.pk:
        return _("Someone other than who asked for it must approve an erasure.")
    if erasure.people.filter(pk=user.pk).exists():
        words = _("You issued the token that asked for this (%(name)s). Someone else must approve it.")
        return words % {"name": erasure.author_name}
    if erasure.is_issuer_known is False and user.has_perm("integrations.add_accesstoken"):
        return _(
            "It is unknown who issued the token that asked for this; it may have been you. Someone who may not issue "
            "tokens must approve it; or cancel it, and ask again."
        )
    return ""


def _begin(store: Store, value: str, match: str, actor: Actor, reason: str, now: datetime) -> Erasure:
    if match not in Erasure.Match.values:
        words = _("Unknown match %(match)r. Choose one of: %(known)s.")
        raise ErasureError(words % {"match": match, "known": ", ".join(Erasure.Match.values)}, "match")
    try:
        sought = Sought.parse(value, is_exact=match == Erasure.Match.EXACT)
    except ValueError as error:
        raise ErasureError(str(error), "value") from None
    people, is_issuer_known = people_behind(actor)
    erasure = Erasure.objects.create(
        store=store,
        match=match,
        value=sought.value,
        reason=_clean_reason(reason, None, sought),
        author=actor.user,
        author_name=actor.name[:200],
        token_id=actor.token_id,
        is_issuer_known=is_issuer_known,
        created_at=now,
    )
    erasure.people.set(people)
    return erasure


def _clean_reason(reason: str, store: Store | None, sought: Sought) -> str:
    text = reason.strip()
    if store is not None and store.is_reason_required and not text:
        raise ErasureError(_("This store requires a reason."), "reason")
    if len(text) > REASON_LIMIT:
        words = _("The reason must have at most %(number)s characters.")
        raise ErasureError(words % {"number": REASON_LIMIT}, "reason")
    if sought.is_in_text(text):
        raise ErasureError(
            _(
                "The reason stays when the data is gone, so it must not contain the value. Name the request instead, "
                "by the number of a ticket."
            ),
            "reason",
        )
    return text


def _confirm(erasure: Erasure, actor: Actor, reason: str, now: datetime) -> Erasure:
    store = erasure.store
    _clean_reason(reason, store, Sought(erasure.value, erasure.match == Erasure.Match.EXACT))
    erasure.reason = reason
    if actor.user is not None and erasure.author_id != actor.user.pk:
        erasure.people.add(actor.user)  # two have asked for it, and neither may approve
    if store.is_approval_required:
        erasure.status = Erasure.Status.AWAITING
        erasure.save()
        with staff_language():
            text = _(
                "%(name)s asks to erase a person's data in %(store)s. Someone else must approve it: see Erasures."
            ) % {"name": actor.name, "store": store.name}
        hooks.announced(store.pk, None, _key(erasure), "warning", text, now)
    else:
        _run(erasure, now)
    _audit(erasure, actor, "erase")
    return erasure


def _run(erasure: Erasure, now: datetime) -> None:
    erasure.status = Erasure.Status.RUNNING
    erasure.place = erasure.cursor = ""
    erasure.looked_at, erasure.stepped_at = 0, now
    erasure.save()
    transaction.on_commit(lambda: runner.enqueue(erasure.pk))


def _locked(erasure: Erasure, status: str) -> Erasure:
    rows = Erasure.objects.select_for_update(of=("self",)).select_related("store")
    found = rows.get(pk=erasure.pk)
    if found.status != status:
        if status == Status.AWAITING:
            words = _("This erasure cannot be approved now. Its status: %(status)s.")
        else:
            words = _("This erasure cannot be confirmed now. Its status: %(status)s.")
        raise ErasureError(words % {"status": found.get_status_display()})
    return found


def _key(erasure: Erasure) -> str:
    return f"erasure:{erasure.pk}"


def _audit(erasure: Erasure, actor: Actor, action: str, after: dict[str, Any] | None = None) -> None:
    """That, not what: the value is in no entry."""
    record_change(
        actor=actor,
        action=action,
        target=erasure,
        store=erasure.store_id,
        after={"status": str(erasure.status), "match": erasure.match, **(after or {})},
        reason=erasure.reason,
    )
