"""One way to each row: every address of the admin, with every key, method and role, shows what the role may see."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import Resolver404, resolve, reverse

from tests.doors.addresses import METHODS, ODD_QUERIES, PARAMETER, WALKS, keys_of, other_spellings, routes, some
from tests.doors.conftest import LIMITED, NOWHERE, PEOPLE, SUPERUSER, World
from tests.doors.world import SECRET, snapshot

ROUTES = routes()
OF_ROWS = [route for route in ROUTES if route.is_of_a_row]
#: What a person may be answered who asks for something that is not theirs, or that is not there.
REFUSALS = {302, 400, 403, 404, 405}
MAY_CHANGE_NOTHING = [name for name in PEOPLE if name.startswith(("None", "Viewer"))]
#: Their own log-in page, password and log-out, which are not about rows.
ACCOUNT = {"login", "logout", "password_change", "password_change_done"}
#: What whoever may look keeps for themselves: searches under a name.
OF_THEIR_OWN = {"deliveries_savedview_save"}


#: Methods that change nothing, as nothing here answers to them.
OTHERS = [method for method in METHODS if method not in ("GET", "POST")]


def in_short(people: list[str], *chosen: str) -> list[Any]:
    """These people always, the others in the long run."""
    return [name if name in chosen else pytest.param(name, marks=pytest.mark.slow) for name in people]


def ask(client: Client, method: str, address: str, query: str = "", data: dict[str, Any] | None = None) -> Any:
    target = f"{address}?{query}" if query else address
    return client.post(target, data or {}) if method == "POST" else client.generic(method, target)


def check(response: Any, what: str) -> str:
    """Never a failure, never a credential. Returns the text."""
    assert response.status_code == 200 or response.status_code in REFUSALS | {301}, f"{response.status_code}: {what}"
    # Files of lists are streamed.
    content: bytes = b"".join(response.streaming_content) if response.streaming else response.content
    text = content.decode(errors="replace")
    assert SECRET not in text, what
    return text


def test_each_registered_model_has_addresses_and_each_row_one_of_each_kind() -> None:
    assert len(OF_ROWS) > 40
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        assert reverse(name)
    names = [route.name for route in ROUTES]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
    assert "" not in names


def test_a_key_has_one_spelling(world: World) -> None:
    """By the resolver, so that it holds for every role and method: nothing but the page that is not found matches."""
    for route in OF_ROWS:
        keys = keys_of(route, world.rows(world.alpha))
        assert resolve(route.filled(keys)).url_name == route.name
        for place, key in enumerate(keys):
            for odd in other_spellings(key):
                if is_another_number(odd) or ("<word:" in route.pattern and re.fullmatch("[A-Za-z0-9.-]+", odd)):
                    continue  # the key of another row: keys that are text are compared letter by letter
                left = iter([*keys[:place], odd, *keys[place + 1 :]])
                address = "/admin/" + PARAMETER.sub(lambda _, left=left: next(left), route.pattern)
                try:
                    found = resolve(address)
                except Resolver404:
                    continue
                assert found.func.__name__ == "catch_all_view", (address[:200], found.url_name)


def is_another_number(text: str) -> bool:
    """The key of another row, then."""
    return re.fullmatch("[1-9][0-9]{0,18}", text) is not None and int(text) < 2**63


@pytest.mark.parametrize("one_in", WALKS)
@pytest.mark.parametrize("person", in_short(PEOPLE, SUPERUSER, "Manager of Alpha"))
def test_another_spelling_is_not_found_and_changes_nothing(world: World, person: str, one_in: int) -> None:
    client, before = world.client(person), snapshot()
    for route in some(OF_ROWS, one_in):
        keys = keys_of(route, world.rows(world.alpha))
        spellings = other_spellings(keys[0])
        for odd in random.Random(route.pattern).sample(spellings, 6):
            address = route.filled([odd, *keys[1:]])
            method = random.Random(address).choice(("GET", "POST"))
            response = ask(client, method, address, data={"post": "yes"})
            check(response, f"{method} {address[:200]}")
            if not is_another_number(odd) and "<word:" not in route.pattern:
                assert response.status_code == 404, f"{method} {address[:200]}"
    assert snapshot() == before


@pytest.mark.parametrize("one_in", WALKS)
@pytest.mark.parametrize("person", in_short(PEOPLE, "Manager of Alpha", "Viewer of Alpha"))
def test_reading_changes_nothing_and_shows_nothing_of_others(world: World, person: str, one_in: int) -> None:
    client, before = world.client(person), snapshot()
    for route in some(ROUTES, one_in):
        if route.name in ACCOUNT or "(?P" in route.pattern:
            continue
        for side in (world.alpha, world.beta):
            address = route.filled(keys_of(route, world.rows(side)))
            methods = ["GET", random.Random(address).choice(OTHERS)] if side is world.alpha else ["GET"]
            for method in methods:
                response = ask(client, method, address)
                text = check(response, f"{method} {address}")
                if person in LIMITED + NOWHERE:
                    assert "BETA" not in text.replace("BETA-person", "BETA"), f"{method} {address}"
                    assert str(world.beta.store.pk) not in text, f"{method} {address}"
                if person in NOWHERE:
                    assert "ALPHA" not in text, f"{method} {address}"
                if side is world.beta and person in LIMITED and route.is_of_a_row and route.model in side.rows:
                    assert response.status_code in REFUSALS, f"{method} {address}"
    assert snapshot() == before


@pytest.mark.parametrize("one_in", WALKS)
@pytest.mark.parametrize("person", in_short(MAY_CHANGE_NOTHING, "Viewer of all", "None of all"))
def test_whoever_may_only_look_changes_nothing_by_posting(world: World, person: str, one_in: int) -> None:
    client, before = world.client(person), snapshot()
    for route in some(ROUTES, one_in):
        if route.name in ACCOUNT | OF_THEIR_OWN or "(?P" in route.pattern:
            continue
        for data in ({}, {"post": "yes", "_saveasnew": "1", "name": "X", "action": "delete_selected", "index": "0"}):
            address = route.filled(keys_of(route, world.rows(world.alpha)))
            check(ask(client, "POST", address, data=data), f"POST {address}")
    assert snapshot() == before


@pytest.mark.parametrize("one_in", WALKS)
@pytest.mark.parametrize("person", in_short([*LIMITED, *NOWHERE], "Manager of Alpha", "Manager of none"))
def test_nobody_changes_rows_of_a_store_that_they_do_not_see(world: World, person: str, one_in: int) -> None:
    client, before = world.client(person), snapshot()
    for route in some(OF_ROWS, one_in):
        if route.model not in world.beta.rows:
            continue
        for data in (
            {},
            {"post": "yes", "reason": "because", "revision": "1", "decision": "approve", "action": "retry"},
        ):
            address = route.filled(keys_of(route, world.rows(world.beta)))
            response = ask(client, "POST", address, data=data)
            check(response, f"POST {address}")
            assert response.status_code in {403, 404}, f"POST {address}"
    assert snapshot() == before


@pytest.mark.parametrize("one_in", WALKS)
@pytest.mark.parametrize("person", in_short(PEOPLE, SUPERUSER, "Manager of Alpha"))
def test_odd_query_strings_fail_nowhere(world: World, person: str, one_in: int) -> None:
    client, before = world.client(person), snapshot()
    for route in some(ROUTES, one_in):
        if route.name in ACCOUNT or "(?P" in route.pattern:
            continue
        address = route.filled(keys_of(route, world.rows(world.alpha)))
        is_list = route.name.endswith(("changelist", "_add", "autocomplete"))
        queries = random.Random(route.pattern + person).sample(ODD_QUERIES, 8 if is_list else 1)
        for query in queries:
            text = check(ask(client, "GET", address, query), f"{address}?{query[:200]}")
            if person in LIMITED and "BETA" not in query:
                assert "BETA" not in text, f"{address}?{query[:200]}"
    assert snapshot() == before


def test_a_question_about_other_fields_is_refused_and_not_answered(world: World) -> None:
    client = world.client("Viewer of all")
    for query in (
        "id__in=1",
        "store__name__startswith=B",
        "store__staff__password__startswith=p",
        "object_id__regex=.",
    ):
        response = client.get(reverse("admin:deliveries_event_changelist") + f"?{query}")
        assert response.status_code == 400
        assert "Unknown filter or invalid value" in response.text


def test_strangers_are_sent_to_the_login(world: World) -> None:
    client, before = Client(raise_request_exception=False), snapshot()
    for route in ROUTES:
        if route.name in ACCOUNT or "(?P" in route.pattern:
            continue
        address = route.filled(keys_of(route, world.rows(world.alpha)))
        for method in ("GET", "POST"):
            response = ask(client, method, address)
            assert response.status_code in {302, 403, 405}, f"{method} {address}"
            check(response, f"{method} {address}")
    assert snapshot() == before
