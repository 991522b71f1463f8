"""`/api/v1/bulk`: resend, discard or backfill all that match: plan, run, poll (docs/contract.md#bulk-actions)."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.bulk_bodies import (
    ACTIONS,
    SAMPLE,
    BulkBodySerializer,
    BulkSerializer,
    bulk_json,
    proposal_json,
    sample_of,
    shown,
)
from deliveries.api.past_events import subscription_named
from deliveries.api.views import as_api_error
from deliveries.failures.cases import case_of
from deliveries.filters import FilterError, moment_of
from deliveries.models import Proposal, Replay
from deliveries.proposals import propose_backfill, propose_bulk
from deliveries.replay import (
    GUARDED,
    STOP_ABOVE,
    ReplayError,
    cancel_replay,
    count_guarded,
    matching,
    pause_replay,
    preview,
    resume_replay,
    start_replay,
    with_status,
)
from deliveries.replay.backfill import Wanted, preview_backfill, start_backfill
from deliveries.replay.service import MOST_PER_SECOND
from deliveries.resolution import ResolutionError
from integrations.api.authentication import lacks_scope, principal_of, wants_proposal
from integrations.api.bodies import body_of, boolean, mapping, text
from integrations.api.errors import APIError, invalid, missing, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id, public_id
from integrations.models import AccessToken, Store
from subscriptions.models import Subscription

RESOLVE = AccessToken.Scope.RESOLVE
FILTERS = ("status", "integration", "subscription", "topic", "since", "until", "q", "group", "ids")
PERIOD = ("since", "until", "topic", "q")
RATE = 200


class BulksView(APIView):
    """A dry run takes the scope `read` only."""

    change_scope = AccessToken.Scope.READ

    @extend_schema(
        operation_id="list_bulk_actions",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(BulkSerializer, "Bulk"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        return page(request, _mine(request), lambda one: bulk_json(one, has_sample=False), by=("created_at", "id"))

    @extend_schema(
        operation_id="start_bulk_action",
        request=BulkBodySerializer,
        responses=answers(BulkSerializer, status=202, more=(400, 404, 409)),
    )
    def post(self, request: Request) -> Response:
        body, principal = body_of(request), principal_of(request)
        action = text(body, "action")
        if action not in [known.value for known in ACTIONS]:
            raise invalid("action must be retry, discard or backfill. Rules are applied by /recipes/apply.", "action")
        is_plan = boolean(body, "dry_run", default=False)
        if not is_plan and not principal.may(RESOLVE) and not principal.only_proposes:
            raise lacks_scope(RESOLVE)
        try:
            run = _backfill if action == Replay.Action.BACKFILL else _bulk
            answer = run(request, action, body, is_plan)
        except FilterError as error:
            raise invalid(error.message, f"filter.{error.field}") from None
        except ReplayError as error:
            raise APIError(409, str(error)) from None
        except ResolutionError as error:
            raise as_api_error(error) from None
        return Response(answer, status=202)


def _bulk(request: Request, action: str, body: dict[str, Any], is_plan: bool) -> dict[str, Any]:
    store = Store.objects.get(pk=principal_of(request).store_id)
    filters, reason = _filters(body, store), text(body, "reason", default="")
    course = _course(body, action, filters | {"store": str(store.pk)})
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


def _filters(body: dict[str, Any], store: Store) -> dict[str, Any]:
    """Those of the body, by the names of `deliveries.filters`. Raises FilterError, APIError."""
    given = mapping(body, "filter", default={})
    if unknown := sorted(set(given) - set(FILTERS)):
        raise FilterError(unknown[0], f"Unknown filter {unknown[0]!r}. Available filters: {', '.join(FILTERS)}.")
    for name, value in given.items():
        is_text = isinstance(value, str) or (name == "group" and isinstance(value, int) and value is not True)
        is_list = name in ("ids", "status") and isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not is_text and not is_list:
            raise FilterError(name, f"{name} must be {'an array of strings' if name == 'ids' else 'a string'}.")
    cleaned = {name: value for name, value in given.items() if value not in ("", [])}
    if "ids" in given and not given["ids"]:
        raise FilterError("ids", "ids is empty, so nothing is chosen.")
    if "group" in cleaned:
        cleaned["group"] = _case(str(cleaned["group"]), store)
    return cleaned


def _case(written: str, store: Store) -> str:
    found = case_of(written.removeprefix("case_").removeprefix("grp_")[:18])
    if found is None or found.store_id != store.pk:
        raise FilterError("group", f"There is no case {written[:60]!r} in this store.")
    return str(found.pk)


def _course(body: dict[str, Any], action: str, filters: dict[str, Any]) -> dict[str, Any]:
    course = _pace(body)
    confirmed = body.get("confirmed")
    if confirmed is not None and (isinstance(confirmed, bool) or not isinstance(confirmed, int)):
        raise invalid("confirmed must be a whole number.", "confirmed")
    course["confirmed"] = confirmed
    if boolean(body, "include_succeeded", default=False) and action == Replay.Action.RETRY:
        status = GUARDED[action]
        given = with_status(filters)["status"].split(",")
        if status not in given:
            raise FilterError("status", "With include_succeeded, say in status what is resent: succeeded,failed.")
        course["confirmed"] = count_guarded(filters=filters, action=action)
    return course


def _pace(body: dict[str, Any]) -> dict[str, Any]:
    rate, stop_above = body.get("rate"), body.get("stop_above")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int) or not 1 <= rate <= MOST_PER_SECOND):
        raise invalid(f"rate must be a whole number from 1 to {MOST_PER_SECOND}: deliveries per second.", "rate")
    if stop_above is not None and (
        isinstance(stop_above, bool) or not isinstance(stop_above, int | float) or not 0 <= stop_above < 1
    ):
        raise invalid("stop_above must be a part of 1, such as 0.1 for 10 %.", "stop_above")
    return {
        "per_second": RATE if rate is None else rate,
        "canary": None if body.get("canary") is None else boolean(body, "canary", default=False),
        "stop_above": STOP_ABOVE if stop_above is None else min(99, round(stop_above * 100)),
    }


def _backfill(request: Request, action: str, body: dict[str, Any], is_plan: bool) -> dict[str, Any]:
    subscription = subscription_named(request, text(body, "subscription"))
    wanted, reason, course = _wanted(body), text(body, "reason", default=""), _pace(body)
    if is_plan:
        return _planned_backfill(subscription, wanted)
    actor = Actor.of_principal(principal_of(request))
    course["canary"] = course["canary"] is not False
    if wants_proposal(request, body):
        proposal = propose_backfill(subscription=subscription, wanted=wanted, actor=actor, reason=reason, **course)
        return proposal_json(proposal)
    return bulk_json(start_backfill(subscription=subscription, wanted=wanted, actor=actor, reason=reason, **course))


def _wanted(body: dict[str, Any]) -> Wanted:
    given = mapping(body, "filter", default={})
    if unknown := sorted(set(given) - set(PERIOD)):
        raise FilterError(unknown[0], f"Unknown filter {unknown[0]!r}. A backfill has {', '.join(PERIOD)}.")
    written = {name: text(given, name, default="", limit=1_000).replace("\0", "").strip() for name in PERIOD}
    if not written["since"]:
        raise missing("filter.since")
    until = moment_of("until", written["until"]) if written["until"] else timezone.now()
    is_again = boolean(body, "include_succeeded", default=False)
    return Wanted(moment_of("since", written["since"]), until, written["topic"][:255], written["q"], is_again)


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


def _mine(request: Request) -> QuerySet[Replay]:
    return Replay.objects.filter(store_id=principal_of(request).store_id)


def _found(request: Request, bulk_id: str) -> Replay | Proposal:
    wanted: uuid.UUID | None = parse_public_id("blk", bulk_id)
    if wanted is None:
        raise not_found("bulk action")
    if replay := _mine(request).filter(pk=wanted).first():
        return replay
    proposals = Proposal.objects.select_related("replay").filter(store_id=principal_of(request).store_id, pk=wanted)
    proposal = proposals.filter(action__in=ACTIONS, delivery_id=None).first()
    if proposal is None:
        raise not_found("bulk action")
    return proposal.replay or proposal


def _answer(request: Request, bulk_id: str) -> Response:
    found = _found(request, bulk_id)
    answer = proposal_json(found) if isinstance(found, Proposal) else bulk_json(found)
    # The id of a proposal stays valid, so that who proposed it can go on asking for it.
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
        if isinstance(found, Proposal):
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
