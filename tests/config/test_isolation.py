"""A store never sees or changes what is another's (promise 21), and malformed input never answers 500 (promise 20).

Both walk over every route of the API, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from config.urls import api_v1
from deliveries.models import (
    Attempt,
    BulkFix,
    CaseComment,
    CaseRule,
    Delivery,
    Erasure,
    Event,
    FailureGroup,
    Proposal,
    Recipe,
    Record,
    Replay,
    Simulation,
)
from deliveries.simulation.targets import SubscriptionTarget
from integrations.models import AccessToken, AuditEntry, Integration, Retention, Source, SourceAddress, SourceSecret
from notifications.models import Channel, Notification
from subscriptions.models import Subscription, SubscriptionVersion, Topic
from tests.api_client import ApiClient
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    FailureGroupFactory,
    IntegrationFactory,
    NotificationFactory,
    RecordFactory,
    SourceFactory,
    SubscriptionFactory,
    TopicFactory,
)

pytestmark = pytest.mark.django_db
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: Of the hostile bodies, those that are also sent to methods that a route does not have. It reads no body for them.
ALSO_WHERE_REFUSED = {"deep", "bad utf-8", "object"}
MODELS = (
    AccessToken, Integration, Source, SourceAddress, SourceSecret, Subscription, Topic, Delivery, Attempt, Event, Record,
    Notification, FailureGroup, CaseComment, CaseRule, BulkFix, Proposal, Recipe, Replay,
    Simulation, SubscriptionVersion,
    Notification, FailureGroup, CaseComment, CaseRule, BulkFix, Recipe, Replay, Erasure, Retention,
)  # fmt: skip

HOSTILE_BODIES = {
    "array": b"[]",
    "null": b"null",
    "text": b'"x"',
    "number": b"1e400",
    "nan": b'{"name": NaN}',
    "infinity": b'{"timeout": -Infinity}',
    "nul": b'{"name": "a\\u0000b"}',
    "surrogate": b'{"name": "\\ud800"}',
    "bad utf-8": b'{"name": "\xff"}',
    "deep": b'{"parameters":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "cut off": b'{"name": "x',
    "long integer": b'{"timeout": ' + b"9" * 5_000 + b"}",
    "large integer": b'{"timeout": ' + b"9" * 400 + b"}",
    "wrong types": b'{"name":[],"url":{},"topics":{"a":1},"scopes":{},"action":[],"payload":5,"schema":[],"chat":5,'
    b'"parameters":"x","headers":[[]],"metadata":"x","retry_policy":{},"expires_at":{},"messages":{},"reason":[]}',
    "nulls": b'{"name":null,"url":null,"topics":null,"action":null,"payload":null,"schema":null,"scopes":null}',
    "empty": b"",
    "object": b"{}",
    "duplicate keys": b'{"name":"a","name":5}',
    "unicode": '{"name":"\u202e\ufeff💥","url":"http://\u2460\u2461/","topics":["\u0130.x"]}'.encode(),
}


def api_routes() -> Iterator[str]:
    """Every route below /api/v1/, with `{name}` for its parameters."""
    for pattern in api_v1:
        for entry in pattern.url_patterns if isinstance(pattern, URLResolver) else [pattern]:
            assert isinstance(entry, URLPattern)
            yield re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(entry.pattern))


ROUTES = sorted(set(api_routes()))


def populate(store: Any) -> dict[str, str]:
    """One of everything in this store; the values of the routes' parameters."""
    integration = IntegrationFactory(store=store, slug="theirs", url="http://127.0.0.1:1/", wire_format="turn")
    subscription = SubscriptionFactory(integration=integration)
    group = FailureGroupFactory(integration=integration)
    delivery = DeliveryFactory(subscription=subscription, status="failed", attempt_count=1, failure_group=group)
    now = timezone.now()
    fix = BulkFix.objects.create(store=store, status="sent", place="/status", author_name="anna", created_at=now)
    recipe = Recipe.objects.create(
        store=store, name="theirs", integration=integration, kind=group.kind, fingerprint=group.fingerprint,
        topic="theirs.only", place="/status", rules=[{"rule": "trim"}], owner_name="anna", daily_cap=10,
        expires_at=now + timedelta(days=1), created_at=now,
    )  # fmt: skip
    AttemptFactory(delivery=delivery)
    SourceFactory(store=store, slug="theirs")
    backfill = Replay.objects.create(
        store=store,
        action="backfill",
        filters={"subscription": str(subscription.id), "since": now.isoformat(), "until": now.isoformat()},
        created_by_name="anna",  # as `replay.backfill` makes them
    )
    version = SubscriptionVersion.objects.create(
        subscription=subscription, number=1, since=now, integration=integration, topics=["shipment.*"]
    )
    simulation = Simulation.objects.create(
        store=store, kind="subscription", target_id=str(subscription.id), limit=1, steps_left=1, created_at=now,
        base=SubscriptionTarget(subscription).base, proposed={"filter": "id"},
    )  # fmt: skip
    proposal = Proposal.objects.create(
        store=store, action="retry", values={"status": "failed", "revision": 0}, delivery_id=delivery.pk,
        author_name="token theirs", created_at=now,
    )  # fmt: skip
    erasure = Erasure.objects.create(
        store=store, status="ready", value="anna@example.com", author_name="anna", created_at=now
    )
    channel = Channel.objects.create(name="theirs", kind="email", recipients=["ops@example.com"], level="error")
    channel.stores.add(store)
    return {
        "slug": integration.slug,
        "subscription_id": f"nsub_{subscription.id}",
        "delivery_id": delivery.public_id,
        "event_id": delivery.event.public_id,
        "notification_id": NotificationFactory(store=store).public_id,
        "token_id": str(AccessToken.objects.filter(store=store).first().id),
        "name": TopicFactory(store=store, name="theirs.only").name,
        "code": "x",
        "case_id": group.public_id,
        "other_case": FailureGroupFactory(integration=integration).public_id,
        "fix_id": fix.public_id,
        "recipe_id": recipe.public_id,
        "backfill_id": f"bf_{backfill.id.hex}",
        "channel_id": str(channel.id),
        "number": str(version.number),
        "simulation_id": simulation.public_id,
        "record_type": RecordFactory(store=store, type="theirs", external_id="7").type,
        "record_id": "7",
        "bulk_id": f"blk_{backfill.id.hex}",
        "approval_id": proposal.public_id,
        "erasure_id": erasure.public_id,
    }


