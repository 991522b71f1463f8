"""The resolution wizard: diagnose, edit, review, watch. Each step is its own page with its own access checks."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from deliveries.admin.access import open_delivery, render
from deliveries.admin.detail import diagnosis_by_contrast, diagnosis_of, possible_actions, record_of, shown_attempts
from deliveries.admin.json_pointers import existing_pointers
from deliveries.admin.wizard import drafts
from deliveries.admin.wizard.schema_help import schema_lines
from deliveries.admin.wizard.sending import failing_others, send, send_and_open_next, sent_before
from deliveries.models import Delivery
from deliveries.previews.preview import preview_delivery
from deliveries.resolution import (
    ResolutionError,
    alike,
    change,
    check_payload,
    fits,
    payload_of,
    schema_problems,
    visit,
)
from deliveries.stats.queries import capped_count, shown_count, throughput
from integrations.admin.diff import side_by_side
from integrations.foundation.json_paths import pointer_of
from integrations.foundation.strict_json import DocumentError, parse_document
from subscriptions.routing import config_of

PERMISSION = "deliveries.resolve_delivery"
#: The most deliveries with the same failure that the review lists.
ALIKE_LISTED = 500
ALIKE_SHOWN = 100


def diagnose_step(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Step 1: what is wrong, and what can be done about it."""
    delivery = open_delivery(request, pk, PERMISSION)
    attempts = shown_attempts(delivery)
    number = capped_count(alike(delivery))
    through = throughput(window="1h", now=timezone.now(), integrations=[delivery.integration_id])
    diagnosis, findings = diagnosis_by_contrast(delivery, attempts)
    context = {
        "diagnosis": diagnosis,
        "findings": findings,
        "attempts": attempts[:1],
        "attempt_total": delivery.attempt_count,
        "alike_count": number,
        "alike_text": shown_count(number),
        "series": through.total,
        "can": possible_actions(delivery, request.user),
        "suspects": existing_pointers(diagnosis.suspicious_fields if diagnosis else (), payload_of(delivery)),
        "payload": payload_of(delivery),
    }
    return wizard_page(request, delivery, "diagnose", context)


