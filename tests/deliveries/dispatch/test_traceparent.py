"""A sender's trace is kept with its event and goes out with each of its deliveries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from deliveries.api import direct
from deliveries.models import Delivery, Event
from deliveries.storage import backend
from deliveries.storage.rows.pushes import RecordsExist
from integrations.foundation.trace_context import read_traceparent
from tests.api_client import ApiClient
from tests.deliveries.api.test_direct import know
from tests.deliveries.dispatch.handing_over import open_up, turn
from tests.deliveries.storage.pushes import a_push
from tests.factories import IntegrationFactory, SubscriptionFactory
from tests.receiver import answer

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (TRACE, TRACE),
        (f" {TRACE} ", TRACE),
        (f"01-{TRACE[3:]}-what-comes-later", TRACE),
        (f"{TRACE}-more", None),
        (f"ff-{TRACE[3:]}", None),
        (TRACE.upper(), None),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None),
        (f"{TRACE},{OTHER}", None),
        ("", None),
        (None, None),
    ],
)
def test_only_valid_headers_are_kept_in_the_form_of_version_00(header: str | None, kept: str | None) -> None:
    assert read_traceparent(header) == kept


@pytest.fixture
def client(receiver: Any, db: None) -> ApiClient:
    made = ApiClient()
    integration = IntegrationFactory(store=made.store, url=receiver.url(), retry_policy=[60])
    SubscriptionFactory(integration=integration, topics=["order"])
    return made


def sent(receiver: Any) -> list[str | None]:
    """The header of each request that the receiver got."""
    return [dict(request.headers).get("traceparent") for request in receiver.requests]


@pytest.mark.parametrize(
    ("path", "body"),
    [("events", {"topic": "order.lost", "data": {"id": "7"}}), ("push", {"orders": [{"id": "7"}]})],
)
def test_it_goes_out_with_the_first_attempt_its_retry_and_a_resend(client, receiver, deliver, path, body):
    receiver.script(answer(500), answer(500), answer(200))
    assert client.call("POST", path, body, traceparent=TRACE).status_code == 202
    assert Event.objects.get().traceparent == TRACE
    deliver()
    deliver(later=timedelta(seconds=61))
    delivery = Delivery.objects.get()
    response = client.post(f"deliveries/dlv_{delivery.id.hex}/resolve", {"action": "retry"})
    assert response.status_code == 200, response.content
    deliver(later=timedelta(seconds=62))
    assert sent(receiver) == [TRACE, TRACE, TRACE]


def test_without_one_none_is_made_up(client, receiver, deliver):
    for headers in ({}, {"traceparent": "nonsense"}):
        client.call("POST", "events", {"topic": "order.lost", "data": {}}, **headers)
    deliver()
    assert sent(receiver) == [None, None]


def test_an_integrations_own_header_stays(client, receiver, deliver):
    integration = client.store.integrations.get()
    integration.headers = {"Traceparent": OTHER}
    integration.save()
    client.call("POST", "events", {"topic": "order.lost", "data": {}}, traceparent=TRACE)
    deliver()
    (request,) = receiver.requests
    assert [value for name, value in request.headers if name.lower() == "traceparent"] == [OTHER]


class TestTheWebServersOwnWay:
    """Pushes that Django does not see."""

    def accepted(self, client: ApiClient, body: bytes, *, is_objects: bool, trace: str) -> Any:
        headers = client.token.headers | {"traceparent": trace}
        named = {name.lower().encode(): value.encode() for name, value in headers.items()}
        return direct.accept({k: v for k, v in named.items() if k in direct.READ}, body, is_objects=is_objects)

    def test_pushes_that_are_written_together_keep_each_its_own(self, client, receiver, deliver):
        know(client)
        bodies = [b'{"topic":"order.a","data":{}}', b'{"topic":"order.b","data":{}}', b'{"topic":"order.c","data":{}}']
        pushes = [
            self.accepted(client, body, is_objects=False, trace=trace)
            for body, trace in zip(bodies, (TRACE, OTHER, "none"), strict=True)
        ]
        assert backend().write_pushes([push.waiting for push in pushes]) == [None, None, None]
        kept = dict(Event.objects.values_list("topic", "traceparent"))
        assert kept == {"order.a": TRACE, "order.b": OTHER, "order.c": None}
        deliver()
        assert set(sent(receiver)) == {TRACE, OTHER, None}

    def test_it_outlives_a_second_plan(self, client):
        know(client)
        client.post("push", {"orders": [{"id": "7", "n": 0}]})
        push = self.accepted(client, b'{"orders":[{"id":"7","n":1}]}', is_objects=True, trace=TRACE)
        (verdict,) = backend().write_pushes([push.waiting])
        assert isinstance(verdict, RecordsExist)
        assert push.replan(verdict)
        assert backend().write_pushes([push.waiting]) == [None]
        assert Event.objects.get(topic="order.updated").traceparent == TRACE


@pytest.mark.usefixtures("host")
def test_it_is_handed_over_with_a_delivery_that_is_born_claimed(start_engine, web, subscription, receiver):
    engine = start_engine()
    open_up(engine, web, subscription)
    push = a_push(subscription)
    push.rows.trace(TRACE)
    born = web.claim(push)
    assert born is not None
    web.hand_over(push, born)
    turn(engine)
    assert sent(receiver)[-1] == TRACE
