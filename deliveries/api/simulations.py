"""`POST …/simulate`: what a change would do to past events, before it is made (docs/contract.md#time-machine)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.simulation_bodies import (
    SimulateIntegrationBodySerializer,
    SimulateSubscriptionBodySerializer,
    SimulateTopicBodySerializer,
    SimulationSerializer,
    answer_of,
    report_of,
)
from deliveries.models import Simulation
from deliveries.simulation.choosing import DEFAULT, ChoiceError, EventChoice
from deliveries.simulation.service import SimulationError, simulate_now, start_simulation
from deliveries.simulation.targets import IntegrationTarget, SubscriptionTarget, Target, TopicTarget
from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of, boolean, mapping, moment, text, texts
from integrations.api.errors import APIError, invalid, not_found
from integrations.api.openapi import answers
from integrations.api.views import actor_of, integration_of
from integrations.api.views import values_of as integration_values
from integrations.foundation.identifiers import parse_public_id
from integrations.models import AccessToken
from subscriptions.api.topics import topic_of
from subscriptions.api.topics import values_of as topic_values
from subscriptions.api.views import api_names, subscription_of
from subscriptions.api.views import values_of as subscription_values

#: Seconds of the processor that an answer may take; in the background, a simulation goes through all of its events.
SECONDS: Final = 3.0


class SimulateView(APIView):
    """Answers at once, or, with `background`, with the id under which the answer grows."""

    change_scope = AccessToken.Scope.READ  # nothing is saved or sent

    def simulated(self, request: Request, target: Target, values: Mapping[str, Any]) -> Response:
        body = body_of(request)
        is_in_background = boolean(body, "background", default=False)
        try:
            choice = _choice(body)
            if is_in_background:
                simulation = start_simulation(target=target, values=values, choice=choice, actor=actor_of(request))
                return Response(report_of(simulation))
            target.look_up(values)
            progress, found = simulate_now(target=target, values=values, choice=choice, seconds=SECONDS)
        except ChoiceError as error:
            raise invalid(str(error), error.field) from None
        except SimulationError as error:
            raise APIError(409, str(error)) from None
        return Response(answer_of(target, values, progress, found))


class SimulateSubscriptionView(SimulateView):
    @extend_schema(
        operation_id="simulate_subscription",
        request=SimulateSubscriptionBodySerializer,
        responses=answers(SimulationSerializer, more=(400, 404, 409)),
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        subscription = subscription_of(request, subscription_id)
        values = subscription_values(request)
        for name in ("url", "hub_secret"):
            if values.pop(name, None) is not None:
                raise invalid(f"{name} belongs to the integration: simulate that.", name)
        if values.get("integration") is not None:
            values["integration"] = values["integration"].pk
        with api_names():
            return self.simulated(request, SubscriptionTarget(subscription), values)


class SimulateIntegrationView(SimulateView):
    @extend_schema(
        operation_id="simulate_integration",
        request=SimulateIntegrationBodySerializer,
        responses=answers(SimulationSerializer, more=(400, 404, 409)),
    )
    def post(self, request: Request, slug: str) -> Response:
        return self.simulated(request, IntegrationTarget(integration_of(request, slug)), integration_values(request))


class SimulateTopicView(SimulateView):
    @extend_schema(
        operation_id="simulate_topic",
        request=SimulateTopicBodySerializer,
        responses=answers(SimulationSerializer, more=(400, 404, 409)),
    )
    def post(self, request: Request, name: str) -> Response:
        return self.simulated(request, TopicTarget(topic_of(request, name)), topic_values(request))


class SimulationView(APIView):
    @extend_schema(operation_id="get_simulation", responses=answers(SimulationSerializer, more=(404,)))
    def get(self, request: Request, simulation_id: str) -> Response:
        return Response(report_of(simulation_of(request, simulation_id)))


def simulation_of(request: Request, simulation_id: str) -> Simulation:
    """Raises not_found, including for another store's."""
    wanted = parse_public_id("sim", simulation_id)
    rows = Simulation.objects.filter(store_id=principal_of(request).store_id).select_related("store")
    found = rows.filter(pk=wanted).first() if wanted is not None else None
    if found is None:
        raise not_found("simulation")
    return found


def _choice(body: dict[str, Any]) -> EventChoice:
    """Raises ChoiceError and parameter_invalid."""
    given = mapping(body, "events", default={"last": DEFAULT})
    if unknown := set(given) - {"last", "since", "until", "ids", "topic", "contains"}:
        raise ChoiceError("events", f"Unknown: {', '.join(sorted(map(str, unknown)))[:100]}.")
    last = given.get("last")
    if last is not None and (isinstance(last, bool) or not isinstance(last, int)):
        raise ChoiceError("events.last", "last must be a whole number.")
    ids = [_event_id(item) for item in texts(given, "ids", default=[])]
    return EventChoice(
        last=last,
        since=moment(given, "since"),
        until=moment(given, "until"),
        ids=tuple(dict.fromkeys(ids)),
        topic=text(given, "topic", default="", limit=255).replace("\0", "").strip(),
        q=text(given, "contains", default="", limit=1_000).replace("\0", "").strip(),
    )


def _event_id(written: str) -> uuid.UUID:
    found = parse_public_id("evt", written)
    if found is None:
        raise ChoiceError("events.ids", f"{written[:100]!r} is not the id of an event (evt_…).")
    return found
