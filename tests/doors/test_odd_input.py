"""What people and machines type that no database takes: refused with a sentence, never a failure, nothing changed."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import Store
from tests.doors.conftest import SUPERUSER, World
from tests.doors.world import snapshot

ODD_JSON = [
    "[" * 60_000, '{"a":' * 60_000, "[" * 101 + "]" * 101, "9" * 5_000, '{"a":' + "9" * 5_000 + "}", "NaN", '{"a": NaN}',
    '{"a": 1e400}', "-Infinity", '{"a": "\\ud800"}', '{"\\udfff": 1}', '{"a": "\\u0000"}', '{"\\u0000": "a"}', "{", "'a'", "\ufeff{",
]  # fmt: skip
ODD_OVERRIDES = [
    *ODD_JSON,
    "1",
    "[]",
    '"a"',
    "true",
    '{"a": 1}',
    '{"a": null}',
    '{"a": {}}',
    '{"a": "B"}',
    '{"A": "b"}',
    '{"a": ""}',
]
ODD_NUMBERS = [
    "9" * 5_000,
    "9" * 30,
    "-1",
    "0",
    "٣",
    "1e400",
    "NaN",
    "inf",
    "1.5",
    "0x1",
    "x",
    " ",
    str(2**31),
    str(2**63),
]


def post(world: World, address: str, row: str | None, data: dict[str, Any], client: Client | None = None) -> Any:
    args = [world.alpha.rows[row].pk] if row else []
    return (client or world.client(SUPERUSER)).post(reverse(f"admin:{address}", args=args), data)


def test_a_stores_singulars_must_be_an_object_of_names(world: World) -> None:
    before = snapshot()
    client = world.client(SUPERUSER)
    for text in ODD_OVERRIDES:
        response = post(world, "integrations_store_change", "store", {"name": "A", "singular_overrides": text}, client)
        assert response.status_code == 200, text[:20]
        assert "errorlist" in response.text, text[:20]
    assert snapshot() == before
    good = {"name": "A", "singular_overrides": '{"kudos": "kudos"}'}
    assert post(world, "integrations_store_change", "store", good, client).status_code == 302
    assert Store.objects.get(pk=world.alpha.store.pk).singular_overrides == {"kudos": "kudos"}


def test_odd_json_is_refused_in_every_form(world: World) -> None:
    client, before = world.client(SUPERUSER), snapshot()
    for text in ODD_JSON:
        for address, row, data in (
            ("subscriptions_topic_change", "topic", {"name": "a.b", "schema": text}),
            ("subscriptions_subscription_change", "subscription", {"topics": "a.b", "parameters": text}),
            (
                "integrations_integration_change",
                "integration",
                {"name": "A", "url": "http://127.0.0.1:9/", "parameters": text},
            ),
            (
                "integrations_integration_change",
                "integration",
                {"name": "A", "url": "http://127.0.0.1:9/", "headers": text},
            ),
            ("integrations_integration_turn", "integration", {"document": text}),
            ("deliveries_delivery_check", "delivery", {"payload": text}),
        ):
            response = post(world, address, row, data, client)
            assert response.status_code == 200, (address, text[:20])
    assert snapshot() == before


def forms_with(text: str) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Each form that has numbers, with this text in the place of one."""
    integration = {"name": "A", "url": "http://127.0.0.1:9/"}
    channel = {"name": "C", "kind": "email", "recipients": "a@example.com", "level": "error", "window_minutes": "60"}
    return [
        *(("integrations_integration_change", "integration", {**integration, name: text}) for name in
          ("timeout", "max_in_flight", "rate_limit", "permanent_statuses", "retry_policy")),
        ("subscriptions_subscription_change", "subscription", {"topics": "a.b", "poll_every": text}),
        ("notifications_channel_change", "channel", {**channel, "window_minutes": text, "digest_minutes": text}),
        ("notifications_channel_change", "channel", {**channel, "digest_minutes": "0", "integrations": text}),
        ("integrations_store_change", "store", {"name": "A", "singular_overrides": "{}", "staff": text}),
        ("deliveries_delivery_approval", "delivery", {"revision": text, "decision": "reject"}),
        ("deliveries_delivery_confirm", "delivery", {"action": "x" , "seen_attempts": text}),
        ("deliveries_replay_add", None, {"store": text, "rate": text, "group": text}),
        ("deliveries_delivery_selection", None, {"id": text, "action": "retry"}),
        ("deliveries_delivery_preview", None, {"integration": text, "topics": "a.b"}),
        ("subscriptions_subscription_add", None, {"integration": text, "topics": "a.b"}),
        ("subscriptions_topic_add", None, {"store": text, "name": "c.d"}),
    ]  # fmt: skip


@pytest.mark.parametrize("share", [0.4, pytest.param(1.0, marks=pytest.mark.slow)])
def test_odd_numbers_are_refused_in_every_form(world: World, share: float) -> None:
    """In short a part of them in each form, always the same."""
    client = world.client(SUPERUSER)
    dice = random.Random(20260101)
    for text in ODD_NUMBERS:
        for address, row, data in forms_with(text):
            if dice.random() < share:
                response = post(world, address, row, data, client)
                assert response.status_code in (200, 302, 404), (address, data)


@pytest.mark.parametrize(
    ("address", "row", "data"),
    [
        ("deliveries_delivery_confirm", "delivery", {"action": "discard", "reason": "a\0b"}),
        ("deliveries_delivery_review", "delivery", {"reason": "\0"}),
        ("integrations_integration_switch", "integration", {"reason": "\0"}),
        ("deliveries_delivery_selection", None, {"action": "discard", "confirmed": "1", "reason": "\0"}),
        ("deliveries_replay_add", None, {"reason": "\0"}),
        ("subscriptions_subscription_change", "subscription", {"topics": "a\0"}),
        ("integrations_store_issue", "store", {"name": "a", "sco\0pes": "push"}),
    ],
)
def test_a_nul_is_refused_with_its_place(world: World, address: str, row: str | None, data: dict[str, str]) -> None:
    before = snapshot()
    response = post(world, address, row, data)
    assert response.status_code == 400
    assert "NUL" in response.text
    assert snapshot() == before


def test_a_nul_in_a_query_string_is_refused_and_one_in_an_address_is_not_found(world: World) -> None:
    client = world.client(SUPERUSER)
    assert client.get(reverse("admin:deliveries_event_changelist") + "?origin=%00").status_code == 400
    assert client.get("/admin/deliveries/event/%00/change/").status_code == 404
    assert client.get("/static/%00.css").status_code == 404
