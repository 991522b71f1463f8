"""What the page of one delivery shows: what happened, the payload, each attempt, the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deliveries.access import visible_to
from deliveries.admin.history import history
from deliveries.explaining.made_by import MadeBy, Version
from deliveries.failures.contrast import Finding, place_in
from deliveries.failures.diagnosis import Diagnosis, diagnose
from deliveries.failures.samples import findings_for
from deliveries.models import Attempt, BulkFix, Delivery, RecipeUse, Record
from deliveries.proposals.showing import lines_of
from deliveries.proposals.waiting import waiting_proposals
from deliveries.resolution import actions_for, alike, payload_of, schema_problems
from deliveries.results.attempt_bodies import readable_body, readable_response
from deliveries.results.under_way import attempt_under_way
from deliveries.stats.queries import capped_count, in_failing_index, shown_count

#: Attempts whose bodies are on the page; the others are fetched when expanded.
ATTEMPTS_IN_FULL = 3
ATTEMPTS_LISTED = 100
#: The permission for each action.
PERMISSIONS = {
    "retry": "deliveries.resolve_delivery",
    "edit": "deliveries.resolve_delivery",
    "discard": "deliveries.resolve_delivery",
    "wait": "deliveries.resolve_delivery",
    "release": "deliveries.release_delivery",
}


@dataclass
class ShownAttempt:
    """An attempt with its bodies as text; None if they are fetched later."""

    attempt: Attempt
    body: str | None = None
    answer: str | None = None
    is_full: bool = False
    version: Version | None = None

    @property
    def answer_type(self) -> str:
        return _header(self.attempt.response_headers, "content-type")

    @property
    def body_type(self) -> str:
        return _header(self.attempt.request_headers, "content-type")


def shown_attempts(delivery: Delivery) -> list[ShownAttempt]:
    """Newest first, with the bodies of the latest. What is not shown is not read from the database."""
    rows = list(
        delivery.attempts.order_by("-number").defer("request_body", "response_body", "request_headers")[
            :ATTEMPTS_LISTED
        ]
    )
    under_way = attempt_under_way(delivery)
    if under_way is not None and all(row.number < under_way.number for row in rows[:1]):
        rows.insert(0, under_way)
    full = {row.pk: row for row in Attempt.objects.filter(pk__in=[row.pk for row in rows[:ATTEMPTS_IN_FULL]])}
    full |= {row.pk: row for row in rows[:1] if row.outcome == Attempt.Outcome.RUNNING}
    return [in_full(full[row.pk], delivery) if row.pk in full else ShownAttempt(row) for row in rows]


def in_full(attempt: Attempt, delivery: Delivery) -> ShownAttempt:
    attempt.delivery = delivery
    return ShownAttempt(attempt, readable_body(attempt), readable_response(attempt), True)


def diagnosis_of(delivery: Delivery, shown: list[ShownAttempt], findings: Sequence[Finding] = ()) -> Diagnosis | None:
    """What the last failure means, in plain words. None if nothing has failed.

    `findings` (of `findings_for`) name the field to look at where the receiver's words do not.
    """
    last = next((each for each in shown if each.attempt.outcome == Attempt.Outcome.FAILED), None)
    if last is None or delivery.erased_at is not None:
        return None
    if delivery.status in (Delivery.Status.SUCCEEDED, Delivery.Status.PENDING):
        return None
    payload = payload_of(delivery)
    return diagnose(
        kind=last.attempt.error_kind,
        status=last.attempt.response_status,
        message=last.attempt.error_message,
        body_text=last.answer or "",
        payload=payload,
        schema_errors=schema_problems(delivery, payload),
        differing=[place_in(finding, payload) for finding in findings if finding.is_certain],
    )


def diagnosis_by_contrast(delivery: Delivery, shown: list[ShownAttempt]) -> tuple[Diagnosis | None, list[Finding]]:
    """The diagnosis, and what tells the failing payloads from those that arrived.

    Where the integration is at fault (its token, its URL), payloads are not compared.
    """
    diagnosis = diagnosis_of(delivery, shown)
    if diagnosis is None or diagnosis.suggested_choice == "integration":
        return diagnosis, []
    findings = findings_for(delivery)
    return (diagnosis_of(delivery, shown, findings) if findings else diagnosis), findings


def possible_actions(delivery: Delivery, user: Any) -> dict[str, bool]:
    """What this person can do with the delivery now."""
    possible = actions_for(delivery)
    return {action: action in possible and user.has_perm(PERMISSIONS[action]) for action in PERMISSIONS}


def neighbours(delivery: Delivery, user: Any) -> tuple[Delivery | None, Delivery | None]:
    """The failed deliveries before and after this one in the list, for j and k."""
    failed = in_failing_index(visible_to(Delivery.objects.filter(status=Delivery.Status.FAILED), user)).only("id")
    following = failed.filter(id__lt=delivery.pk).order_by("-id").first()
    previous = failed.filter(id__gt=delivery.pk).order_by("id").first()
    return following, previous


def page_context(delivery: Delivery, user: Any) -> dict[str, Any]:
    attempts, made_by = shown_attempts(delivery), MadeBy(delivery.subscription_id)
    for each in attempts:
        each.version = made_by.version_of(each.attempt)
    revisions = list(delivery.revisions.order_by("-number"))
    following, previous = neighbours(delivery, user)
    number = capped_count(alike(delivery)) if delivery.failure_group_id else 0
    sent = next((each for each in attempts if each.is_full and each.body), None)
    return {
        "delivery": delivery,
        "attempts": attempts,
        "made_by": made_by.version_at(delivery.created_at),
        "revisions": revisions,
        "awaiting": next((revision for revision in revisions if revision.is_awaiting_approval), None),
        "proposals": [(one, lines_of(one)) for one in waiting_proposals().filter(delivery_id=delivery.pk)[:5]],
        "payload": payload_of(delivery),
        "sent": sent,
        "diagnosis": diagnosis_of(delivery, attempts),
        "can": possible_actions(delivery, user),
        "alike_count": number,
        "alike_text": shown_count(number),
        "history": history(delivery, revisions),
        "record": record_of(delivery),
        "recipe_use": RecipeUse.objects.filter(delivery_id=delivery.pk, revision__gt=0)
        .select_related("recipe")
        .first(),
        "bulk_fix": BulkFix.objects.filter(items__delivery_id=delivery.pk, items__is_written=True).first(),
        "following": following,
        "previous": previous,
    }


def record_of(delivery: Delivery) -> Record | None:
    event = delivery.event
    if not event.object_id:
        return None
    found = Record.objects.filter(store_id=event.store_id, type=event.object_type, external_id=event.object_id)
    return found.defer("data").first()


def _header(headers: Any, name: str) -> str:
    for pair in headers or []:
        if len(pair) == 2 and str(pair[0]).lower() == name:
            return str(pair[1])
    return ""
