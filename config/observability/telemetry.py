"""OpenTelemetry (extra `otel`): spans of pushes, requests at sources and attempts, and metrics, by OTLP over HTTP.

What exports them is made in each process when it has its first span: threads do not survive a fork. It never holds
anybody up: what a collector does not take is dropped. The standard variables (`OTEL_…`) hold.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Final

from django.conf import settings
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Counter, Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenTelemetrySpan

from deliveries.hooks import AttemptReport
from integrations.foundation.tracing import Attribute, SpanName
from integrations.foundation.version import VERSION

#: Seconds.
_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
#: Milliseconds that a process which ends takes for what is left to be exported.
_LAST_EXPORT: Final = 3_000
#: Kinds of failures; a receiver's own words are none.
_KIND: Final = re.compile(r"[a-z0-9_]{1,50}")
_KINDS: Final = {"push": SpanKind.SERVER, "source": SpanKind.SERVER, "deliver": SpanKind.CLIENT}


@dataclass(frozen=True, slots=True)
class _Instruments:
    tracer: Tracer
    pushes: Counter
    attempts: Counter
    receiver: Histogram
    push_to_delivered: Histogram


class Telemetry:
    """A `tracing.Tracer`, and a listener of `deliveries.hooks.attempted`."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._made: _Instruments | None = None
        self._providers: tuple[TracerProvider, MeterProvider] | None = None
        self._integrations: set[tuple[str, str]] = set()
        self._at_end: Finalize | None = None

    def begin(self, name: SpanName, parent: str | None) -> _Span:
        context = _context_of(parent)
        span = self._instruments.tracer.start_span(
            name,
            None if context is None else set_span_in_context(NonRecordingSpan(context)),
            _KINDS[name],
            links=[Link(context)] if context is not None and name == "deliver" else (),
        )
        return _Span(span, parent, None if name == "deliver" else self._instruments.pushes)

    def count_attempts(self, reports: Sequence[AttemptReport]) -> None:
        made = self._instruments
        for report in reports:
            if report.is_test:
                continue
            labels = self._labels(str(report.store_id), report.integration)
            made.attempts.add(1, {**labels, "outcome": report.outcome})
            made.receiver.record(report.seconds, labels)
            if report.outcome == "succeeded" and not report.is_late:
                made.push_to_delivered.record(report.age, labels)

    def _labels(self, store: str, integration: str) -> dict[str, str]:
        key = (store, integration)
        if key not in self._integrations:
            if len(self._integrations) >= settings.METRICS_MAX_INTEGRATIONS:
                return {"store": "other", "integration": "other"}
            self._integrations.add(key)
        return {"store": store, "integration": integration}

    def flush(self) -> None:
        """Export what there is. Waits for the collector, for seconds at most."""
        if self._providers is not None:
            for provider in self._providers:
                provider.force_flush(_LAST_EXPORT)

    def close(self) -> None:
        """Export what there is, and stop the threads. The next span begins anew."""
        self.flush()
        providers, self._made, self._providers = self._providers, None, None
        for provider in providers or ():
            provider.shutdown()
        if self._at_end is not None:
            self._at_end.cancel()

    def _close_in_time(self) -> None:
        """A collector that does not answer must not keep a process from ending."""
        closing = threading.Thread(target=self.close, daemon=True)
        try:
            closing.start()
        except RuntimeError:  # the interpreter is ending, and starts no thread any more
            return
        closing.join(_LAST_EXPORT / 1000)

    @property
    def _instruments(self) -> _Instruments:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return self._made

    def _make(self) -> _Instruments:
        resource = Resource.create({SERVICE_VERSION: VERSION})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):  # no variable names it
            resource = resource.merge(Resource({SERVICE_NAME: "hookdesk"}))
        traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        if os.environ.get("OTEL_TRACES_EXPORTER") != "none":
            traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        is_measuring = os.environ.get("OTEL_METRICS_EXPORTER") != "none"
        readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if is_measuring else []
        metrics = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self._providers = (traces, metrics)
        # Not by `atexit`: processes of `multiprocessing`, as engines are, end without.
        self._at_end = Finalize(None, self._close_in_time, exitpriority=10)
        meter = metrics.get_meter("hookdesk", VERSION)
        return _Instruments(
            traces.get_tracer("hookdesk", VERSION),
            meter.create_counter("hookdesk.pushes", description="Pushes and requests at sources, by status."),
            meter.create_counter("hookdesk.attempts", description="Attempts that have ended."),
            meter.create_histogram(
                "hookdesk.receiver", "s", "How long receivers took.", explicit_bucket_boundaries_advisory=_BOUNDS
            ),
            meter.create_histogram(
                "hookdesk.push_to_delivered",
                "s",
                "From the making of a delivery to its success.",
                explicit_bucket_boundaries_advisory=_BOUNDS,
            ),
        )


class _Span:
    def __init__(self, span: OpenTelemetrySpan, parent: str | None, pushes: Counter | None) -> None:
        self._span = span
        self._pushes = pushes
        context = span.get_span_context()
        #: With OTEL_SDK_DISABLED there is no context.
        self.traceparent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
            if context.is_valid
            else parent
        )

    def end(self, status: int | None, error: str = "", **attributes: Attribute) -> None:
        span = self._span
        if span.is_recording():
            span.set_attributes(attributes)
            if status is not None:
                span.set_attribute("http.response.status_code", status)
            if error or (status is not None and status >= 500):
                span.set_attribute("error.type", error if _KIND.fullmatch(error) else str(status or "error"))
                span.set_status(Status(StatusCode.ERROR))
        span.end()
        if self._pushes is not None:
            store = {"store": attributes["hookdesk.store"]} if "hookdesk.store" in attributes else {}
            self._pushes.add(1, {"status": str(status), **store})


def _context_of(traceparent: str | None) -> SpanContext | None:
    """`traceparent`: valid."""
    if traceparent is None:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