def edit_step(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Step 2: the payload as text. What was typed is kept, valid or not."""
    delivery = open_delivery(request, pk, PERMISSION)
    draft = drafts.begin(request, delivery)
    error: ResolutionError | None = None
    if request.method == "POST":
        draft.text = request.POST.get("payload", "").replace("\r\n", "\n")
        draft.update_record = "update_record" in request.POST
        drafts.save(request, delivery, draft)
        try:
            edited = check_payload(delivery, draft.text)
            if change(payload_of(delivery), edited):
                if request.POST.get("then") == "next":
                    return send_and_open_next(request, delivery, draft, edited)
                return redirect("admin:deliveries_delivery_review", pk)
            error = ResolutionError(
                "unchanged",
                _("Nothing has been changed yet. To send the same payload again, choose “Resend as it is”."),
            )
        except ResolutionError as problem:
            error = problem
    others = failing_others(request, delivery, delivery.failure_group_id)
    context = {"before": sent_before(request), "other_count": shown_count(capped_count(others))}
    return wizard_page(request, delivery, "edit", {**_edit_context(delivery, draft, error), **context})


def _edit_context(delivery: Delivery, draft: drafts.Draft, error: ResolutionError | None) -> dict[str, Any]:
    payload = payload_of(delivery)
    attempts = shown_attempts(delivery)
    diagnosis = diagnosis_of(delivery, attempts)
    if diagnosis is not None and not diagnosis.suspicious_fields:
        diagnosis, _findings = diagnosis_by_contrast(delivery, attempts)
    topic = delivery.event.topic
    rule = config_of(delivery.store_id).rule_of(topic) if topic else None
    text = draft.text or json.dumps(payload, indent=2, ensure_ascii=False)
    return {
        "draft": draft,
        "text": text,
        "rows": min(40, max(18, text.count("\n") + 2)),
        "error": error,
        "suspects": existing_pointers(diagnosis.suspicious_fields if diagnosis else (), payload),
        "diagnosis": diagnosis,
        "attempts": attempts[:1],
        "record": record_of(delivery),
        "schema": schema_lines(rule.schema) if rule and rule.schema is not None else [],
        "problems": problems_of(delivery, text),
    }


@require_POST
def check_payload_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Validation errors of the text, checked while typing. Changes nothing."""
    delivery = open_delivery(request, pk, PERMISSION)
    problems = problems_of(delivery, request.POST.get("payload", ""))
    return JsonResponse({"problems": problems})


def problems_of(delivery: Delivery, text: str) -> list[dict[str, str]]:
    try:
        payload = parse_document(text.encode("utf-8", "surrogatepass"))
    except DocumentError as error:
        return [{"path": error.field or "", "pointer": "", "message": error.message}]
    if not isinstance(payload, dict):
        return [{"path": "", "pointer": "", "message": _("The payload must be a JSON object: { … }.")}]
    return [
        {"path": problem.path, "pointer": pointer_of(problem.path), "message": problem.message}
        for problem in schema_problems(delivery, payload)
    ]


def review_step(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Step 3: the diff, the request, and the other deliveries that the same change applies to."""
    delivery = open_delivery(request, pk, PERMISSION)
    draft = drafts.load(request, delivery)
    if draft is None or not draft.text:
        messages.info(request, _("Nothing has been edited yet. Start here."))
        return redirect("admin:deliveries_delivery_edit", pk)
    try:
        edited = check_payload(delivery, draft.text)
    except ResolutionError as refusal:
        messages.error(request, refusal.message)
        return redirect("admin:deliveries_delivery_edit", pk)
    error: ResolutionError | None = None
    if request.method == "POST":
        draft.reason = request.POST.get("reason", "").strip()
        draft.chosen = request.POST.getlist("include")[:ALIKE_LISTED]
        drafts.save(request, delivery, draft)
        try:
            send(request, delivery, draft, edited)
            return redirect("admin:deliveries_delivery_watch", pk)
        except ResolutionError as problem:
            error = problem
            delivery = open_delivery(request, pk, PERMISSION)
            if problem.code == "conflict":
                drafts.rebase(draft, delivery)
                drafts.save(request, delivery, draft)
    return wizard_page(request, delivery, "review", _review_context(delivery, draft, edited, error))


def _review_context(
    delivery: Delivery, draft: drafts.Draft, edited: dict[str, Any], error: ResolutionError | None
) -> dict[str, Any]:
    before = payload_of(delivery)
    patch = change(before, edited)
    others = list(alike(delivery).select_related("event")[: ALIKE_LISTED + 1])
    verdicts = []
    for other in others[:ALIKE_LISTED]:
        is_fitting, why = fits(patch, other)
        is_chosen = is_fitting if not draft.chosen else str(other.pk) in draft.chosen
        verdicts.append({"delivery": other, "fits": is_fitting, "why": why, "is_chosen": is_chosen and is_fitting})
    preview = preview_delivery(delivery=delivery, payload=edited, now=timezone.now())
    verdicts.sort(key=lambda verdict: not verdict["fits"])
    fitting = sum(bool(verdict["fits"]) for verdict in verdicts)
    return {
        "draft": draft,
        "error": error,
        "rows": side_by_side(_pretty(before), _pretty(edited)),
        "preview": preview,
        "preview_body": preview.request.body.decode(errors="replace") if preview.request else "",
        "verdicts": verdicts[:ALIKE_SHOWN],
        "hidden_chosen": [verdict for verdict in verdicts[ALIKE_SHOWN:] if verdict["is_chosen"]],
        "fitting": fitting,
        "chosen_total": 1 + sum(bool(verdict["is_chosen"]) for verdict in verdicts),
        "has_more": len(others) > ALIKE_LISTED,
        "alike_listed": ALIKE_LISTED,
        "record": record_of(delivery),
        "is_overtaken": drafts.is_overtaken(draft, delivery),
    }


def _pretty(payload: Any) -> str:
    return json.dumps(payload, indent=2, ensure_ascii=False)


def wizard_page(request: HttpRequest, delivery: Delivery, step: str, context: dict[str, Any]) -> HttpResponse:
    names = {"diagnose": _("What is wrong"), "edit": _("Edit"), "review": _("Review"), "watch": _("Watch")}
    at = list(names).index(step)
    shared = {
        "delivery": delivery,
        "step": step,
        "steps": [
            {"name": name, "label": label, "is_done": index < at} for index, (name, label) in enumerate(names.items())
        ],
        "visitors": visit(delivery, request.user),
        "has_draft": bool((draft := drafts.load(request, delivery)) and draft.text),
    }
    title = f"{names[step]} · {delivery.topic} → {delivery.integration.name}"
    return render(request, f"admin/deliveries/wizard/{step}.html", title, {**shared, **context})
