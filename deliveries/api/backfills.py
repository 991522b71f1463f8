"""`/api/v1/backfills`: the deliveries that a subscription has missed (docs/contract.md#past-events)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.approvals import PROPOSED, proposed
from deliveries.api.past_events import subscription_named
from deliveries.api.views import as_api_error
from deliveries.models import Replay
from deliveries.proposals import propose_backfill
from deliveries.replay import STOP_ABOVE, ReplayError, cancel_replay, outcome_of, pause_replay, resume_replay
from deliveries.replay.backfill import BackfillPreview, Wanted, preview_backfill, start_backfill
from deliveries.replay.service import MOST_PER_SECOND
from deliveries.resolution import ResolutionError
from integrations.api.authentication import principal_of, wants_proposal
from integrations.api.bodies import body_of, boolean, moment, text
from integrations.api.errors import APIError, invalid, missing, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id, public_id
from integrations.models import AccessToken

_STEPS = {"pause": pause_replay, "resume": resume_replay, "cancel": cancel_replay}


class BackfillPreviewBodySerializer(serializers.Serializer[Any]):
    subscription = serializers.CharField(help_text="nsub_…")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(required=False, help_text="Now, if it is absent.")
    topic = serializers.CharField(required=False, help_text="A topic, an intent, or shipment.*")
    contains = serializers.CharField(required=False, help_text="An object's id, or a text in the data.")
    again = serializers.BooleanField(required=False, help_text="Also what the subscription got before.")


class BackfillBodySerializer(BackfillPreviewBodySerializer):
    per_second = serializers.IntegerField(required=False, min_value=1, max_value=MOST_PER_SECOND, default=200)
    canary = serializers.BooleanField(required=False, default=True)
    stop_above = serializers.IntegerField(required=False, min_value=0, max_value=99, default=STOP_ABOVE)
    reason = serializers.CharField(required=False)
    propose = serializers.BooleanField(required=False, default=False, help_text="A person is to approve it first.")


class SampleSerializer(serializers.Serializer[Any]):
    event = serializers.CharField()
    topic = serializers.CharField(allow_null=True)
    object = serializers.CharField(allow_null=True)
    why = serializers.CharField()


class BackfillPreviewSerializer(serializers.Serializer[Any]):
    events = serializers.IntegerField(help_text="In the period.")
    looked_at = serializers.IntegerField(help_text="The first of them; the counts are about these.")
    missing = serializers.IntegerField(help_text="Deliveries that would be made.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="By reason.")
    sample = SampleSerializer(many=True)


class BackfillSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    status = serializers.ChoiceField(Replay.Status.values)
    subscription = serializers.CharField()
    since = serializers.CharField()
    until = serializers.CharField()
    topic = serializers.CharField(allow_null=True)
    contains = serializers.CharField(allow_null=True)
    again = serializers.BooleanField()
    events = serializers.IntegerField()
    looked_at = serializers.IntegerField()
    made = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    stopped_because = serializers.CharField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


def backfill_json(replay: Replay) -> dict[str, Any]:
    outcome, filters = outcome_of(replay), replay.filters
    shown = {
        "id": public_id("bf", replay.pk),
        "status": replay.status,
        "subscription": filters["subscription"],
        "since": filters["since"],
        "until": filters["until"],
        "topic": filters.get("topic"),
        "contains": filters.get("q"),
        "again": "again" in filters,
        "events": replay.total,
        "looked_at": replay.done,
        "made": replay.made,
        "succeeded": outcome.succeeded,
        "failed": outcome.failed_again,
        "stopped_because": replay.stopped_because or None,
        "created_by": replay.created_by_name,
        "created_at": replay.created_at,
        "finished_at": replay.finished_at,
    }
    return dict(BackfillSerializer(shown).data)


def _wanted(body: dict[str, Any]) -> Wanted:
    since: datetime | None = moment(body, "since")
    if since is None:
        raise missing("since")
    return Wanted(
        since=since,
        until=moment(body, "until") or timezone.now(),
        topic=text(body, "topic", default="", limit=255).replace("\0", "").strip(),
        q=text(body, "contains", default="", limit=1_000).replace("\0", "").strip(),
        is_again=boolean(body, "again", default=False),
    )


def _number(body: dict[str, Any], field: str, default: int) -> int:
    value = body.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 10**6:
        raise invalid(f"{field} must be a whole number.", field)
    return value


def _backfill(request: Request, backfill_id: str) -> Replay:
    wanted: uuid.UUID | None = parse_public_id("bf", backfill_id)
    found = wanted and _mine(request).filter(pk=wanted).first()
    if not found:
        raise not_found("backfill")
    return found


def _mine(request: Request) -> QuerySet[Replay]:
    return Replay.objects.filter(store_id=principal_of(request).store_id, action=Replay.Action.BACKFILL)


class BackfillsView(APIView):
    change_scope = AccessToken.Scope.RESOLVE
    is_proposable = True

    @extend_schema(
        operation_id="list_backfills",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(BackfillSerializer, "Backfill"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        return page(request, _mine(request), backfill_json, by=("created_at", "id"))

    @extend_schema(
        operation_id="start_backfill",
        request=BackfillBodySerializer,
        responses=answers(BackfillSerializer, more=(400, 409)) | PROPOSED,
    )
    def post(self, request: Request) -> Response:
        """202 and an approval, if it was proposed."""
        body = body_of(request)
        arguments: dict[str, Any] = {
            "subscription": subscription_named(request, text(body, "subscription")),
            "wanted": _wanted(body),
            "actor": Actor.of_principal(principal_of(request)),
            "per_second": _number(body, "per_second", 200),
            "canary": boolean(body, "canary", default=True),
            "stop_above": _number(body, "stop_above", STOP_ABOVE),
            "reason": text(body, "reason", default=""),
        }
        try:
            if wants_proposal(request, body):
                return proposed(propose_backfill(**arguments))
            return Response(backfill_json(start_backfill(**arguments)))
        except ReplayError as error:
            raise APIError(409, str(error)) from None
        except ResolutionError as error:
            raise as_api_error(error) from None


class BackfillPreviewView(APIView):
    change_scope = AccessToken.Scope.READ

    @extend_schema(
        operation_id="preview_backfill",
        request=BackfillPreviewBodySerializer,
        responses=answers(BackfillPreviewSerializer, more=(400, 409)),
    )
    def post(self, request: Request) -> Response:
        body = body_of(request)
        subscription = subscription_named(request, text(body, "subscription"))
        try:
            return Response(_preview_json(preview_backfill(subscription=subscription, wanted=_wanted(body))))
        except ReplayError as error:
            raise APIError(409, str(error)) from None


def _preview_json(found: BackfillPreview) -> dict[str, Any]:
    sample = [
        {
            "event": choice.event.public_id,
            "topic": choice.event.topic,
            "object": choice.event.object_id or None,
            "why": choice.text,
        }
        for choice in found.sample
    ]
    return {
        "events": found.total,
        "looked_at": found.looked_at,
        "missing": found.missing,
        "counts": found.counts,
        "sample": sample,
    }


class BackfillView(APIView):
    @extend_schema(operation_id="get_backfill", responses=answers(BackfillSerializer, more=(404,)))
    def get(self, request: Request, backfill_id: str) -> Response:
        return Response(backfill_json(_backfill(request, backfill_id)))


class BackfillStepView(APIView):
    """Pause, resume and cancel: `step` is given by the address."""

    change_scope = AccessToken.Scope.RESOLVE
    step = ""

    def post(self, request: Request, backfill_id: str) -> Response:
        replay = _backfill(request, backfill_id)
        try:
            changed = _STEPS[self.step](replay=replay, actor=Actor.of_principal(principal_of(request)))
        except ReplayError as error:
            raise APIError(409, str(error)) from None
        return Response(backfill_json(changed))


_STEP_ANSWERS = answers(BackfillSerializer, more=(404, 409))


class PauseView(BackfillStepView):
    step = "pause"

    @extend_schema(operation_id="pause_backfill", request=None, responses=_STEP_ANSWERS)
    def post(self, request: Request, backfill_id: str) -> Response:
        return super().post(request, backfill_id)


class ResumeView(BackfillStepView):
    step = "resume"

    @extend_schema(operation_id="resume_backfill", request=None, responses=_STEP_ANSWERS)
    def post(self, request: Request, backfill_id: str) -> Response:
        return super().post(request, backfill_id)


class CancelView(BackfillStepView):
    step = "cancel"

    @extend_schema(operation_id="cancel_backfill", request=None, responses=_STEP_ANSWERS)
    def post(self, request: Request, backfill_id: str) -> Response:
        return super().post(request, backfill_id)
