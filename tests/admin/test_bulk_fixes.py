"""The table step and its pages in the admin: what is kept, who may what, approval and undo."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from deliveries.failures.case_rules import merge_cases
from deliveries.models import BulkFix, Delivery, FailureGroup, Recipe, Record, Replay
from deliveries.replay import step
from integrations.foundation.audit import Actor
from integrations.models import StaffProfile, Store
from tests.deliveries.recipes.morning import FIELD, Fleet, fleet, good, spoiled
from tests.factories import DeliveryFactory, StoreFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(receiver: Any, deliver: Callable[..., int]) -> Fleet:
    made, rng = fleet(receiver), random.Random(11)
    for number in range(10):
        made.ship(1000 + number, good(rng))
    for number in range(10):
        made.ship(2000 + number, spoiled(good(rng), number))
    deliver()
    return made


def login(role: str | None, **profile: Any) -> Client:
    user = UserFactory(is_superuser=role is None)
    if role:
        user.groups.add(Group.objects.get(name=role))
        StaffProfile.objects.create(user=user, **(profile or {"sees_all_stores": True}))
    client = Client()
    client.force_login(user)
    return client


def begin(client: Client, count: int = 10) -> BulkFix:
    group = FailureGroup.objects.get()
    address = f"/admin/deliveries/bulkfix/add/?group={group.pk}"
    assert f"{count} failing deliveries" in client.get(address).content.decode()
    assert not BulkFix.objects.exists()  # looking begins nothing
    answer = client.post(address)
    assert answer.status_code == 302, answer.content
    assert client.get(address).status_code == 302
    fix = BulkFix.objects.latest("created_at")
    assert answer["Location"] == f"/admin/deliveries/bulkfix/{fix.pk}/table/"
    return fix


def table(fix: BulkFix) -> str:
    return f"/admin/deliveries/bulkfix/{fix.pk}/table/"


def form(**changes: Any) -> dict[str, Any]:
    return {
        "place": FIELD,
        "rule-0": "strip",
        "rule-0-which": "not_phone",
        "rule-1": "prefix",
        "rule-1-to": "+254",
        "rule-1-from": "00254,254,0",
        "rule-1-add": "on",
        "updates_records": "on",
        **changes,
    }


def finish(fix: BulkFix, deliver: Callable[..., int]) -> None:
    fix.refresh_from_db()
    now = timezone.now()
    assert fix.replay_id is not None
    while not step(fix.replay_id, now).is_over:
        now += timedelta(seconds=1)
    deliver()


def test_from_the_first_step_of_the_wizard_to_ten_fixed_deliveries(world: Fleet, deliver: Any) -> None:
    client = login("Operator")
    delivery = Delivery.objects.filter(status="failed").first()
    assert delivery is not None
    page = client.get(f"/admin/deliveries/delivery/{delivery.pk}/resolve/").content.decode()
    assert "Fix all 10 in a table" in page
    answer = client.post(f"/admin/deliveries/delivery/{delivery.pk}/resolve/table/")
    fix = BulkFix.objects.get()
    assert answer["Location"] == table(fix)
    page = client.get(table(fix)).content.decode()
    assert f'value="{FIELD}"' in page and "check here" in page and "Use these rules" in page
    page = client.post(table(fix), {"place": FIELD, "do": "suggested", "updates_records": "on"}).content.decode()
    assert "10 fit" in page and "Resend" in page
    fix.refresh_from_db()
    assert {rule["rule"] for rule in fix.rules} >= {"prefix"}
    given = {"place": FIELD, "updates_records": "on", "do": "send"}
    for position, rule in enumerate(fix.rules):
        given |= {f"rule-{position}": rule["rule"]} | {
            f"rule-{position}-{name}": value for name, value in rule.items() if name != "rule" and value
        }
    answer = client.post(table(fix), given)
    assert answer.status_code == 302, answer.content.decode()
    finish(fix, deliver)
    page = client.get(answer["Location"]).content.decode()
    assert "10 succeeded" in page and "Undo 10 record updates" in page
    assert (
        "one of 10 fixed together" in client.get(f"/admin/deliveries/delivery/{delivery.pk}/change/").content.decode()
    )


def test_the_builders_buttons_add_move_and_remove_rules_and_keep_what_was_typed(world: Fleet) -> None:
    client = login("Operator")
    fix = begin(client)
    page = client.post(table(fix), form(add="replace")).content.decode()
    assert "Rule 3 is not complete: Find is empty." in page and "is-wrong" not in page and " autofocus" in page
    assert "is-wrong" in client.get(table(fix)).content.decode()
    fix.refresh_from_db()
    assert [rule["rule"] for rule in fix.rules] == ["strip", "prefix", "replace"]
    client.post(table(fix), form(up="1"))
    fix.refresh_from_db()
    assert [rule["rule"] for rule in fix.rules] == ["prefix", "strip"]
    client.post(table(fix), form(drop="0"))
    fix.refresh_from_db()
    assert fix.rules == [{"rule": "prefix", "to": "+254", "from": "00254,254,0", "add": "on"}]


def test_live_preview_keeps_the_draft_and_sends_nothing(world: Fleet) -> None:
    client = login("Operator")
    fix = begin(client)
    answer = client.post(f"{table(fix)}live/", form(**{"rule-1-to": "+2555"}))
    page = answer.content.decode()
    assert "10 unlike those that arrived" in page and "<html" not in page
    fix.refresh_from_db()
    assert fix.rules[1]["to"] == "+2555" and fix.status == "draft"
    page = client.post(f"{table(fix)}live/", form(place="a..b")).content.decode()
    assert "names no field" in page


def test_cells_are_typed_taken_back_pasted_and_imported(world: Fleet) -> None:
    client = login("Operator")
    fix = begin(client)
    delivery = Delivery.objects.filter(status="failed").order_by("-id")[0]
    cell = {f"was-{delivery.pk}": "x", f"cell-{delivery.pk}": "+254700000009"}
    page = client.post(table(fix), form(**cell)).content.decode()
    assert "1 typed by hand" in page and "+254700000009" in page
    page = client.post(table(fix), form(untype=str(delivery.pk))).content.decode()
    assert "typed by hand" not in page
    page = client.post(table(fix), form(do="paste", pasted="2003\t+254700000001\n9999\tx")).content.decode()
    assert "1 value taken over." in page and "Line 2: no delivery here has the id &#x27;9999&#x27;." in page
    sheet = SimpleUploadedFile("a.csv", b"object,value after\n2004,'+254700000002\n")
    page = client.post(table(fix), form(do="import", sheet=sheet)).content.decode()
    assert "1 value taken over." in page and fix.items.filter(is_typed=True).count() == 2
    raw = client.get(f"{table(fix)}export/").content.decode()
    assert raw.count("\r\n") == 11 and ",'+254700000002,fits," in raw
    sheet = SimpleUploadedFile("a.csv", b"nothing,of use\n1,2\n")
    page = client.post(table(fix), form(do="import", sheet=sheet)).content.decode()
    assert "must name a column" in page
    page = client.post(table(fix), form(do="retract")).content.decode()
    assert "typed by hand" not in page


def test_markup_in_values_stays_text(world: Fleet, deliver: Any) -> None:
    world.ship(3000, "<script>alert(1)</script>")
    deliver()
    client = login("Operator")
    page = client.get(table(begin(client, 11))).content.decode()
    assert "<script>alert" not in page


def test_a_selection_and_all_that_match_open_a_table_of_one_store(world: Fleet) -> None:
    client = login("Operator")
    ids = [str(pk) for pk in Delivery.objects.filter(status="failed").values_list("id", flat=True)[:3]]
    answer = client.post("/admin/deliveries/delivery/selection/", {"action": "fix", "id": ids})
    fix = BulkFix.objects.get()
    assert answer["Location"] == table(fix)
    assert 'All<span class="count">3</span>' in client.get(table(fix)).content.decode()
    answer = client.post(f"/admin/deliveries/bulkfix/add/?integration={world.integration.slug}&store={world.store.pk}")
    assert "/table/" in answer["Location"]
    other = DeliveryFactory(status="failed")
    answer = client.post("/admin/deliveries/delivery/selection/", {"action": "fix", "id": [*ids, str(other.pk)]})
    assert answer["Location"] == "/admin/deliveries/delivery/"
    answer = client.get("/admin/deliveries/bulkfix/add/?topic=shipment.updated")
    assert answer["Location"] == "/admin/deliveries/delivery/"


def test_a_table_of_several_groups_or_of_none_is_one_of_no_group(world: Fleet) -> None:
    client = login(None)
    group = FailureGroup.objects.get()
    other = FailureGroup.objects.create(
        store=group.store, integration=group.integration, kind="timeout", fingerprint="0" * 64, message="none",
        first_at=group.first_at, last_at=group.last_at,
    )  # fmt: skip
    for text in (f"{group.pk},{other.pk}", f"none,{group.pk}"):
        answer = client.post(f"/admin/deliveries/bulkfix/add/?group={text}&store={world.store.pk}")
        assert client.get(answer["Location"]).status_code == 200, text
    fix = BulkFix.objects.latest("created_at")
    assert client.post(table(fix), form(do="send", keep="on", reason="because")).status_code == 302


def test_the_page_of_a_fix_follows_its_case_and_says_that_the_canary_stopped_it(world: Fleet) -> None:
    client = login(None)
    fix = begin(client)
    client.post(table(fix), form(do="send"))
    fix.refresh_from_db()
    Replay.objects.filter(pk=fix.replay_id).update(status="paused", stopped_because="1 of 1 failed again")
    source = FailureGroup.objects.get()
    target = FailureGroup.objects.create(
        store=source.store, integration=source.integration, kind="http_500", fingerprint="0" * 64, message="no paper",
        first_at=source.first_at, last_at=source.last_at,
    )  # fmt: skip
    merge_cases(source=source, target=target, actor=Actor.of_user(UserFactory()))
    page = client.get(f"/admin/deliveries/bulkfix/{fix.pk}/change/").content.decode()
    assert "It stopped by itself: 1 of 1 failed again." in page
    assert "no paper" in page and "No delivery fails this way now" not in page


def test_only_who_may_resolve_and_resend_many_may_fix_and_only_in_their_stores(world: Fleet) -> None:
    fix = begin(login("Operator"))
    viewer = login("Viewer")
    for url in (table(fix), f"{table(fix)}export/", f"/admin/deliveries/bulkfix/{fix.pk}/undo/"):
        assert viewer.get(url).status_code == 403
    assert viewer.post(table(fix), form(do="send")).status_code == 403
    assert viewer.get(f"/admin/deliveries/bulkfix/add/?group={FailureGroup.objects.get().pk}").status_code == 403
    stranger = login("Operator", sees_all_stores=False)
    StoreFactory().staff.add(StaffProfile.objects.get(sees_all_stores=False).user)
    assert stranger.get(table(fix)).status_code == 404
    assert stranger.post(f"{table(fix)}live/", form()).status_code == 404
    assert stranger.get(f"/admin/deliveries/bulkfix/{fix.pk}/change/").status_code == 404
    assert stranger.get("/admin/deliveries/bulkfix/add/?group=1").status_code == 302
    fix.refresh_from_db()
    assert fix.status == "draft"


def test_a_second_approver_decides_on_the_batchs_page(world: Fleet, deliver: Any) -> None:
    Store.objects.update(is_approval_required=True)
    operator, manager = login("Operator"), login("Manager")
    fix = begin(operator)
    assert "Request approval for" in operator.get(table(fix)).content.decode()
    operator.post(table(fix), form(do="send"))
    page_of_fix = f"/admin/deliveries/bulkfix/{fix.pk}/"
    assert "Approve and send" not in operator.get(f"{page_of_fix}change/").content.decode()
    assert operator.post(f"{page_of_fix}decide/", {"decision": "approve"}).status_code == 403
    assert "awaits approval" in manager.get("/admin/deliveries/bulkfix/").content.decode()
    page = manager.get(f"{page_of_fix}change/").content.decode()
    assert "Approve and send 10 deliveries" in page and "All values" in page
    manager.post(f"{page_of_fix}decide/", {"decision": "approve"})
    finish(fix, deliver)
    assert Delivery.objects.filter(status="failed").count() == 0


def test_undo_is_confirmed_on_a_page_and_names_what_changed_since(world: Fleet, deliver: Any) -> None:
    client = login("Operator")
    fix = begin(client)
    client.post(table(fix), form(do="send"))
    finish(fix, deliver)
    record = Record.objects.get(external_id="2001")
    record.data = {**record.data, "shipping_address": {}}
    record.save()
    undo = f"/admin/deliveries/bulkfix/{fix.pk}/undo/"
    assert "Restore 10 records" in client.get(undo).content.decode()
    answer = client.post(undo, {"reason": "wrong country"}, follow=True)
    page = answer.content.decode()
    assert "9 records have their former values again." in page and "shipment/2001" in page


def test_rules_are_kept_with_the_send_and_the_recipe_is_switched_off_on_its_page(world: Fleet) -> None:
    client = login("Operator")
    fix = begin(client)
    keep = {"keep": "on", "keep_days": "x", "keep_cap": "20", "keep_approve": "0"}
    assert "not a whole number" in client.post(table(fix), form(do="send", **keep)).content.decode()
    fix.refresh_from_db()
    assert fix.status == "draft"
    answer = client.post(table(fix), form(do="send", **{**keep, "keep_days": "7"}), follow=True)
    assert "kept for future failures" in answer.content.decode()
    recipe = Recipe.objects.get()
    assert (recipe.daily_cap, recipe.topic) == (20, "shipment.updated")
    assert escape(recipe.name) in client.get("/admin/deliveries/recipe/").content.decode()
    url = f"/admin/deliveries/recipe/{recipe.pk}/"
    assert "Switch off" in client.get(f"{url}change/").content.decode()
    assert login("Viewer").post(f"{url}off/").status_code == 403
    Recipe.objects.update(uses=25)
    assert "It is better to correct the data where it is made" in client.get(f"{url}change/").content.decode()
    client.post(f"{url}off/", {"reason": "done"})
    recipe.refresh_from_db()
    assert not recipe.is_active
    assert "Switched off" in client.get(f"{url}change/").content.decode()
