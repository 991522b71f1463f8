"""Prometheus metrics. Each process would count for itself, so all figures come from the database, where they are
counted already; no table is counted for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from hmac import compare_digest
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from config.observability.integration_metrics import IntegrationCounters, IntegrationGauges
from config.observability.row_counts import EXACT, attempt_count, delivery_counts, event_count
from deliveries.models import Delivery, Engine

#: Scrapes within this many seconds share the gauges. Not the counters: two web processes would answer in turn with
#: what each of them knew last, and a counter that falls looks like a restart.
KEPT_FOR = 15.0
_BEYOND = f"An estimate in tables of more than {EXACT:,} rows."

_lock = threading.Lock()
_kept: tuple[float, bytes] | None = None


@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Serve the metrics to clients with METRICS_TOKEN and to addresses in METRICS_ALLOW."""
    if not _is_allowed(request):
        return HttpResponse("Set METRICS_TOKEN or METRICS_ALLOW to read this.\n", "text/plain", 403)
    try:
        return HttpResponse(_exposition(), content_type=CONTENT_TYPE_LATEST)
    except DatabaseError:
        return HttpResponse("The database does not answer.\n", "text/plain", 503)


def _is_allowed(request: HttpRequest) -> bool:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
    if "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META:
        # The address is the proxy's, not the client's.
        return False
    try:
        address = ip_address(request.META.get("REMOTE_ADDR", ""))
        return any(address in ip_network(network) for network in settings.METRICS_ALLOW)
    except ValueError:
        return False


def _exposition() -> bytes:
    global _kept
    with _lock:
        if _kept is None or time.monotonic() - _kept[0] > KEPT_FOR:
            _kept = (time.monotonic(), _written(_Figures(), IntegrationGauges()))
        return _kept[1] + _written(IntegrationCounters())


def _written(*collectors: Collector) -> bytes:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)


class _Figures(Collector):
    """Of the installation. Gauges, not counters: pruned rows are no longer counted."""

    def collect(self) -> Iterator[Metric]:
        now = timezone.now()
        engines = Engine.objects.alive(now)
        by_status = GaugeMetricFamily(
            "hookdesk_deliveries", f"Deliveries kept, by status. {_BEYOND}", labels=["status"]
        )
        found = delivery_counts()
        for status in Delivery.Status.values:
            by_status.add_metric([status], found.get(status, 0))
        yield by_status
        yield _gauge("events_accepted", f"Events accepted and kept. {_BEYOND}", event_count())
        yield _gauge("attempts_kept", f"Attempts kept. {_BEYOND}", attempt_count())
        yield _gauge("in_flight", "Deliveries that are being sent.", found.get(Delivery.Status.SENDING, 0))
        yield _gauge("engines_alive", "Engines whose heartbeat is fresh.", engines.count())
        sent = engines.aggregate(sent=Sum("sent_count"))["sent"] or 0
        yield _gauge("engine_requests_sent", "Requests sent by the live engines since they started.", sent)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"hookdesk_{name}", documentation, value=value)
