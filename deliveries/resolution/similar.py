"""Applying the same correction to the other deliveries with the same failure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jsonpointer
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.models import Delivery, Revision
from deliveries.resolution.editing import edit_delivery
from deliveries.resolution.payloads import check_payload, payload_of
from deliveries.resolution.rules import ResolutionError
from integrations.foundation.audit import Actor
from integrations.foundation.json_documents import PatchDoesNotFit, apply_patch, is_same, json_patch
from integrations.foundation.strict_json import dump_document
from integrations.foundation.texts import shortened

#: The most edited by one call, each in its own transaction.
ALIKE_LIMIT = 2_000

Patch = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AlikeResult:
    """`why` says in plain words why it was skipped; empty if it is done."""

    delivery_id: uuid.UUID
    is_done: bool
    why: str = ""


@dataclass(slots=True)
class AlikeReport:
    """The results for the delivery itself (`revision`) and for each of the others."""

    revision: Revision
    results: list[AlikeResult] = field(default_factory=list)

    @property
    def done_count(self) -> int:
        """Counts the others; the delivery itself is always done."""
        return sum(result.is_done for result in self.results)


def alike(delivery: Delivery) -> QuerySet[Delivery]:
    """The others of its failure group that can be corrected, newest first. Empty when it is in none."""
    if delivery.failure_group_id is None:
        return Delivery.objects.none()
    return (
        Delivery.objects.filter(failure_group_id=delivery.failure_group_id)
        .failing()
        .exclude(pk=delivery.pk)
        .select_related("event")
        .order_by("-id")
    )


def change(before: Any, after: Any) -> list[dict[str, Any]]:
    """The JSON Patch from `before` to `after` that applies only where the same values are in the same places.

    Otherwise it could overwrite one customer's number with another's.
    """
    guarded: list[dict[str, Any]] = []
    document = before
    for step in json_patch(before, after):
        place = step["path"] if step["op"] in ("replace", "remove") else step.get("from")
        if place is not None:
            guarded.append({"op": "test", "path": place, "value": jsonpointer.resolve_pointer(document, place)})
        guarded.append(step)
        document = apply_patch(document, [step])
    return guarded


def fits(patch: Patch, delivery: Delivery) -> tuple[bool, str]:
    """Why `patch` (made by `change`) cannot be applied to this delivery's payload, for staff; empty if it can."""
    try:
        _corrected(patch, delivery)
    except ResolutionError as error:
        return False, error.message
    return True, ""


def _corrected(patch: Patch, delivery: Delivery) -> dict[str, Any]:
    """The payload after the patch. Raises ResolutionError."""
    before = payload_of(delivery)
    try:
        after = before
        for step in patch:
            _refuse_overwriting(after, step)
            after = apply_patch(after, [step])
    except PatchDoesNotFit as error:
        raise ResolutionError("invalid", error.reason) from None
    if is_same(before, after):
        raise ResolutionError("unchanged", _("It has already been corrected."))
    return check_payload(delivery, after)


def _refuse_overwriting(document: Any, step: Mapping[str, Any]) -> None:
    """RFC 6902's `add` replaces an existing member; ours adds only if there is none."""
    if step["op"] not in ("add", "move", "copy"):
        return
    parent, _sign, last = step["path"].rpartition("/")
    holder = jsonpointer.resolve_pointer(document, parent, None) if step["path"] else None
    name = last.replace("~1", "/").replace("~0", "~")
    if isinstance(holder, dict) and name in holder and not is_same(holder[name], step.get("value")):
        shown = shortened(dump_document(holder[name]), 60)
        raise PatchDoesNotFit(_("It already has a %(name)s: %(shown)s.") % {"name": name, "shown": shown})


def edit_similar(
    *,
    delivery: Delivery,
    payload: dict[str, Any],
    deliveries: Iterable[Delivery | uuid.UUID],
    actor: Actor,
    reason: str = "",
    update_record: bool = False,
    now: datetime | None = None,
    expected_revision: int | None = None,
    expected_attempt_count: int | None = None,
) -> AlikeReport:
    """Edit `delivery`, then make the same change in each of the others to which it applies, each in its own
    transaction.

    Raises ResolutionError, with nothing changed, if `delivery` itself cannot be edited; problems with one of
    the others are reported. Deliveries of another store or failure group are skipped.
    """
    now = now or timezone.now()
    ids = list(dict.fromkeys(other.pk if isinstance(other, Delivery) else other for other in deliveries))
    if len(ids) > ALIKE_LIMIT:
        raise ResolutionError(
            "too_many",
            _("At most %(limit)s deliveries can be edited at once. Edit them in several steps.")
            % {"limit": ALIKE_LIMIT},
        )
    delivery = Delivery.objects.select_related("event", "store").get(pk=delivery.pk)
    # Before the edit requeues it: the candidates are those in its group now.
    companions = alike(delivery).in_bulk([pk for pk in ids if pk != delivery.pk])
    before = payload_of(delivery)
    revision = edit_delivery(
        delivery=delivery,
        payload=payload,
        actor=actor,
        reason=reason,
        update_record=update_record,
        now=now,
        expected_revision=expected_revision,
        expected_attempt_count=expected_attempt_count,
    )
    patch = change(before, revision.data)
    report = AlikeReport(revision)
    for pk in ids:
        if pk == delivery.pk:
            continue
        if (other := companions.get(pk)) is None:
            report.results.append(AlikeResult(pk, False, _("It no longer has this failure.")))
            continue
        try:
            edit_delivery(
                delivery=other,
                payload=_corrected(patch, other),
                actor=actor,
                reason=reason,
                update_record=update_record,
                now=now,
                expected_attempt_count=other.attempt_count,
            )
        except ResolutionError as error:
            report.results.append(AlikeResult(pk, False, error.message))
        else:
            report.results.append(AlikeResult(pk, True))
    return report
