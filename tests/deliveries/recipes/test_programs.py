"""Recipes for programs: the API and `manage.py recipe`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from deliveries.models import BulkFix, Delivery, Recipe, Revision
from deliveries.recipes.applying import apply_recipes
from tests.deliveries.recipes.morning import FIELD, RULES, Fleet
from tests.factories import AccessTokenFactory, StoreFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(world: Fleet, client: Client) -> Callable[..., Any]:
    headers = AccessTokenFactory(store=world.store).headers

    def send(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        given = {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
        answer = getattr(client, method)(f"/api/v1/{path}", headers=headers, **given)
        return answer.status_code, answer.json()

    return send


def like() -> str:
    one = Delivery.objects.filter(status="failed").first()
    assert one is not None
    return one.public_id


def test_a_preview_changes_nothing_and_says_what_each_value_becomes(call: Any) -> None:
    status, body = call("post", "recipes/preview", {"like": like(), "field": FIELD, "rules": RULES, "limit": 2})
    assert status == 200
    assert body["counts"] == {"fits": 6, "unlike": 1, "unchanged": 0, "breaks": 0}
    assert (body["matching"], body["checked"], len(body["rows"])) == (7, 7, 2)
    assert body["rows"][0] == {
        "delivery": body["rows"][0]["delivery"],
        "object": "2006",
        "value_now": "call me",
        "value_after": "+25411",  # l is a 1
        "verdict": "unlike",
        "why": "It has 6 characters; those that arrived have 13.",
    }
    assert not BulkFix.objects.exists()


def test_apply_sends_what_fits_with_values_by_object_and_keeps_the_rules(call: Any, world: Fleet, deliver: Any) -> None:
    body = {
        "like": like(),
        "field": FIELD,
        "rules": RULES,
        "values": {"2006": "+254711111111"},
        "update_records": True,
        "reason": "depot",
        "keep": {"days": 7, "daily_cap": 10},
    }
    status, answer = call("post", "recipes/apply", body)
    assert status == 200, answer
    assert (answer["fix"]["status"], answer["fix"]["total"]) == ("sent", 7)
    work_off_replay(answer["fix"]["id"])
    deliver()
    assert not Delivery.objects.exclude(status="succeeded").exists()
    assert dict(world.courier.taken)["2006"] == "+254711111111"
    status, fix = call("get", f"fixes/{answer['fix']['id']}")
    assert fix["progress"] == {"done": 7, "succeeded": 7, "failed_again": 0, "under_way": 0, "skipped": 0}
    status, listed = call("get", "recipes")
    assert [one["id"] for one in listed["items"]] == [answer["recipes"][0]["id"]]
    world.ship(3000, "0712345678")
    deliver()
    assert apply_recipes(Delivery.objects.latest("created_at").created_at) == 1
    status, one = call("get", f"recipes/{listed['items'][0]['id']}")
    assert (one["is_active"], one["uses"], one["daily_cap"]) == (True, 1, 10)
    status, one = call("post", f"recipes/{one['id']}/off", {"reason": "sender is right now"})
    assert (status, one["is_active"], one["off_reason"]) == (200, False, "sender is right now")


def work_off_replay(fix_id: str) -> None:
    from django.utils import timezone

    from deliveries.replay import step

    fix = BulkFix.objects.get(pk=fix_id.removeprefix("fix_"))
    assert fix.replay_id is not None
    while not step(fix.replay_id, timezone.now()).is_over:
        pass


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"rules": [{"rule": "shout"}]}, "rules[0].rule", "Unknown rule"),
        ({"rules": [{"rule": "trim"}, {"rule": "replace"}]}, "rules[1].find", "Find is empty"),
        ({"rules": "trim"}, "rules", "array of objects"),
        ({"field": "a..b"}, "field", "names no field"),
        ({"field": None}, "field", "field"),
        ({"like": "dlv_0"}, "like", "no delivery"),
        ({"like": None}, "like", "Give one of"),
        ({"deliveries": ["x"]}, "deliveries", "Give one of"),
        ({"like": None, "deliveries": ["x"]}, "deliveries", "not the id"),
        ({"like": None, "filter": {"status": "succeeded"}}, "filter.status", "Unknown filter"),
        ({"like": None, "filter": {"integration": "nope"}}, "integration", "Unknown integration"),
        ({"values": {"9999": "x"}}, "values.9999", "No failing delivery"),
        ({"keep": {"days": 0}}, "days", "whole number"),
        ({"keep": 5}, "keep", "keep"),
        ({"update_records": "yes"}, "update_records", "true or false"),
    ],
)
def test_bad_input_is_refused_with_its_field_and_nothing_is_kept(
    call: Any, change: dict[str, Any], field: str, why: str
) -> None:
    body = {"like": like(), "field": FIELD, "rules": RULES} | change
    status, answer = call("post", "recipes/apply", {key: value for key, value in body.items() if value is not None})
    assert status == 400, answer
    assert (answer["errors"][0]["field"], why in answer["errors"][0]["message"]) == (field, True), answer
    assert not BulkFix.objects.exists() and not Revision.objects.exists()


def test_the_record_updates_of_a_fix_are_undone(call: Any, deliver: Any) -> None:
    body = {"like": like(), "field": FIELD, "rules": RULES, "update_records": True}
    _, answer = call("post", "recipes/apply", body)
    work_off_replay(answer["fix"]["id"])
    fix = f"fixes/{answer['fix']['id']}"
    assert [one["id"] for one in call("get", "fixes")[1]["items"]] == [answer["fix"]["id"]]
    assert call("post", f"{fix}/undo", {"reason": "wrong"}) == (200, {"restored": 6, "refused": []})
    assert call("post", f"{fix}/undo", {})[0] == 409


def test_nothing_that_fits_is_a_conflict(call: Any) -> None:
    status, answer = call("post", "recipes/apply", {"like": like(), "field": FIELD, "rules": []})
    assert (status, answer["errors"][0]["code"]) == (409, "conflict")


def test_rules_that_cannot_be_kept_send_nothing(call: Any, world: Fleet, deliver: Any) -> None:
    body = {"like": like(), "field": FIELD, "rules": RULES, "keep": {}}
    _, answer = call("post", "recipes/apply", body)
    work_off_replay(answer["fix"]["id"])
    deliver()
    world.ship(3000, "0712345678")
    deliver()
    failing = Delivery.objects.filter(status="failed").latest("created_at")
    status, answer = call("post", "recipes/apply", {**body, "like": failing.public_id})
    assert (status, answer["errors"][0]["code"]) == (409, "conflict")
    assert BulkFix.objects.count() == 1
    failing.refresh_from_db()
    assert (failing.status, failing.revision) == ("failed", 0)


def test_another_stores_fixes_and_recipes_are_not_found(call: Any, client: Client, world: Fleet) -> None:
    _, answer = call("post", "recipes/apply", {"like": like(), "field": FIELD, "rules": RULES, "keep": {}})
    headers = AccessTokenFactory(store=StoreFactory()).headers
    for method, path in (
        ("get", f"fixes/{answer['fix']['id']}"),
        ("get", f"recipes/{answer['recipes'][0]['id']}"),
        ("post", f"recipes/{answer['recipes'][0]['id']}/off"),
    ):
        assert getattr(client, method)(f"/api/v1/{path}", headers=headers).status_code == 404
    assert Recipe.objects.get().is_active
    push_only = AccessTokenFactory(store=world.store, scopes=["push"]).headers
    assert client.get("/api/v1/recipes", headers=push_only).status_code == 403


def run(*arguments: str) -> Any:
    out = io.StringIO()
    call_command("recipe", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


RULE_WORDS = (
    "--rule", "digits", "--rule", "strip which=not_phone", "--rule", "prefix to=+254 from=00254,254,0 add=on",
)  # fmt: skip


def test_the_command_previews_applies_lists_and_switches_off(
    world: Fleet, deliver: Any, tmp_path: Path, call: Any
) -> None:
    found = run("preview", "--like", like(), "--field", FIELD, *RULE_WORDS, "--rows", "1")
    assert (found["counts"]["fits"], len(found["rows"])) == (6, 1)
    sheet = tmp_path / "values.csv"
    sheet.write_text("object;value after\n2006;'+254711111111\n2005;\n")
    found = run("apply", "--like", like(), "--field", FIELD, *RULE_WORDS, "--values", str(sheet), "--update-records")
    assert (found["status"], found["sent"]) == ("sent", 7)
    deliver()
    assert not Delivery.objects.exclude(status="succeeded").exists()
    assert run("list") == []
    world.ship(3000, "0712345678")
    deliver()
    call("post", "recipes/apply", {"like": like(), "field": FIELD, "rules": RULES, "keep": {}})
    (kept,) = run("list")
    assert run("off", kept["id"])["is_active"] is False


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["off", "rcp_1"], "Unknown recipe"),
        (["preview", "--field", FIELD], "Say which deliveries"),
        (["preview", "--topic", "shipment.updated"], "Say which field"),
        (["preview", "--topic", "shipment.updated", "--field", FIELD, "--rule", "trim hard"], "name=value"),
        (["preview", "--topic", "shipment.updated", "--field", FIELD, "--rule", "trim", "--rule", "shout"], "Rule 2"),
        (["apply", "--topic", "shipment.updated", "--field", FIELD, "--rules", "/nowhere"], "cannot be read"),
    ],
)
def test_the_command_says_what_is_wrong(world: Fleet, arguments: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        call_command("recipe", *arguments)
