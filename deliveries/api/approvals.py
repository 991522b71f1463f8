"""`/api/v1/approvals`: what waits for a person. Programs see it and take it back; they never approve it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.models import BulkFix, Proposal, Revision
from deliveries.proposals import approve_proposal, reject_proposal
from deliveries.proposals.showing import approval_of
from deliveries.proposals.waiting import Row, find_row, rows_of_store
from deliveries.recipes.sending import approve_fix, reject_fix
from deliveries.resolution import ResolutionError, approve_revision, reject_revision
from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of, text
from integrations.api.errors import APIError, invalid, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page_of_several, query_text
from integrations.foundation.audit import Actor
from integrations.models import AccessToken

RESOLVE = AccessToken.Scope.RESOLVE


class ApprovalSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="rev_… (an edited payload), fix_… (a bulk fix) or prop_… (a proposal)")
    action = serializers.ChoiceField(Proposal.Action.values)
    status = serializers.ChoiceField(Proposal.Status.values)
    author = serializers.CharField(help_text="Who asks: a user's name, or a token's.")
    reason = serializers.CharField(allow_blank=True)
    deliveries = serializers.IntegerField(source="total", help_text="How many it is about.")
    delivery = serializers.CharField(allow_null=True, help_text="dlv_…, if it is about one.")
    changes = serializers.ListField(child=serializers.CharField(), help_text="What is asked for, in short sentences.")
    patch = serializers.ListField(
        child=serializers.DictField(), allow_null=True, help_text="Of an edit: a JSON Patch of the payload."
    )
    result = serializers.CharField(
        allow_null=True, help_text="blk_… or fix_…: what an approved one for many deliveries became."
    )
    created_at = serializers.DateTimeField()
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decision_reason = serializers.CharField(allow_blank=True)


class RejectBodySerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=1_000)


#: The answer to a call that was proposed.
PROPOSED = {202: ApprovalSerializer}


def proposed(proposal: Proposal) -> Response:
    """202: it awaits approval."""
    return Response(approval_json(proposal), status=202)


def approval_json(row: Row) -> dict[str, Any]:
    return dict(ApprovalSerializer(approval_of(row)).data)


def _row(request: Request, approval_id: str) -> Row:
    found = find_row(principal_of(request).store_id, approval_id)
    if found is None:
        raise not_found("approval")
    return found


class ApprovalsView(APIView):
    @extend_schema(
        operation_id="list_approvals",
        parameters=[
            OpenApiParameter(
                "status",
                str,
                enum=Proposal.Status.values,
                description="`awaiting`, the default; of what was decided, only proposals are listed.",
            ),
            CURSOR,
            LIMIT,
        ],
        responses=answers(page_of(ApprovalSerializer, "Approval"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        status = query_text(request, "status") if "status" in request.query_params else Proposal.Status.AWAITING
        if status not in Proposal.Status.values:
            raise invalid(f"status must be one of {', '.join(Proposal.Status.values)}.", "status")
        return page_of_several(request, rows_of_store(principal_of(request).store_id, status), approval_json)


class ApprovalView(APIView):
    @extend_schema(operation_id="get_approval", responses=answers(ApprovalSerializer, more=(404,)))
    def get(self, request: Request, approval_id: str) -> Response:
        return Response(approval_json(_row(request, approval_id)))


class ApproveView(APIView):
    change_scope = RESOLVE
    is_proposable = True

    @extend_schema(operation_id="approve", request=None, responses=answers(ApprovalSerializer, more=(403, 404, 409)))
    def post(self, request: Request, approval_id: str) -> Response:
        """Always refused with 403: a person approves, in the desk."""
        row, actor = _row(request, approval_id), Actor.of_principal(principal_of(request))
        try:
            if isinstance(row, Proposal):
                approve_proposal(proposal=row, actor=actor)
            elif isinstance(row, BulkFix):
                approve_fix(fix=row, actor=actor)
            else:
                approve_revision(revision=row, actor=actor)
        except ResolutionError as error:
            raise APIError(403 if error.code == "not_allowed" else 409, error.message) from None
        return Response(approval_json(_row(request, approval_id)))


class RejectView(APIView):
    change_scope = RESOLVE
    is_proposable = True

    @extend_schema(
        operation_id="reject",
        request=RejectBodySerializer,
        responses=answers(ApprovalSerializer, more=(400, 403, 404, 409)),
    )
    def post(self, request: Request, approval_id: str) -> Response:
        """A token that may only propose takes back only its own."""
        row, principal = _row(request, approval_id), principal_of(request)
        if principal.only_proposes and row.token_id != principal.token_id:
            raise APIError(403, "A token that may only propose can take back only what it has proposed itself.")
        reason = text(body_of(request), "reason", default="", limit=1_000)
        try:
            _reject(row, Actor.of_principal(principal), reason)
        except ResolutionError as error:
            raise APIError(409, error.message) from None
        return Response(approval_json(_row(request, approval_id)))


def _reject(row: Row, actor: Actor, reason: str) -> None:
    if isinstance(row, Proposal):
        reject_proposal(proposal=row, actor=actor, reason=reason)
    elif isinstance(row, Revision):
        reject_revision(revision=row, actor=actor, reason=reason)
    else:
        reject_fix(fix=row, actor=actor, reason=reason)
