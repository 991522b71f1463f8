"""`POST /api/v1/simulations/{id}/save`: a change that was tried is made (docs/contract.md#time-machine)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.bulk_bodies import BulkSerializer, bulk_json
from deliveries.api.bulk_requests import confirmed_of, pace_of
from deliveries.api.simulation_bodies import SimulationSerializer, report_of
from deliveries.api.simulations import simulation_of
from deliveries.api.views import as_api_error
from deliveries.models import Delivery, Replay, Simulation
from deliveries.replay import STOP_ABOVE, ReplayError
from deliveries.replay.service import MOST_PER_SECOND
from deliveries.resolution import ResolutionError
from deliveries.simulation.service import (
    SimulationError,
    differing,
    save_and_backfill,
    save_and_resend,
    save_simulation,
)
from integrations.api.authentication import lacks_scope, principal_of
from integrations.api.bodies import TEXT_LIMIT, body_of, boolean, text
from integrations.api.errors import APIError, invalid
from integrations.api.openapi import answers
from integrations.api.views import actor_of
from integrations.models import AccessToken
from subscriptions.api.views import api_names

NOTHING: Final = "nothing"
THEN: Final = (NOTHING, "resend", "backfill")
RESOLVE: Final = AccessToken.Scope.RESOLVE


class SaveSimulationBodySerializer(serializers.Serializer[Any]):
    then = serializers.ChoiceField(
        THEN,
        required=False,
        default=NOTHING,
        help_text="resend: the deliveries whose requests differ. backfill: what a subscription missed since the oldest "
        "compared event.",
    )
    rate = serializers.IntegerField(required=False, min_value=1, max_value=MOST_PER_SECOND, help_text="Per second.")
    canary = serializers.BooleanField(required=False, help_text="1 first, then 10, then the rest; as of bulk actions.")
    stop_above = serializers.FloatField(required=False, min_value=0, max_value=0.99, default=STOP_ABOVE / 100)
    include_succeeded = serializers.BooleanField(
        required=False, default=False, help_text="Resend also those that were delivered, however many they are."
    )
    confirmed = serializers.IntegerField(
        required=False, help_text="How many of those that differ were delivered: `resend.delivered`."
    )
    reason = serializers.CharField(required=False, max_length=TEXT_LIMIT, allow_blank=True)


class SavedSimulationSerializer(serializers.Serializer[Any]):
    simulation = SimulationSerializer()
    bulk = BulkSerializer(allow_null=True, help_text="What sends the deliveries; null if nothing was asked for.")


class SaveSimulationView(APIView):
    @extend_schema(
        operation_id="save_simulation",
        request=SaveSimulationBodySerializer,
        responses=answers(SavedSimulationSerializer, more=(400, 404, 409)),
    )
    def post(self, request: Request, simulation_id: str) -> Response:
        """All of it or nothing. A resend or backfill takes the scope `resolve` too."""
        simulation, body = simulation_of(request, simulation_id), body_of(request)
        then = text(body, "then", default=NOTHING)
        if then not in THEN:
            raise invalid(f"then must be one of {', '.join(THEN)}.", "then")
        if then != NOTHING and not principal_of(request).may(RESOLVE):
            raise lacks_scope(RESOLVE)
        names = api_names() if simulation.kind == Simulation.Kind.SUBSCRIPTION else nullcontext()
        try:
            with names:
                replay = _saved(request, simulation, then, body)
        except (SimulationError, ReplayError) as error:
            raise APIError(409, str(error)) from None
        except ResolutionError as error:
            raise as_api_error(error) from None
        shown = report_of(simulation_of(request, simulation_id))
        return Response({"simulation": shown, "bulk": None if replay is None else bulk_json(replay)})


def _saved(request: Request, simulation: Simulation, then: str, body: dict[str, Any]) -> Replay | None:
    actor = actor_of(request)
    course = pace_of(body) | {"reason": text(body, "reason", default="")}
    confirmed = confirmed_of(body)
    if then == NOTHING:
        save_simulation(simulation=simulation, actor=actor)
        return None
    if then == "backfill":
        # As of a backfill: with a canary, unless none is wanted.
        return save_and_backfill(
            simulation=simulation, actor=actor, **course | {"canary": course["canary"] is not False}
        )
    if boolean(body, "include_succeeded", default=False):
        confirmed = differing(simulation).filter(status=Delivery.Status.SUCCEEDED).count()
    return save_and_resend(simulation=simulation, actor=actor, confirmed=confirmed, **course)
