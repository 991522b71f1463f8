"""Spiffy Stores: orders that are created and paid, as XML, for 25 days, to the tutorial's PHP in Python."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import timedelta
from pathlib import Path

import pytest

from deliveries.models import Delivery
from tests.receiver import answer, redirect
from tests.systems.stories import attempts, deliveries, integrate, made, push, service, subscribe

GOLDEN = Path(__file__).parent.parent / "golden"
ORDER = json.loads((GOLDEN / "spiffy_order.json").read_text())
ADDITIONAL_DATA = "7e7d30d6669234475f1baac97d33669234"
PAID = "old.financial_status != 'paid' && new.financial_status == 'paid'"


class Notified:
    """The sample web hook: 403 for another key, 200 for who does not accept marketing, else what the API says."""

    def __init__(self, key):
        self.key = key
        self.orders = []

    def __call__(self, request):
        if request.header("X-Spiffy-Stores-Id") != self.key:
            return 403, b""
        order = ET.fromstring(request.body)
        if order.findtext("buyer-accepts-marketing").lower() != "true":
            return 200, b""
        self.orders.append(order)
        return 200, b"Success"


@pytest.fixture
def hook(store, receiver):
    notified = Notified(str(store.store.id))
    receiver.script(service(notified))
    integrate(
        store,
        "hook",
        url=receiver.url("/your-web-hook-path"),
        wire_format="xml",
        additional_data=ADDITIONAL_DATA,
    )
    made(store.post("topics", {"name": "order.paid", "condition": PAID}), 201)
    subscribe(store, integration="hook", topics=["order.created", "order.paid"])
    return notified


def topics(store):
    return [d["event"]["topic"] for d in deliveries(store, "hook")]


def test_an_order_is_posted_when_it_is_created_and_when_it_is_paid(store, deliver, hook):
    push(store, orders=[ORDER | {"financial_status": "pending"}])
    assert topics(store) == ["order.created"]
    push(store, orders=[{"id": 0, "note": "Ring twice"}])
    assert topics(store) == ["order.created"], "order.updated was not asked for"
    push(store, orders=[{"id": 0, "financial_status": "paid"}])
    push(store, orders=[{"id": 0, "note": ""}])

    deliver()

    assert topics(store) == ["order.created", "order.paid"]
    assert {d["status"] for d in deliveries(store, "hook")} == {"succeeded"}
    push(store, orders=[{"id": 0, "financial_status": "refunded"}, {"id": 0, "financial_status": "paid"}])
    assert topics(store) == ["order.created", "order.paid", "order.paid"], "paid again is paid again"


def test_an_order_that_comes_in_paid_is_both(store, deliver, hook):
    push(store, orders=[ORDER])
    assert sorted(topics(store)) == ["order.created", "order.paid"]


def test_the_post_is_that_of_the_sample(store, receiver, deliver, hook):
    push(store, orders=[ORDER | {"financial_status": "pending"}])
    deliver()
    push(store, orders=[{"id": 0, "financial_status": "paid"}])
    deliver()

    request = receiver.requests[-1]
    assert (request.method, request.target) == ("POST", "/your-web-hook-path")
    assert request.header("Accept") == "*/*"
    assert request.header("Content-Type") == "application/xml"
    assert request.header("X-Spiffy-Stores-Id") == str(store.store.id)
    assert request.header("X-Spiffy-Stores-Data") == ADDITIONAL_DATA
    ours = [(e.tag, (e.text or "").strip()) for e in ET.fromstring(request.body).iter()]
    seeds = [(e.tag, (e.text or "").strip()) for e in ET.fromstring((GOLDEN / "spiffy_order.xml").read_text()).iter()]
    assert ours == seeds
    shown = json.dumps(attempts(store, deliveries(store, "hook")[-1]))
    assert ADDITIONAL_DATA not in shown, "shops keep API keys in it"


def test_the_sample_web_hook_takes_orders_of_who_accepts_marketing(store, deliver, hook):
    push(store, orders=[ORDER | {"buyer_accepts_marketing": True}])
    push(store, orders=[ORDER | {"id": 1}])
    deliver()

    assert [order.findtext("email") for order in hook.orders] == ["spiffy@mystore.spiffystores.com"] * 2
    assert {order.findtext("id") for order in hook.orders} == {"0"}
    assert hook.orders[0].find("line-items").get("type") == "array"
    assert [item.findtext("sku") for item in hook.orders[0].iter("line-item")] == ["ITEM001", "ITEM002"]


@pytest.mark.parametrize("status", [200, 204, 304, 399])
def test_200_to_399_is_success(store, receiver, deliver, hook, status):
    receiver.script(answer(status, b""))
    push(store, orders=[ORDER | {"financial_status": "pending"}])
    deliver()
    assert deliveries(store, "hook")[0]["status"] == "succeeded"


def test_a_redirect_is_success_and_is_not_followed(store, receiver, deliver, hook):
    receiver.script(redirect(receiver.url("/elsewhere")))
    push(store, orders=[ORDER | {"financial_status": "pending"}])
    deliver()
    assert deliveries(store, "hook")[0]["status"] == "succeeded"
    assert [request.target for request in receiver.requests] == ["/your-web-hook-path"]


def test_a_server_that_is_away_is_tried_25_times_again_over_25_days(store, receiver, deliver, hook):
    receiver.script(answer(500, b"{}", {"Content-Type": "application/json"}))
    push(store, orders=[ORDER | {"financial_status": "pending"}])
    deliver()
    elapsed = timedelta()
    for retry in range(1, 26):
        elapsed += timedelta(seconds=retry**4 + 5)
        assert deliver(later=elapsed - timedelta(seconds=2)) == 0
        assert deliver(later=elapsed) == 1, f"retry {retry}"

    delivery = Delivery.objects.get(topic="order.created")
    assert (delivery.status, delivery.attempt_count) == ("failed", 26)
    assert round(elapsed / timedelta(days=1), 2) == 24.93
