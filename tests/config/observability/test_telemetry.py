"""OpenTelemetry: from a push to its attempts, and figures, at a collector that speaks OTLP over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from config.observability import reporting
from config.observability.telemetry import Telemetry
from deliveries import hooks
from deliveries.models import Event
from integrations.foundation import tracing
from tests.api_client import ApiClient
from tests.collector import Collector, attributes_of
from tests.factories import IntegrationFactory, SubscriptionFactory
from tests.receiver import answer

pytestmark = pytest.mark.django_db

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CANARY = "CANARY-of-a-payload"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


@pytest.fixture
def telemetry(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{collector.address}")
    made = Telemetry()
    tracing.use(made)
    with hooks.attempted.connected(made.count_attempts):
        yield made
    tracing.use(None)
    made.close()


@pytest.fixture
def client(receiver: Any) -> ApiClient:
    made = ApiClient()
    integration = IntegrationFactory(store=made.store, slug="shop", url=receiver.url(), retry_policy=[60])
    SubscriptionFactory(integration=integration, topics=["order"])
    return made


def headers_of(receiver: Any) -> list[str]:
    return [dict(request.headers)["traceparent"] for request in receiver.requests]


def test_a_trace_leads_from_the_push_to_each_attempt(client, receiver, deliver, telemetry, collector):
    receiver.script(answer(500, CANARY.encode()), answer(200))
    incoming = f"00-{TRACE_ID}-{PARENT_ID}-01"
    client.call("POST", "events", {"topic": "order.lost", "data": {"note": CANARY}}, traceparent=incoming)
    deliver()
    deliver(later=timedelta(seconds=61))
    telemetry.flush()

    spans = list(collector.spans())
    assert [span.name for span in spans] == ["push", "deliver", "deliver"]
    assert {span.trace_id.hex() for span in spans} == {TRACE_ID}
    push, *attempts = spans
    assert push.parent_span_id.hex() == PARENT_ID
    assert [span.parent_span_id for span in attempts] == [push.span_id] * 2
    assert [[link.span_id for link in span.links] for span in attempts] == [[push.span_id]] * 2
    assert (push.kind, attempts[0].kind) == (2, 3), "server and client"
    assert attributes_of(push)["http.response.status_code"] == 202
    found = [attributes_of(span) for span in attempts]
    assert [each["http.response.status_code"] for each in found] == [500, 200]
    assert [each["hookdesk.integration"] for each in found] == ["shop", "shop"]
    assert len({each["hookdesk.delivery"] for each in found}) == 1
    assert [span.status.code for span in attempts] == [2, 0]
    assert headers_of(receiver) == [f"00-{TRACE_ID}-{span.span_id.hex()}-01" for span in attempts]
    assert Event.objects.get().traceparent == f"00-{TRACE_ID}-{push.span_id.hex()}-01"
    assert CANARY.encode() not in collector.everything
    assert client.token.text.encode() not in collector.everything


def test_a_push_without_a_trace_begins_one(client, receiver, deliver, telemetry, collector):
    client.post("events", {"topic": "order.lost", "data": {}})
    deliver()
    telemetry.flush()
    push, attempt = collector.spans()
    assert push.parent_span_id == b""
    (header,) = headers_of(receiver)
    assert header.startswith(f"00-{push.trace_id.hex()}-{attempt.span_id.hex()}-")
    assert int(header[-2:], 16) & 1, "sampled"


def test_a_sender_that_does_not_sample_is_not_sampled(client, receiver, deliver, telemetry, collector):
    client.call("POST", "events", {"topic": "order.lost", "data": {}}, traceparent=f"00-{TRACE_ID}-{PARENT_ID}-00")
    deliver()
    telemetry.flush()
    assert list(collector.spans()) == []
    (header,) = headers_of(receiver)
    assert header.startswith(f"00-{TRACE_ID}-") and header.endswith("-00")


def test_what_the_web_server_takes_itself_has_a_span_too(client, telemetry, collector):
    from deliveries.storage import backend
    from tests.deliveries.api.test_direct import accepted, know

    know(client)
    push = accepted(client, {"topic": "order.lost", "data": {}})
    assert backend().write_pushes([push.waiting]) == [None]
    push.end_span(202)
    telemetry.flush()
    span = list(collector.spans())[-1]
    assert (span.name, attributes_of(span)["hookdesk.store"]) == ("push", str(client.store.id))
    assert Event.objects.get().traceparent == push.span.traceparent


def test_figures_are_exported(client, receiver, deliver, telemetry, collector):
    receiver.script(answer(500), answer(200))
    client.post("events", {"topic": "order.lost", "data": {}})
    client.post("events", {"topic": 7})
    deliver()
    deliver(later=timedelta(seconds=61))
    telemetry.flush()
    found = {metric.name: metric for metric in collector.metrics()}
    attempts = {attributes_of(point)["outcome"]: point.as_int for point in found["hookdesk.attempts"].sum.data_points}
    assert attempts == {"retrying": 1, "succeeded": 1}
    pushes = {attributes_of(point)["status"]: point.as_int for point in found["hookdesk.pushes"].sum.data_points}
    assert pushes == {"202": 1, "400": 1}
    (receiver_point,) = found["hookdesk.receiver"].histogram.data_points
    assert (receiver_point.count, attributes_of(receiver_point)["integration"]) == (2, "shop")
    (age,) = found["hookdesk.push_to_delivered"].histogram.data_points
    assert age.sum > 60


def test_beyond_so_many_integrations_the_rest_is_one(monkeypatch, telemetry):
    monkeypatch.setattr("django.conf.settings.METRICS_MAX_INTEGRATIONS", 2)
    found = [telemetry._labels("store", f"slug-{number}")["integration"] for number in (1, 2, 3, 1, 4)]
    assert found == ["slug-1", "slug-2", "other", "slug-1", "other"]


def test_a_collector_that_is_away_delays_nothing(client, receiver, deliver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    made = Telemetry()
    tracing.use(made)
    try:
        client.post("events", {"topic": "order.lost", "data": {}})
        assert deliver() == 1
    finally:
        tracing.use(None)
        made.close()
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("variables", "is_wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_it_is_on_as_soon_as_there_is_an_endpoint(monkeypatch, variables, is_wanted):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert reporting.is_tracing_wanted() is is_wanted
