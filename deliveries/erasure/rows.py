"""Erasing in the other places: deleting rows, emptying attempts, cutting the value out of texts."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any
from urllib.parse import unquote_plus

from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import JSONField

from deliveries import hooks
from deliveries.erasure.events import empty_attempts
from deliveries.erasure.matching import Sought
from deliveries.erasure.place import Done, Found, holds_value
from deliveries.models import Attempt, BulkFix, Delivery, Proposal, Replay, SavedView, Simulation
from deliveries.models.erasure import ERASED_DOCUMENT
from deliveries.results.attempt_bodies import exact_body
from integrations.foundation.document_field import DocumentField
from integrations.security.encryption import DecryptionError

#: Where a session keeps the drafts of the resolution wizard, by delivery (`deliveries.admin.wizard.drafts`).
DRAFTS = "wizard"


def delete_rows(found: Found) -> Done:
    """Skips rows that somebody else holds at this moment."""
    rows = found.place.model._base_manager.filter(pk__in=found.keys).order_by("pk")
    free = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
    found.place.model._base_manager.filter(pk__in=free).delete()
    hooks.payloads_erased(found.place.name, free)
    return Done(Counter({found.place.name: len(free)}), len(found.rows) - len(free))


def cut_texts(found: Found) -> Done:
    """The value is cut out; what stands around it stays."""
    for row in found.rows:
        changed = {name: _cut(found.sought, row, name) for name in found.place.fields}
        found.place.model._base_manager.filter(pk=row.pk).update(
            **{name: value for name, value in changed.items() if value != getattr(row, name)}
        )
    hooks.payloads_erased(found.place.name, found.keys)
    return Done(Counter({found.place.name: len(found.rows)}))


def _cut(sought: Sought, row: Any, name: str) -> Any:
    value = getattr(row, name)
    if value is None or not holds_value(sought, row, name):
        return value
    of = row._meta.get_field(name)
    if isinstance(of, DocumentField | JSONField):
        return sought.without_in(value)
    text = sought.without(value)
    return text if of.max_length is None else text[: of.max_length]


def erase_audit_values(found: Found) -> Done:
    """That somebody changed something stays, with who and when; the values before and after go."""
    for row in found.rows:
        changed = {name: _cut(found.sought, row, name) for name in ("target_name", "reason")}
        for name in ("before", "after"):
            if holds_value(found.sought, row, name):
                changed[name] = ERASED_DOCUMENT
        found.place.model._base_manager.filter(pk=row.pk).update(**changed)
    return Done(Counter({found.place.name: len(found.rows)}))


def erase_attempts(found: Found) -> Done:
    """Of deliveries whose payload does not hold the value: a receiver has answered with it, say."""
    return Done(Counter({found.place.name: empty_attempts(found.keys)}))


def is_in_attempt(sought: Sought, attempt: Attempt, _: uuid.UUID) -> bool:
    """Its body may be encrypted."""
    names = ("url", "request_headers", "response_headers", "response_body", "error_message", "summary")
    if any(holds_value(sought, attempt, name) for name in names):
        return True
    try:
        return sought.is_in_body(exact_body(attempt))
    except DecryptionError:
        return False  # nobody can read it


def erase_bulk_fixes(found: Found) -> Done:
    """A draft that is about the value is of no use without it. One that awaits approval is rejected."""
    keys = found.keys
    drafts = BulkFix.objects.filter(pk__in=keys, status=BulkFix.Status.DRAFT)
    deleted = drafts.count()
    drafts.delete()
    BulkFix.objects.filter(pk__in=keys, status=BulkFix.Status.AWAITING).update(
        status=BulkFix.Status.REJECTED, decided_at=found.now
    )
    kept = set(BulkFix.objects.filter(pk__in=keys).values_list("pk", flat=True))
    done = cut_texts(found.among(kept))
    done.erased[found.place.name] += deleted
    return done


def erase_proposals(found: Found) -> Done:
    """What awaits a decision is rejected: it would send what was erased, or what is left of it."""
    Proposal.objects.filter(pk__in=found.keys, status=Proposal.Status.AWAITING).update(
        status=Proposal.Status.REJECTED, decided_at=found.now
    )
    return cut_texts(found)


def is_in_simulation(sought: Sought, simulation: Simulation, _: uuid.UUID) -> bool:
    names = ("changes", "events", "target_name", "stopped_because")
    if any(holds_value(sought, simulation, name) for name in names):
        return True
    try:
        return sought.is_in_document(Simulation.objects.values_list("proposed", flat=True).get(pk=simulation.pk))
    except DecryptionError:
        return False  # nobody can read it


def is_in_saved_search(sought: Sought, view: SavedView, _: uuid.UUID) -> bool:
    return sought.is_in_text(view.name) or sought.is_in_text(unquote_plus(view.query))


def cut_replays(found: Found) -> Done:
    """Not while they run: their filters say what they are about."""
    over = [Replay.Status.DONE, Replay.Status.CANCELLED]
    keys = set(Replay.objects.filter(pk__in=found.keys, status__in=over).values_list("pk", flat=True))
    done = cut_texts(found.among(keys))
    done.postponed = len(found.rows) - len(keys)
    return done


def is_in_drafts(sought: Sought, session: Session, store_id: uuid.UUID) -> bool:
    return bool(_drafts_with(sought, session.get_decoded(), store_id))


def forget_drafts(found: Found) -> Done:
    """What staff have typed into the resolution wizard and not sent."""
    for session in found.rows:
        store = SessionStore(session.session_key)
        held = _drafts_with(found.sought, dict(store.items()), found.store_id)
        store[DRAFTS] = {key: draft for key, draft in store[DRAFTS].items() if key not in held}
        store.save()
    return Done(Counter({found.place.name: len(found.rows)}))


def _drafts_with(sought: Sought, session: dict[str, Any], store_id: uuid.UUID) -> list[str]:
    drafts = session.get(DRAFTS) or {}
    held = [
        key
        for key, draft in drafts.items()
        if sought.is_in_document(draft) or sought.is_in_body(str(draft.get("text", "")).encode())
    ]
    mine = Delivery.objects.filter(store=store_id, pk__in=held).values_list("pk", flat=True) if held else ()
    return [str(key) for key in mine]
