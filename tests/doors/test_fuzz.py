"""Random forms and query strings for every page of the admin. `DOORS_SEED` repeats a run; the seed is printed."""

from __future__ import annotations

import os
import random
import re
import secrets
from typing import Any

import pytest
from django.test import Client

from tests.doors.addresses import ODD_QUERIES, Route, keys_of, routes
from tests.doors.conftest import SUPERUSER, World
from tests.doors.test_addresses import ACCOUNT, check
from tests.doors.test_odd_input import ODD_JSON, ODD_NUMBERS
from tests.doors.world import snapshot

VALUES = [
    *ODD_JSON, *ODD_NUMBERS, "", "x", "\0", "a\0b", "\u202e", "\x01\x1b", "on", "x" * 10_000, "2026-01-01", "9999-12-31",
    "0001-01-01", "99:99", "23:59:59", "a.b", "all", "$", "a" * 300 + ".*", "http://127.0.0.1:9/", "//", "http://[", "'", '"',
    "retry", "edit", "discard", "approve", "failed,retrying", "email", "sms", "+15551234567", "a@example.com", "{}", "[]",
    "[0]", "@", "1s 2s", "9" * 400 + "s", "9e999s", "0s", "-1s",
]  # fmt: skip
NAMES = ("action", "post", "reason", "index", "select_across", "_selected_action", "_saveasnew", "_continue", "_popup", "_to_field",
         "confirmed", "alike", "include", "payload", "id", "store", "group", "since", "until", "q", "step", "option", "document",
         "resolve", "list", "recipient", "scopes", "expires_at", "initial-x", "form-TOTAL_FORMS")  # fmt: skip
#: These send to receivers, or end the session.
LEFT_OUT = {*ACCOUNT, "deliveries_delivery_test", "integrations_integration_handshake"}
FIELD = re.compile(r'<(?:input|select|textarea)[^>]*? name="([^"]+)"')


def fuzz(world: World, seed: int, rounds: int, share: float) -> None:
    print(f"DOORS_SEED={seed}")
    dice = random.Random(seed)
    for route in [found for found in routes() if found.name not in LEFT_OUT and "(?P" not in found.pattern]:
        if dice.random() > share:
            continue
        for _ in range(rounds):
            person = dice.choice((SUPERUSER, SUPERUSER, "Manager of Alpha", "Operator of all", "Viewer of all"))
            one_request(world, world.client(person), route, person, dice)


def one_request(world: World, client: Client, route: Route, person: str, dice: random.Random) -> None:
    """Posts what the page's own form has, some of it odd; whoever may change nothing has then changed nothing."""
    address = route.filled(keys_of(route, world.rows(world.alpha)))
    query = (
        dice.choice(ODD_QUERIES)
        if dice.random() < 0.4
        else dice.choice(("", "kind=hub", "kind=flat", "action=discard"))
    )
    page = client.get(f"{address}?{query}")
    check(page, f"GET {address}?{query[:200]}")
    known = FIELD.findall(page.content.decode(errors="replace")) if page.status_code == 200 else []
    names = [name for name in dict.fromkeys([*known, *dice.sample(NAMES, 4)]) if dice.random() < 0.8]
    data: dict[str, Any] = {
        name: [dice.choice(VALUES) for _ in range(dice.choice((1, 1, 1, 2)))] for name in names if "csrf" not in name
    }
    before = snapshot() if person.startswith("Viewer") else None
    shown = {name: [value[:40] for value in values] for name, values in data.items()}
    check(
        client.post(f"{address}?{query}" if query and "%00" not in query else address, data), f"POST {address} {shown}"
    )
    assert before is None or snapshot() == before, f"POST {address} {shown}"


def seed_of(default: int) -> int:
    return int(os.environ.get("DOORS_SEED") or default)


def test_random_forms_fail_nowhere(world: World) -> None:
    fuzz(world, seed_of(20260101), rounds=1, share=0.7)


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(10))
def test_many_random_forms_fail_nowhere(world: World, turn: int) -> None:
    fuzz(world, seed_of(secrets.randbelow(2**32)), rounds=5, share=1.0)
