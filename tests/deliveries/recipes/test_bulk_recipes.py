"""A recipe as a bulk action: planned, run and asked after in the same way as a resend."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from deliveries.models import BulkFix, Delivery, Proposal, Recipe, Replay, Revision
from deliveries.proposals import approve_proposal
from deliveries.recipes.sending import approve_fix, reject_fix
from deliveries.replay import step
from integrations.foundation.audit import Actor
from integrations.models import Store
from tests.api_client import ApiClient, only_error
from tests.deliveries.recipes.morning import FIELD, RULES, Fleet
from tests.doors.world import make_person

pytestmark = pytest.mark.django_db
PLAN = {"action": "recipe", "field": FIELD, "rules": RULES}


@pytest.fixture
def client(world: Fleet) -> ApiClient:
    return ApiClient(world.store, scopes=("manage",))


@pytest.fixture
def manager(world: Fleet) -> Any:
    return Actor.of_user(make_person("Manager", [world.store]))


def failing() -> Delivery:
    return Delivery.objects.filter(status="failed").latest("id")


def work_off(bulk: dict[str, Any]) -> None:
    replay = BulkFix.objects.get(pk=bulk["fix"].removeprefix("fix_")).replay_id
    assert replay is not None
    while not step(replay, timezone.now()).is_over:
        pass


def test_a_plan_says_what_would_become_of_each_and_changes_nothing(world: Fleet) -> None:
    reader = ApiClient(world.store, scopes=("read",))
    answer = reader.post("bulk", PLAN | {"like": failing().public_id, "dry_run": True})
    assert answer.status_code == 202, answer.content
    plan = answer.json()
    assert (plan["id"], plan["action"], plan["status"], plan["total"], plan["left_alone"]) == (
        None,
        "recipe",
        "planned",
        6,
        1,
    )
    assert plan["counts"] == {"fits": 6, "unlike": 1, "unchanged": 0, "breaks": 0}
    odd = next(one for one in plan["sample"] if one["object"] == "2006")
    assert odd["why"] == 'unlike: "call me" becomes "+25411". It has 6 characters; those that arrived have 13.'
    assert reader.post("bulk", PLAN | {"like": failing().public_id}).status_code == 403
    assert not BulkFix.objects.exists() and not Replay.objects.exists()


def test_it_runs_and_its_progress_is_that_of_a_bulk_action(client: ApiClient, world: Fleet, deliver: Any) -> None:
    wanted = {"filter": {"integration": world.integration.slug}, "values": {"2006": "+254711111111"}, "reason": "depot"}
    begun = client.post("bulk", PLAN | wanted).json()
    assert (begun["action"], begun["status"], begun["total"], begun["reason"]) == ("recipe", "running", 7, "depot")
    work_off(begun)
    deliver()
    done = client.get(f"bulk/{begun['id']}").json()
    assert (done["status"], done["done"], done["succeeded"], done["failed_again"]) == ("done", 7, 7, 0)
    assert client.get(f"fixes/{done['fix']}").json()["progress"]["succeeded"] == 7
    assert [(one["id"], one["action"]) for one in client.get("bulk").json()["items"]] == [(begun["id"], "recipe")]
    assert client.post(f"bulk/{begun['id']}/cancel", {}).status_code == 409


def test_deliveries_are_chosen_by_ids_by_case_or_by_likeness(client: ApiClient, world: Fleet) -> None:
    ids = [one.public_id for one in Delivery.objects.filter(status="failed").order_by("id")[:2]]
    group = failing().failure_group
    assert group is not None
    for choice, total in (
        ({"filter": {"ids": ids}}, 2),
        ({"filter": {"group": group.public_id}}, 6),
        ({"filter": {"topic": "shipment.*"}}, 6),
        ({"like": ids[0], "include_unlike": True}, 7),
    ):
        assert client.post("bulk", PLAN | choice | {"dry_run": True}).json()["total"] == total, choice


def test_rules_are_kept_for_later_failures(client: ApiClient) -> None:
    client.post("bulk", PLAN | {"like": failing().public_id, "keep": {"name": "phones", "days": 3}})
    assert Recipe.objects.get().name == "phones"


def test_where_a_second_approver_is_required_it_waits_under_the_same_id(
    client: ApiClient, world: Fleet, manager: Actor
) -> None:
    Store.objects.update(is_approval_required=True)
    begun = client.post("bulk", PLAN | {"like": failing().public_id}).json()
    assert (begun["status"], begun["total"], begun["approval"]) == ("awaiting", 6, begun["fix"])
    assert client.get(f"bulk/{begun['id']}").json() == begun
    assert client.post(f"bulk/{begun['id']}/cancel", {}).status_code == 409
    assert ApiClient().get(f"bulk/{begun['id']}").status_code == 404
    approve_fix(fix=BulkFix.objects.get(), actor=manager)
    running = client.get(f"bulk/{begun['id']}").json()
    assert (running["id"], running["status"], running["total"]) == (begun["id"], "running", 6)


def test_one_that_is_rejected_says_so(client: ApiClient, manager: Actor) -> None:
    Store.objects.update(is_approval_required=True)
    begun = client.post("bulk", PLAN | {"like": failing().public_id}).json()
    reject_fix(fix=BulkFix.objects.get(), actor=manager)
    assert client.get(f"bulk/{begun['id']}").json()["status"] == "rejected"


def test_an_assistant_proposes_it(world: Fleet, manager: Actor) -> None:
    assistant = ApiClient(world.store, scopes=("propose",))
    begun = assistant.post("bulk", PLAN | {"like": failing().public_id}).json()
    proposal = Proposal.objects.get()
    assert (begun["status"], begun["action"], begun["approval"]) == ("awaiting", "recipe", proposal.public_id)
    assert not Replay.objects.exists()
    approve_proposal(proposal=proposal, actor=manager)
    running = assistant.get(f"bulk/{begun['id']}").json()
    assert (running["id"], running["status"], running["approval"]) == (begun["id"], "running", proposal.public_id)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rules": [{"rule": "shout"}]}, "rules[0].rule"),
        ({"rules": "trim"}, "rules"),
        ({"field": "a..b"}, "field"),
        ({"like": "dlv_0"}, "like"),
        ({"like": None}, "filter.ids"),
        ({"like": None, "filter": {"status": "failed"}}, "filter.status"),
        ({"like": None, "filter": {"colour": "red"}}, "filter.colour"),
        ({"like": None, "filter": {"ids": ["x"]}}, "filter.ids"),
        ({"like": None, "filter": {"ids": [f"dlv_{uuid4().hex}"], "topic": "a"}}, "filter.ids"),
        ({"filter": {"topic": "a"}}, "like"),
        ({"rate": 5}, "rate"),
        ({"canary": True}, "canary"),
        ({"values": {"9999": "x"}}, "values.9999"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(client: ApiClient, change: dict[str, Any], field: str) -> None:
    body = PLAN | {"like": failing().public_id} | change
    answer = client.post("bulk", {name: value for name, value in body.items() if value is not None})
    assert (answer.status_code, only_error(answer).get("field")) == (400, field), answer.content
    assert not BulkFix.objects.exists() and not Revision.objects.exists()