def has_method(path: str, method: str) -> bool:
    """What a function answers to is its own affair: it is asked."""
    view = getattr(get_resolver().resolve(f"/api/v1/{path}".rstrip("/")).func, "view_class", None)
    return view is None or hasattr(view, method.lower())


def snapshot() -> dict[str, list[Any]]:
    # When a token was last used is noted on each call.
    return {
        model.__name__: sorted(
            (
                tuple((name, str(value)) for name, value in row.items() if name not in ("last_used_at",))
                for row in model.objects.values()
            ),
            key=str,
        )
        for model in MODELS
    }


def test_the_walk_knows_all_routes() -> None:
    assert len(ROUTES) > 50
    assert get_resolver().resolve("/api/v1/deliveries")


def test_another_stores_ids_are_not_found_on_any_route_and_nothing_changes() -> None:
    theirs, mine = ApiClient(), ApiClient()
    values = populate(theirs.store)
    body = {"name": "x", "action": "discard", "url": "https://mine.example.com", "topics": ["all"], "payload": {}}
    before = snapshot()
    walked = 0

    for route in ROUTES:
        if "{" not in route:
            continue
        for method in METHODS:
            response = mine.call(method, route.format(**values), None if method == "GET" else body)
            expected = 404 if has_method(route.format(**values), method) else 405
            assert response.status_code == expected, f"{method} {route}: {response.status_code}"
            assert response.json()["type"] == "error.list"
            walked += response.status_code == 404

    assert walked > 50
    assert snapshot() == before
    assert not AuditEntry.objects.exists()


def test_lists_hold_only_what_is_mine() -> None:
    theirs, mine = ApiClient(), ApiClient()
    populate(theirs.store)

    for route in (
        "integrations", "sources", "tokens", "subscriptions", "topics", "deliveries", "notifications", "recipes",
        "cases?view=all", "approvals", "bulk", "backfills", "records",
    ):  # fmt: skip
        items = mine.get(route).json()["items"]
        assert [item["name"] for item in items] == ([mine.token.name] if route == "tokens" else [])


def test_an_integration_of_another_store_cannot_be_subscribed_nor_filtered_by() -> None:
    theirs, mine = ApiClient(), ApiClient()
    values = populate(theirs.store)

    assert mine.post("subscriptions", {"integration": values["slug"], "topics": ["all"]}).status_code == 400
    assert mine.get(f"deliveries?subscription={values['subscription_id']}").json()["items"] == []
    assert mine.get(f"deliveries?q={values['delivery_id']}").json()["items"] == []


def test_nothing_is_open_without_credentials_but_the_schema_and_its_page() -> None:
    values = populate(ApiClient().store)

    for route in ROUTES:
        for method in METHODS:
            response = Client().generic(method, "/api/v1/" + route.format(**values), b"{}")
            is_public = route.rstrip("/") in ("schema", "docs")
            wanted = 401 if not is_public else 200 if method == "GET" else 405
            assert response.status_code == wanted, f"{method} {route}: {response.status_code}"


def test_a_push_token_manages_nothing_and_a_manage_token_pushes_nothing() -> None:
    pusher = ApiClient(scopes=("push",))
    manager = ApiClient(pusher.store, scopes=("manage",))
    values = populate(pusher.store)

    for route in ROUTES:
        if route.rstrip("/") in ("schema", "docs", "tokens/current"):
            continue
        is_ingest = route.rstrip("/") in ("push", "events")
        refused = manager if is_ingest else pusher
        response = refused.post(route.format(**values), {})
        assert response.status_code == 403, route
        assert response.json()["errors"][0]["code"] == "forbidden"


@pytest.mark.parametrize("kind", HOSTILE_BODIES)
def test_no_body_breaks_any_route(kind: str) -> None:
    client = ApiClient()
    values = populate(client.store)

    for method in ("POST", "PUT", "PATCH"):
        for route in (route for route in ROUTES if not route.endswith("/")):
            if kind not in ALSO_WHERE_REFUSED and not has_method(route.format(**values), method):
                continue
            response = client.call(method, route.format(**values), HOSTILE_BODIES[kind])
            assert response.status_code < 500 or response.status_code == 502, f"{method} {route}"
            if response.status_code >= 400 and response.status_code != 401:
                assert response.json()["type"] == "error.list"
