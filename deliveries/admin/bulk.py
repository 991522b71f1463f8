"""Bulk actions on deliveries selected in the list: the confirmation page shows which of them can be acted on."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.admin.wizard import drafts, table
from deliveries.models import Delivery
from deliveries.recipes.members import IDS
from deliveries.resolution import ResolutionError, actions_for, discard_delivery, retry_delivery
from integrations.foundation.audit import Actor

#: The most rows on one page of the list, with a margin.
SELECTION_LIMIT = 200
VERBS = {"retry": gettext_lazy("Resend"), "discard": gettext_lazy("Discard")}
TITLES = {"retry": gettext_lazy("Resend deliveries"), "discard": gettext_lazy("Discard deliveries")}


@require_POST
def selection_view(request: HttpRequest) -> HttpResponse:
    require(request, "deliveries.resolve_delivery")
    action = request.POST.get("action", "")
    rows = _chosen(request)
    if not rows:
        messages.warning(request, _("Nothing was selected. Select deliveries first."))
        return redirect("admin:deliveries_delivery_changelist")
    if action == "resolve":
        return _begin_wizard(request, rows)
    if action == "fix":
        return _begin_table(request, rows)
    if action not in VERBS:
        messages.warning(request, _("Choose what to do with the selected deliveries."))
        return redirect("admin:deliveries_delivery_changelist")
    able = [row for row in rows if action in actions_for(row)]
    unable = [row for row in rows if action not in actions_for(row)]
    delivered = [row for row in able if action == "retry" and row.status == Delivery.Status.SUCCEEDED]
    error = ""
    if "confirmed" in request.POST:
        if "also" not in request.POST:
            # Delivered ones are resent only if the user has ticked the box that includes them.
            able = [row for row in able if row not in delivered]
        reason = request.POST.get("reason", "").strip()
        if action == "discard" and not reason and any(row.store.is_reason_required for row in able):
            error = _("One of these stores requires a reason.")
        else:
            return _act(request, action, able, reason)
    context = {
        "action": action,
        "verb": VERBS[action],
        "able": able,
        "unable": unable,
        "delivered": len(delivered),
        "plain_count": len(able) - len(delivered),
        "error": error,
        "is_reason_required": action == "discard" and any(row.store.is_reason_required for row in able),
    }
    return render(request, "admin/deliveries/delivery/selection.html", str(TITLES[action]), context)


def _chosen(request: HttpRequest) -> list[Delivery]:
    ids: list[uuid.UUID] = []
    for text in request.POST.getlist("id")[:SELECTION_LIMIT]:
        try:
            ids.append(uuid.UUID(text))
        except ValueError:
            continue
    rows: Any = visible_to(Delivery.objects.filter(pk__in=ids), request.user)
    return list(rows.select_related("event", "integration", "store").defer("event__data").order_by("-id"))


def _begin_wizard(request: HttpRequest, rows: list[Delivery]) -> HttpResponse:
    """The newest failure is edited; the others are preselected in its review if they have the same failure."""
    failing = [row for row in rows if "edit" in actions_for(row) and row.status != Delivery.Status.SUCCEEDED]
    if not failing:
        messages.warning(request, _("None of the selected deliveries has failed, so there is nothing to resolve."))
        return redirect("admin:deliveries_delivery_changelist")
    first = failing[0]
    draft = drafts.begin(request, first)
    draft.chosen = [str(row.pk) for row in failing[1:]]
    drafts.save(request, first, draft)
    others = sum(row.failure_group_id != first.failure_group_id for row in failing[1:])
    if others:
        said = ngettext(
            "%(number)s of the selected deliveries fails for another reason and must be resolved separately.",
            "%(number)s of the selected deliveries fail for another reason and must be resolved separately.",
            others,
        )
        messages.info(request, said % {"number": others})
    return redirect("admin:deliveries_delivery_resolve", first.pk)


def _begin_table(request: HttpRequest, rows: list[Delivery]) -> HttpResponse:
    """A table of the selected ones, which must be of one store."""
    if len({row.store_id for row in rows}) > 1:
        messages.warning(request, _("The selected deliveries are of several stores. Fix those of one store at a time."))
        return redirect("admin:deliveries_delivery_changelist")
    return table.begin(request, {IDS: sorted(str(row.pk) for row in rows)}, rows[0].store)


def _act(request: HttpRequest, action: str, rows: list[Delivery], reason: str) -> HttpResponse:
    actor = Actor.of_user(request.user)
    done, refused = 0, []
    for row in rows:
        try:
            service = retry_delivery if action == "retry" else discard_delivery
            service(delivery=row, actor=actor, reason=reason, expected_attempt_count=row.attempt_count)
            done += 1
        except ResolutionError as error:
            refused.append(f"{row.topic} {row.event.object_id}: {error.message}")
    if action == "retry":
        said = ngettext("%(number)s delivery is being resent.", "%(number)s deliveries are being resent.", done)
    else:
        said = ngettext("%(number)s delivery is discarded.", "%(number)s deliveries are discarded.", done)
    messages.success(request, said % {"number": done})
    for text in refused[:5]:
        messages.warning(request, text)
    return redirect("admin:deliveries_delivery_changelist")
