"""Requests made from the API's own schema: none breaks the server, every answer is as the schema says (promise 20).

Each operation is called with ids of things that are there, so that what stands behind an id is reached: once with a
good request that must succeed, and with many that are made up from the schema, good and bad.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import override_settings
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.wsgi import application
from deliveries.models import Replay
from integrations.models import Integration, TurnContext
from tests.api_client import ApiClient
from tests.config.test_isolation import populate
from tests.factories import AccessTokenFactory, SecretFactory
from tests.receiver import Receiver, answer

pytestmark = pytest.mark.django_db
#: For each of about forty operations; the hostile bodies of `test_isolation` are exhaustive in their way.
EXAMPLES = {GenerationMode.POSITIVE: 3, GenerationMode.NEGATIVE: 2}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
TURN = {"version": "1", "capabilities": {}, "context_objects": {}, "actions": {"x": {"url": "/a"}}}

SAME_FIX = {"field": "status", "rules": [{"rule": "case", "to": "upper"}]}
#: The query without which the operation is refused.
GOOD_QUERY: dict[str, dict[str, str]] = {"search": {"q": "sent"}}
#: A body with which the operation must succeed; a text that is `{name}` is the value of that parameter.
GOOD: dict[str, Any] = {
    "push": {"shipments": [{"id": "1"}, {"id": 2}]},
    "publish_events": [{"topic": "user.created", "data": {"id": "7"}}],
    "create_integration": {"name": "New", "url": "http://127.0.0.1:9/new"},
    "set_objectives": {"target": 99.9, "within": 300, "max_backlog": 100, "max_wait": None},
    "set_retention": {"successes": 30, "records": None},
    "update_integration": {"timeout": 5, "max_in_flight": 3, "rate_limit": None},
    "create_source": {"name": "New", "kind": "github"},
    "update_source": {"is_enabled": False, "mapping": {"topic": "body.action", "data": None}},
    "create_subscription": {"integration": "theirs", "topics": ["user.*"]},
    "update_subscription": {"active": False},
    "put_subscription": {"topics": ["user.created"], "filter": "id"},
    "patch_subscription": {"intents": ["order_pizza"]},
    "create_token": {"name": "more", "scopes": ["push"]},
    "create_topic": {"name": "user.created", "schema": {"type": "object"}},
    "update_topic": {"description": "said"},
    "resolve_delivery": {"action": "edit", "payload": {"id": "7", "changed": True}, "reason": "wrong"},
    "request_context": {"chat": {}, "messages": []},
    "run_action": {"option": "a"},
    "assign_case": {"assignee": None, "note": "nobody's for now"},
    "comment_on_case": {"text": "The printer is empty."},
    "snooze_case": {"more": 5},
    "link_case_ticket": {"url": "https://tickets.example.com/7"},
    "merge_case": {"into": "{other_case}"},
    "split_case": {"field": "status", "operator": "is", "value": "sent"},
    "preview_backfill": {"subscription": "{subscription_id}", "since": "2026-01-01T00:00:00Z", "again": True},
    "start_backfill": {"subscription": "{subscription_id}", "since": "2026-01-01T00:00:00Z", "again": True},
    "simulate_subscription": {"filter": "id", "events": {"last": 10}},
    "simulate_integration": {"timeout": 5, "events": {"since": "2026-01-01T00:00:00Z"}, "background": True},
    "simulate_topic": {"schema": {"type": "object"}},
    "save_simulation": {"then": "nothing"},
    "deliver_event": {"subscription": "{subscription_id}", "again": True},
    "start_bulk_action": {"action": "retry", "filter": {"status": "failed"}, "canary": False},
    "reject": {"reason": "not now"},
    "start_erasure": {"value": "+4915123456", "match": "contains", "dry_run": True},
    "confirm_erasure": {"reason": "ticket 17"},
    "create_channel": {"name": "New", "kind": "email", "options": {"recipients": ["ops@example.com"]}},
    "update_channel": {"active": False},
    "preview_recipe": {"like": "{delivery_id}", **SAME_FIX},
    "apply_recipe": {"like": "{delivery_id}", **SAME_FIX, "include_unlike": True, "keep": {"days": 3}},
}


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """The application closes connections between requests; this one holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def turn_receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        server.script(answer(200, json.dumps(TURN).encode()))
        yield server


@cache
def operations() -> dict[str, Any]:
    found = schemathesis.openapi.from_wsgi("/api/v1/schema/", application).get_all_operations()
    return {result.ok().definition.raw["operationId"]: result.ok() for result in found}


def equipped(server: Receiver) -> tuple[ApiClient, dict[str, str]]:
    """A store with one of everything, whose integration answers; the values of the routes' parameters."""
    client = ApiClient()
    # Another token than the caller's: deleting it must not end the walk.
    known = populate(client.store) | {"token_id": str(AccessTokenFactory(store=client.store).pk)}
    integration = Integration.objects.get(store=client.store)
    Integration.objects.filter(pk=integration.pk).update(url=server.url("/turn"))
    SecretFactory(integration=integration)
    TurnContext.objects.create(integration=integration, actions=TURN["actions"], answered_at="2026-01-01T00:00:00Z")
    return client, known


