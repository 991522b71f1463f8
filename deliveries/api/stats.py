"""`/api/v1/integrations/{id}/stats` and `…/objectives` (docs/contract.md#figures)."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.stats.budgets import Budget, budgets
from deliveries.stats.figures import Durations, Figures, Period, figures
from deliveries.stats.queries import WINDOWS
from integrations.api.bodies import body_of
from integrations.api.errors import APIError
from integrations.api.openapi import answers
from integrations.api.views import actor_of, integration_of
from integrations.models import Integration, Objectives
from integrations.services.objectives import (
    BACKLOG_LIMIT,
    FIELDS,
    MOST_DAYS,
    WAIT_LIMIT,
    WITHIN_CHOICES,
    objectives_of,
    set_objectives,
)

WINDOW = OpenApiParameter("window", enum=list(WINDOWS), default="24h", description="Ends now.")


class DurationsSerializer(serializers.Serializer[Any]):
    """Percentiles in milliseconds, off by a third at most; null of nothing."""

    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class CountedSerializer(serializers.Serializer[Any]):
    """What is counted of any time."""

    accepted = serializers.IntegerField(help_text="Deliveries made.")
    delivered = serializers.IntegerField(help_text="Deliveries that arrived.")
    retried = serializers.IntegerField(help_text="Attempts that failed and are followed by a retry.")
    failed = serializers.IntegerField(help_text="Deliveries that failed for good.")
    push_to_delivered = DurationsSerializer()
    receiver = DurationsSerializer(help_text="The receiver's own time, of each attempt.")


class PeriodSerializer(CountedSerializer):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class BudgetSerializer(serializers.Serializer[Any]):
    """The error budget of the integration's objective."""

    target = serializers.FloatField(help_text="Per cent.")
    within = serializers.IntegerField(help_text="Seconds from push to delivery.")
    days = serializers.IntegerField()
    total = serializers.IntegerField(help_text="Deliveries that ended, or are overdue.")
    bad = serializers.IntegerField(help_text="Of these: failed, late or overdue.")
    allowed = serializers.FloatField(help_text="How many may be.")
    kept = serializers.FloatField(allow_null=True, help_text="Share that arrived in time, 0 to 1; null of nothing.")
    spent = serializers.FloatField(help_text="Share of the budget; more than 1 where it was not enough.")
    left = serializers.FloatField(help_text="Share of the budget, 0 to 1.")
    burn_rate = serializers.FloatField(help_text="Of the last hour; at 1, the budget lasts just so long.")
    alert_since = serializers.DateTimeField(allow_null=True, help_text="Since when staff are told.")


class StatsSerializer(CountedSerializer):
    window = serializers.ChoiceField(list(WINDOWS))
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    failing_since = serializers.DateTimeField(allow_null=True, help_text="No success since then.")
    backlog = serializers.IntegerField(help_text="Deliveries that are not finished, counted up to `backlog_limit`.")
    backlog_limit = serializers.IntegerField()
    oldest_due_seconds = serializers.FloatField(help_text="How long the oldest due delivery waits; 0: none is due.")
    budget = BudgetSerializer(allow_null=True)
    history = PeriodSerializer(many=True)


class ObjectivesSerializer(serializers.Serializer[Any]):
    target = serializers.FloatField(
        required=False, allow_null=True, min_value=50, max_value=99.999, help_text="Per cent; null: no objective."
    )
    within = serializers.ChoiceField(list(WITHIN_CHOICES), required=False, help_text="Seconds from push to delivery.")
    days = serializers.IntegerField(required=False, min_value=1, max_value=MOST_DAYS)
    max_backlog = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=BACKLOG_LIMIT, help_text="Unfinished deliveries."
    )
    max_wait = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=WAIT_LIMIT, help_text="Seconds a due delivery waits."
    )


class StatsView(APIView):
    @extend_schema(
        operation_id="get_integration_stats", parameters=[WINDOW], responses=answers(StatsSerializer, more=(400, 404))
    )
    def get(self, request: Request, slug: str) -> Response:
        integration = integration_of(request, slug, has_credentials=False)
        window = request.query_params.get("window", "24h")
        if window not in WINDOWS:
            raise APIError(
                400, f"{window[:40]!r} is no window. There are {', '.join(WINDOWS)}.", code="parameter_invalid",
                field="window",
            )  # fmt: skip
        now = timezone.now()
        found = figures(integration=integration, window=window, now=now)
        objectives = objectives_of(integration)
        spent = budgets([objectives], now).get(integration.pk)
        return Response(StatsSerializer(stats_json(integration, found, objectives, spent)).data)


class ObjectivesView(APIView):
    @extend_schema(operation_id="get_objectives", responses=answers(ObjectivesSerializer, more=(404,)))
    def get(self, request: Request, slug: str) -> Response:
        return Response(_objectives_json(objectives_of(integration_of(request, slug, has_credentials=False))))

    @extend_schema(
        operation_id="set_objectives",
        request=ObjectivesSerializer(partial=True),
        responses=answers(ObjectivesSerializer, more=(400, 404)),
    )
    def patch(self, request: Request, slug: str) -> Response:
        integration = integration_of(request, slug, has_credentials=False)
        given = {name: value for name, value in body_of(request).items() if name in FIELDS}
        return Response(_objectives_json(set_objectives(integration=integration, actor=actor_of(request), **given)))


def _objectives_json(objectives: Objectives) -> dict[str, Any]:
    return dict(ObjectivesSerializer({name: getattr(objectives, name) for name in FIELDS}).data)


def stats_json(
    integration: Integration, found: Figures, objectives: Objectives, spent: Budget | None
) -> dict[str, Any]:
    health = getattr(integration, "health", None)
    return {
        "window": found.window,
        "since": found.since,
        "until": found.now,
        "accepted": found.series.accepted,
        "delivered": found.series.succeeded,
        "retried": found.retried,
        "failed": found.series.failed,
        "push_to_delivered": _durations(found.push_to_delivered),
        "receiver": _durations(found.receiver),
        "failing_since": health.first_failure_at if health is not None else None,
        "backlog": found.waiting.number,
        "backlog_limit": found.waiting.limit,
        "oldest_due_seconds": round(found.oldest_due, 1),
        "budget": _budget_json(objectives, spent) if spent is not None else None,
        "history": [_period_json(period) for period in found.periods],
    }


def _durations(found: Durations) -> dict[str, float | None]:
    values = {"p50": found.p50, "p95": found.p95, "p99": found.p99}
    return {name: None if value is None else round(value, 1) for name, value in values.items()}


def _period_json(period: Period) -> dict[str, Any]:
    plain = {name: getattr(period, name) for name in ("start", "end", "accepted", "delivered", "retried", "failed")}
    return plain | {
        "push_to_delivered": _durations(period.push_to_delivered),
        "receiver": _durations(period.receiver),
    }


def _budget_json(objectives: Objectives, spent: Budget) -> dict[str, Any]:
    return {
        "target": objectives.target,
        "within": objectives.within,
        "days": objectives.days,
        "total": spent.total,
        "bad": spent.bad,
        "allowed": round(spent.allowed, 3),
        "kept": None if spent.kept is None else round(spent.kept, 6),
        "spent": round(spent.spent, 4),
        "left": round(spent.left, 4),
        "burn_rate": round(spent.burn_rate, 2),
        "alert_since": objectives.budget_alert_at,
    }
