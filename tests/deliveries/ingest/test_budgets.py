"""Schemas, conditions and filters of tenants at a push: bounded, refused in plain words, and nobody else's business."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from config.observability.doctor import examine
from deliveries.models import Delivery, Event, Record
from deliveries.resolution import schema_problems
from integrations.models import AccessToken
from subscriptions.budget import STEPS, Allowance
from subscriptions.models import Topic
from tests.factories import AccessTokenFactory, DeliveryFactory, IntegrationFactory, SubscriptionFactory, TopicFactory

pytestmark = pytest.mark.django_db

WIDE = {
    "properties": {"n": {"items": {"anyOf": [*({"minimum": 10**6 + n} for n in range(2_000)), {"type": "number"}]}}}
}
MUCH = list(range(2_000))
ZEROS = f"`[{','.join(['0'] * 4_500)}]`"
DEAR_FILTER = f"n[?contains({ZEROS}, `1`)]"


def send(token: AccessToken, url: str, body: Any) -> Any:
    return APIClient().generic(
        "POST", f"/api/v1/{url}", json.dumps(body), content_type="application/json", headers=token.headers
    )


def refused(response: Any, field: str | None, words: str) -> None:
    (error,) = response.json()["errors"]
    assert (response.status_code, error["code"], error.get("field")) == (400, "parameter_invalid", field), error
    assert words in error["message"]
    assert not Event.objects.exists()
    assert not Record.objects.exists()


def test_a_pattern_that_backtracks_elsewhere_answers_at_once(token: AccessToken) -> None:
    schema = {"properties": {"s": {"pattern": "^(a+)+$"}}}
    TopicFactory(store=token.store, name="order.created", schema=schema)
    text = "a" * 30_000
    refused(send(token, "push", {"orders": [{"id": 1, "s": text + "!"}]}), "s", "does not match")
    assert send(token, "push", {"orders": [{"id": 1, "s": text}]}).status_code == 202


def test_a_schema_that_is_too_costly_refuses_its_own_topic_and_no_other(token: AccessToken) -> None:
    TopicFactory(store=token.store, name="order.created", schema=WIDE)
    refused(send(token, "push", {"orders": [{"id": 1, "n": MUCH}]}), None, "takes too long")
    refused(
        send(token, "events", [{"topic": "a.b", "data": {}}, {"topic": "order.created", "data": {"n": MUCH}}]),
        "[1]",
        "takes too long",
    )
    assert send(token, "push", {"orders": [{"id": 1, "n": [1]}]}).status_code == 202
    assert send(token, "push", {"shipments": [{"id": 1, "n": MUCH}]}).status_code == 202
    assert send(AccessTokenFactory(), "push", {"orders": [{"id": 1, "n": MUCH}]}).status_code == 202


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"s": {"pattern": "(?=a)b"}}},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#"},
        {"type": "thing"},
        ["no schema"],
        "no schema",
        {"$schema": "http://json-schema.org/draft-04/schema#"},
    ],
)
def test_a_schema_saved_before_these_rules_refuses_its_topic_and_is_named(token: AccessToken, schema: Any) -> None:
    Topic.objects.create(store=token.store, name="order.created", schema=schema)
    refused(send(token, "push", {"orders": [{"id": 1}]}), None, "is invalid and must be corrected")
    assert send(token, "push", {"shipments": [{"id": 1}]}).status_code == 202

    delivery = DeliveryFactory(store=token.store, event__topic="order.created")
    assert "must be corrected" in schema_problems(delivery, {})[0].message
    found = [finding for finding in examine() if finding.check == "topic"]
    assert [token.store.name in finding.message and "order.created" in finding.message for finding in found] == [True]


def test_a_condition_that_is_too_costly_is_said_and_not_lost(token: AccessToken) -> None:
    condition = f"new.{DEAR_FILTER}"
    TopicFactory(store=token.store, name="order.paid", condition=condition)
    body = {"orders": [{"id": 0}, {"id": 1, "n": list(range(60_000))}]}
    refused(send(token, "push", body), "orders[1]", "takes too long")
    assert send(token, "push", {"orders": [{"id": 1, "n": [1, 2]}]}).status_code == 202


def test_a_condition_that_does_not_suit_the_data_is_no_error(token: AccessToken) -> None:
    TopicFactory(store=token.store, name="order.paid", condition="contains(old.tags, 'paid')")
    assert send(token, "push", {"orders": [{"id": 1}]}).status_code == 202
    assert [event.topic for event in Event.objects.all()] == ["order.created"]


def test_a_filter_that_is_too_costly_makes_a_delivery_that_fails_visibly(token: AccessToken) -> None:
    integration = IntegrationFactory(store=token.store)
    SubscriptionFactory(integration=integration, topics=["order"], filter=DEAR_FILTER)
    SubscriptionFactory(integration=integration, topics=["order"], filter="id == `7`")
    assert send(token, "push", {"orders": [{"id": 1, "n": list(range(60_000))}]}).status_code == 202
    assert Delivery.objects.count() == 1


def test_many_evaluations_that_are_each_allowed_are_bounded_together(token: AccessToken) -> None:
    integration = IntegrationFactory(store=token.store)
    for _ in range(Allowance.BASE // STEPS + 1):
        SubscriptionFactory(integration=integration, topics=["order"], filter=DEAR_FILTER)
    refused(send(token, "push", {"orders": [{"id": 1, "n": list(range(60_000))}]}), "orders[0]", "takes too long")


def test_what_is_sent_in_bulk_has_work_in_proportion(token: AccessToken) -> None:
    schema = {
        "required": ["id", "status", "items"],
        "properties": {
            "id": {"type": "integer"},
            "status": {"enum": ["open", "paid"]},
            "items": {"items": {"required": ["sku"], "properties": {"sku": {"pattern": "^[A-Z]{1,20}$"}}}},
        },
    }
    TopicFactory(store=token.store, name="order.created", schema=schema)
    orders = [{"id": n, "status": "open", "items": [{"sku": "AB"}] * 4} for n in range(3_000)]
    assert send(token, "push", {"orders": orders}).status_code == 202
    assert Event.objects.count() == 3_000