def good(name: str, known: dict[str, str]) -> dict[str, Any]:
    """The parts of a request with which the operation must succeed."""
    if name in GOOD_QUERY:
        return {"query": GOOD_QUERY[name]}
    if name not in GOOD:
        return {}
    body = GOOD[name]
    if isinstance(body, dict):
        body = {
            key: known[value[1:-1]] if isinstance(value, str) and value[1:-1] in known else value
            for key, value in body.items()
        }
    return {"body": body}


def called(operation: Any, known: dict[str, str], headers: dict[str, str], **parts: Any) -> Any:
    path = {name: known[name] for name in known if f"{{{name}}}" in operation.path}
    case = operation.Case(
        path_parameters=path, headers=headers, media_type="application/json" if "body" in parts else None
    )
    for name, value in parts.items():
        setattr(case, name, value)
    response = case.call()
    case.validate_response(response, checks=CHECKS)
    return response


def test_every_operation_succeeds_as_it_is_described(turn_receiver: Receiver) -> None:
    reached = {}
    for name, operation in operations().items():
        client, known = equipped(turn_receiver)
        parts = good(name, known)
        if name in ("resume_backfill", "resume_bulk_action"):
            Replay.objects.update(status="paused")
        reached[name] = called(operation, known, client.token.headers, **parts).status_code
    assert reached.pop("approve") == 403  # a person approves, in the desk
    assert reached.pop("undo_fix") == 409  # this one has updated no record
    assert not {name: status for name, status in reached.items() if not 200 <= status < 300}
    assert len(reached) > 38
    assert set(GOOD) <= set(reached)


def test_every_operation_describes_how_it_refuses(turn_receiver: Receiver) -> None:
    for name, operation in operations().items():
        client, known = equipped(turn_receiver)
        is_push = name in ("push", "publish_events")
        weak = AccessTokenFactory(store=client.store, scopes=["manage"] if is_push else ["push"])
        parts = good(name, known)
        assert called(operation, known, {}, **parts).status_code == 401
        # What a token may do, any token may ask.
        expected = 200 if name == "get_current_token" else 403
        assert called(operation, known, weak.headers, **parts).status_code == expected
        if known_names := [each for each in known if f"{{{each}}}" in operation.path]:
            wrong = known | dict.fromkeys(known_names, "nothing-of-ours")
            assert called(operation, wrong, client.token.headers, **parts).status_code == 404, name
        if "body" in parts:
            with override_settings(MAX_BODY_BYTES=5):
                assert called(operation, known, client.token.headers, **parts).status_code == 413, name
        if is_push:
            keyed = client.token.headers | {"Idempotency-Key": "once"}
            assert called(operation, known, keyed, **parts).status_code == 202
            other = {"body": {"things": []} if name == "push" else {"intent": "other"}}
            assert called(operation, known, keyed, **other).status_code == 409


@pytest.mark.parametrize("name", ["limit", "status"])
@pytest.mark.parametrize("value", ["", " ", "0", "201", "abc"])
@pytest.mark.parametrize("path", ["deliveries", "notifications"])
def test_a_value_that_is_none_is_refused(name: str, value: str, path: str) -> None:
    client = ApiClient()
    response = client.get(f"{path}?{name}={value}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == name


def test_a_store_that_pushes_too_fast_is_told_so_as_described(settings: Any, turn_receiver: Receiver) -> None:
    settings.PUSH_RATE_LIMIT = 1
    client, known = equipped(turn_receiver)
    operation = operations()["push"]
    statuses = {called(operation, known, client.token.headers, body={"things": []}).status_code for _ in range(6)}
    assert 429 in statuses


def test_no_request_breaks_the_server_and_every_answer_is_as_described(turn_receiver: Receiver) -> None:
    walked = 0
    for operation in operations().values():
        client, known = equipped(turn_receiver)
        for mode, number in EXAMPLES.items():
            walked += try_out(operation, operation.as_strategy(generation_mode=mode), number, client, known)
    assert walked > 150


def try_out(operation: Any, strategy: Any, number: int, client: ApiClient, known: dict[str, str]) -> int:
    """Requests of one operation; how many were made."""
    made = 0

    @examples(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def one(case: Any) -> None:
        nonlocal made
        made += 1
        case.path_parameters = {name: known.get(name, value) for name, value in (case.path_parameters or {}).items()}
        response = case.call(headers=client.token.headers)
        # 502 is the integration's fault: its address may have been changed to one where nobody listens.
        case.validate_response(response, checks=CHECKS[1:] if response.status_code == 502 else CHECKS)

    with suppress(Unsatisfiable):  # there is nothing wrong to send to an operation without parameters and body
        one()
    return made
