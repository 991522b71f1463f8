"""`/api/v1/bulk`: resend, discard, backfill or fix all that match: plan, run, poll (docs/contract.md#bulk-actions)."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.bulk_bodies import (
    ACTIONS,
    PROPOSED_ACTIONS,
    RECIPE,
    SAMPLE,
    BulkBodySerializer,
    BulkSerializer,
    bulk_json,
    proposal_json,
    sample_of,
    shown,
    waiting_fix_json,
)
from deliveries.api.bulk_recipe import run_recipe
from deliveries.api.bulk_requests import course_of, filters_of, pace_of, wanted_of
from deliveries.api.past_events import subscription_named
from deliveries.api.views import as_api_error
from deliveries.filters import FilterError
from deliveries.models import BulkFix, Proposal, Replay
from deliveries.proposals import propose_backfill, propose_bulk
from deliveries.replay import (
    ReplayError,
    cancel_replay,
    matching,
    pause_replay,
    preview,
    resume_replay,
    start_replay,
    with_status,
)
from deliveries.replay.backfill import Wanted, preview_backfill, start_backfill
from deliveries.resolution import ResolutionError
from integrations.api.authentication import lacks_scope, principal_of, wants_proposal
from integrations.api.bodies import body_of, boolean, text
from integrations.api.errors import APIError, invalid, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id, public_id
from integrations.models import AccessToken, Store
from subscriptions.models import Subscription

RESOLVE = AccessToken.Scope.RESOLVE


class BulksView(APIView):
    """A dry run takes the scope `read` only."""

    change_scope = AccessToken.Scope.READ

    @extend_schema(
        operation_id="list_bulk_actions",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(BulkSerializer, "Bulk"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        rows = _mine(request).select_related("bulk_fix")
        return page(request, rows, lambda one: bulk_json(one, has_sample=False), by=("created_at", "id"))

    @extend_schema(
        operation_id="start_bulk_action",
        request=BulkBodySerializer,
        responses=answers(BulkSerializer, status=202, more=(400, 404, 409)),
    )
    def post(self, request: Request) -> Response:
        body, principal = body_of(request), principal_of(request)
        action = text(body, "action")
        if action not in ACTIONS:
            raise invalid(f"action must be one of {', '.join(ACTIONS)}.", "action")
        is_plan = boolean(body, "dry_run", default=False)
        if not is_plan and not principal.may(RESOLVE) and not principal.only_proposes:
            raise lacks_scope(RESOLVE)
        try:
            answer = _RUN[action](request, action, body, is_plan)
        except FilterError as error:
            raise invalid(error.message, f"filter.{error.field}") from None
        except ReplayError as error:
            raise APIError(409, str(error)) from None
        except ResolutionError as error:
            raise as_api_error(error) from None
        return Response(answer, status=202)


def _bulk(request: Request, action: str, body: dict[str, Any], is_plan: bool) -> dict[str, Any]:
    store = Store.objects.get(pk=principal_of(request).store_id)
    filters, reason = filters_of(body, store), text(body, "reason", default="")
    course = course_of(body, action, filters | {"store": str(store.pk)})
    if is_plan:
        return _planned(filters | {"store": str(store.pk)}, action, course["per_second"])
    actor = Actor.of_principal(principal_of(request))
    if wants_proposal(request, body):
        proposal = propose_bulk(store=store, action=action, filters=filters, actor=actor, reason=reason, **course)
        return proposal_json(proposal)
    replay = start_replay(filters=filters, action=action, actor=actor, store=store, reason=reason, **course)
    return bulk_json(replay)


def _planned(filters: dict[str, Any], action: str, per_second: int) -> dict[str, Any]:
    found = preview(filters=filters, action=action, per_second=per_second)
    rows = matching(filters=with_status(filters), action=action).select_related("event", "integration")
    sample = sample_of(rows.order_by("id")[:SAMPLE])
    return shown(
        action=action,
        status="planned",
        total=found.total,
        left_alone=found.left_alone,
        counts=found.by_status,
        sample=sample,
    )


def _backfill(request: Request, action: str, body: dict[str, Any], is_plan: bool) -> dict[str, Any]:
    subscription = subscription_named(request, text(body, "subscription"))
    wanted, reason, course = wanted_of(body), text(body, "reason", default=""), pace_of(body)
    if is_plan:
        return _planned_backfill(subscription, wanted)
    actor = Actor.of_principal(principal_of(request))
    course["canary"] = course["canary"] is not False
    if wants_proposal(request, body):
        proposal = propose_backfill(subscription=subscription, wanted=wanted, actor=actor, reason=reason, **course)
        return proposal_json(proposal)
    return bulk_json(start_backfill(subscription=subscription, wanted=wanted, actor=actor, reason=reason, **course))


def _planned_backfill(subscription: Subscription, wanted: Wanted) -> dict[str, Any]:
    found = preview_backfill(subscription=subscription, wanted=wanted)
    sample = [
        {
            "delivery": None,
            "event": choice.event.public_id,
            "topic": choice.event.topic,
            "object": choice.event.object_id or None,
            "integration": subscription.integration.slug,
            "status": None,
            "why": choice.text,
        }
        for choice in found.sample
    ]
    return shown(
        action=Replay.Action.BACKFILL, status="planned", total=found.missing, counts=found.counts, sample=sample
    )


_RUN = {
    Replay.Action.RETRY.value: _bulk,
    Replay.Action.DISCARD.value: _bulk,
    Replay.Action.BACKFILL.value: _backfill,
    RECIPE: run_recipe,
}


def _mine(request: Request) -> QuerySet[Replay]:
    return Replay.objects.filter(store_id=principal_of(request).store_id)


def _found(request: Request, bulk_id: str) -> Replay | Proposal | BulkFix:
    """What it is by now: an id that was answered stays valid, whatever it had to wait for."""
    wanted: uuid.UUID | None = parse_public_id("blk", bulk_id)
    if wanted is None:
        raise not_found("bulk action")
    if replay := _mine(request).filter(pk=wanted).first():
        return replay
    store_id = principal_of(request).store_id
    proposals = Proposal.objects.select_related("replay", "fix__replay").filter(store_id=store_id, pk=wanted)
    if proposal := proposals.filter(action__in=PROPOSED_ACTIONS, delivery_id=None).first():
        return proposal.replay or (proposal.fix and proposal.fix.replay) or proposal
    fixes = BulkFix.objects.exclude(status=BulkFix.Status.DRAFT).select_related("replay")
    fix = fixes.filter(store_id=store_id, pk=wanted, proposal=None).first()
    if fix is None:
        raise not_found("bulk action")
    return fix.replay or fix


def _answer(request: Request, bulk_id: str) -> Response:
    found = _found(request, bulk_id)
    if isinstance(found, Replay):
        answer = bulk_json(found)
    else:
        answer = proposal_json(found) if isinstance(found, Proposal) else waiting_fix_json(found)
    return Response(answer | {"id": public_id("blk", parse_public_id("blk", bulk_id) or found.pk)})


class BulkView(APIView):
    @extend_schema(operation_id="get_bulk_action", responses=answers(BulkSerializer, more=(404,)))
    def get(self, request: Request, bulk_id: str) -> Response:
        return _answer(request, bulk_id)


class _StepView(APIView):
    change_scope = RESOLVE
    step: Any

    def act(self, request: Request, bulk_id: str) -> Response:
        found = _found(request, bulk_id)
        if not isinstance(found, Replay):
            raise APIError(409, "This awaits approval or was rejected, so it is not running.")
        try:
            type(self).step(replay=found, actor=Actor.of_principal(principal_of(request)))
        except ReplayError as error:
            raise APIError(409, str(error)) from None
        return _answer(request, bulk_id)


_STEP_ANSWERS = answers(BulkSerializer, more=(404, 409))


class PauseView(_StepView):
    step = staticmethod(pause_replay)

    @extend_schema(operation_id="pause_bulk_action", request=None, responses=_STEP_ANSWERS)
    def post(self, request: Request, bulk_id: str) -> Response:
        return self.act(request, bulk_id)


class ResumeView(_StepView):
    step = staticmethod(resume_replay)

    @extend_schema(operation_id="resume_bulk_action", request=None, responses=_STEP_ANSWERS)
    def post(self, request: Request, bulk_id: str) -> Response:
        return self.act(request, bulk_id)


class CancelView(_StepView):
    step = staticmethod(cancel_replay)

    @extend_schema(operation_id="cancel_bulk_action", request=None, responses=_STEP_ANSWERS)
    def post(self, request: Request, bulk_id: str) -> Response:
        return self.act(request, bulk_id)
