"""Sends an edited payload: after the review, or straight from the editor, which then opens the next of the group."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from deliveries.access import visible_to
from deliveries.admin.detail import record_of
from deliveries.admin.wizard import drafts
from deliveries.models import Delivery
from deliveries.resolution import ResolutionError, edit_similar
from deliveries.stats.queries import capped_count, shown_count
from integrations.foundation.audit import Actor


def send(request: HttpRequest, delivery: Delivery, draft: drafts.Draft, edited: dict[str, Any]) -> None:
    """Send the payload, and make the same change in the chosen others. Raises ResolutionError: nothing was sent."""
    wanted = [uuid.UUID(text) for text in draft.chosen if _is_uuid(text)]
    group = delivery.failure_group_id
    report = edit_similar(
        delivery=delivery,
        payload=edited,
        deliveries=wanted,
        actor=Actor.of_user(request.user),
        reason=draft.reason,
        update_record=draft.update_record and record_of(delivery) is not None,
        expected_revision=draft.seen_revision,
        expected_attempt_count=draft.seen_attempts,
    )
    done = [str(result.delivery_id) for result in report.results if result.is_done]
    left = [f"{result.delivery_id}: {result.why}" for result in report.results if not result.is_done]
    drafts.save(request, delivery, drafts.Draft(sent=[str(delivery.pk), *done], left_alone=left[:50], group=group))


def send_and_open_next(
    request: HttpRequest, delivery: Delivery, draft: drafts.Draft, edited: dict[str, Any]
) -> HttpResponse:
    """Send this one alone and open the editor of the next; the watch step after the last.

    What cannot be sent from here (a reason is required, somebody was faster) goes to the review, which says why.
    """
    group = delivery.failure_group_id
    draft.chosen = []
    try:
        send(request, delivery, draft, edited)
    except ResolutionError as error:
        messages.error(request, error.message)
        return redirect("admin:deliveries_delivery_review", delivery.pk)
    left = failing_others(request, delivery, group)
    following = left.filter(pk__lt=delivery.pk).order_by("-pk").first() or left.order_by("-pk").first()
    if following is None:
        return redirect("admin:deliveries_delivery_watch", delivery.pk)
    number = capped_count(left)
    what = f"{delivery.event.object_type} {delivery.event.object_id}".strip() or delivery.public_id
    if delivery.store.is_approval_required:
        said = _("%(delivery)s waits for approval. %(number)s left with the same failure.")
    else:
        said = _("%(delivery)s is being sent. %(number)s left with the same failure.")
    messages.success(request, said % {"delivery": what, "number": shown_count(number)})
    return redirect(f"{reverse('admin:deliveries_delivery_edit', args=[following.pk])}?sent={delivery.pk}")


def failing_others(request: HttpRequest, delivery: Delivery, group: int | None) -> Any:
    """The failed deliveries of the group but this one, that this person sees and nobody's edit of which waits."""
    rows = visible_to(Delivery.objects.filter(status=Delivery.Status.FAILED), request.user)
    if group is None:
        return rows.none()
    return rows.filter(failure_group=group).exclude(pk=delivery.pk).exclude(revisions__is_awaiting_approval=True)


def sent_before(request: HttpRequest) -> Delivery | None:
    """The delivery that was sent from the editor just before this one, `?sent=`."""
    text = request.GET.get("sent", "")
    if not _is_uuid(text):
        return None
    return visible_to(Delivery.objects.filter(pk=uuid.UUID(text)).select_related("event"), request.user).first()


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
