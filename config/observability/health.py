"""Liveness and readiness checks for load balancers and on-call staff (docs/contract.md#health-and-metrics)."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from deliveries.runtime.broker_outage import OutageLog
from deliveries.stats.queries import EngineHealth, engine_health

logger = logging.getLogger("hookdesk.health")
_queue_outage = OutageLog(logger, "readyz: the task queue")


@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Liveness: the process answers; nothing else is checked."""
    return JsonResponse({"status": "ok"})


@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Readiness: 503 if database or queue cannot be reached, or if deliveries are due and no engine is alive.

    No engine but nothing due is `degraded` with 200: pushes are accepted and stored, and taking a web server
    out of service would only make things worse.
    """
    now = timezone.now()
    checks: dict[str, Any] = {"database": "ok", "queue": "ok"}
    beat: EngineHealth | None = None
    try:
        beat = engine_health(now)
    except DatabaseError as error:
        logger.warning("readyz: the database does not answer: %s", error)
        checks["database"] = "unreachable"
    if not _is_queue_reachable():
        checks["queue"] = "unreachable"
    status = _status(checks, beat)
    body = {"status": status, **checks, **_work(beat, now)}
    return JsonResponse(body, status=503 if status == "unavailable" else 200)


def _status(checks: dict[str, Any], beat: EngineHealth | None) -> str:
    if beat is None or "unreachable" in checks.values():
        return "unavailable"
    if not beat.is_alive:
        return "unavailable" if beat.is_late else "degraded"
    return "ok"


def _work(beat: EngineHealth | None, now: datetime) -> dict[str, Any]:
    if beat is None:
        return {"engines": None, "last_beat_seconds": None, "oldest_due_seconds": None}
    age = round((now - beat.beat_at).total_seconds(), 3) if beat.beat_at else None
    return {
        "engines": "alive" if beat.is_alive else "stale" if beat.beat_at else "none",
        "last_beat_seconds": age,
        "oldest_due_seconds": 0 if beat.oldest_due is None else round(beat.oldest_due, 3),
    }


def _is_queue_reachable() -> bool:
    """Return whether Redis answers; the ORM broker's queue is in the database, which was checked already."""
    from django_q.brokers import get_broker

    try:
        broker = get_broker()
        # django-q2's own ping of Redis logs every failure, and health checks run every few seconds.
        is_reachable = bool(broker.connection.ping() if settings.REDIS_URL else broker.ping())
    except Exception as error:  # each broker has errors of its own
        _queue_outage.note(error)
        return False
    _queue_outage.note_end()
    return is_reachable
