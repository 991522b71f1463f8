"""A token that may only propose sends nothing: what it asks for waits for a person, and leaves everything as it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from deliveries.maintenance.retention import prune
from deliveries.models import BulkFix, BulkFixItem, Delivery, Proposal, Recipe, Replay, Revision
from deliveries.proposals import approve_proposal, reject_proposal
from deliveries.proposals.waiting import waiting_count
from deliveries.resolution import ResolutionError, edit_delivery, retry_delivery
from integrations.foundation.audit import HOOKDESK, Actor
from integrations.models import AuditEntry, StaffProfile
from tests.api_client import ApiClient, only_error
from tests.deliveries.recipes.morning import FIELD
from tests.factories import DeliveryFactory, EventFactory, FailureGroupFactory, SubscriptionFactory, UserFactory

NOW = timezone.now()
pytestmark = pytest.mark.django_db


@pytest.fixture
def assistant() -> ApiClient:
    return ApiClient(scopes=("propose",))


@pytest.fixture
def manager() -> Any:
    user = UserFactory(is_superuser=False, username="max")
    user.groups.add(Group.objects.get(name="Manager"))
    StaffProfile.objects.create(user=user, sees_all_stores=True)
    return user


def failing(client: ApiClient, count: int = 1, **values: Any) -> list[Delivery]:
    subscription = SubscriptionFactory(integration__store=client.store)
    group = FailureGroupFactory(integration=subscription.integration)
    made = []
    for number in range(count):
        data = {"id": str(number), "shipping_address": {"phone": f" +4179{number}"}}
        event = EventFactory(store=client.store, object_type="shipment", object_id=str(number), data=data)
        values = {"status": "failed", "failure_group": group, "attempt_count": 1} | values
        made.append(DeliveryFactory(subscription=subscription, event=event, **values))
    return made


def approve(user: Any, number: int = 1) -> Proposal:
    proposal = Proposal.objects.order_by("created_at")[number - 1]
    return approve_proposal(proposal=proposal, actor=Actor.of_user(user))


def resolve(client: ApiClient, delivery: Delivery, **body: Any) -> Any:
    return client.post(f"deliveries/{delivery.public_id}/resolve", body)


def state(delivery: Delivery) -> tuple[str, Any, int]:
    delivery.refresh_from_db()
    return delivery.status, delivery.due_at, delivery.revision


def test_an_edit_waits_says_who_and_what_and_is_sent_as_proposed_once_approved(
    assistant: ApiClient, manager: Any
) -> None:
    [delivery] = failing(assistant)
    before = state(delivery)
    answer = resolve(assistant, delivery, action="edit", payload={"id": "0", "phone": "+41"}, reason="no blanks")
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["status"], shown["action"], shown["reason"]) == ("awaiting", "edit", "no blanks")
    assert shown["author"] == f"token {assistant.token.name}"
    assert shown["delivery"] == delivery.public_id
    assert {step["op"] for step in shown["patch"]} == {"add", "remove"}
    assert state(delivery) == before and not Revision.objects.exists()
    assert assistant.get("approvals").json()["items"] == [shown]
    assert waiting_count(manager) == 1

    approve(manager)
    revision = Revision.objects.get()
    assert (revision.data, revision.author_name, revision.approved_by) == (
        {"id": "0", "phone": "+41"}, shown["author"], manager,
    )  # fmt: skip
    assert state(delivery)[0] == "pending" and delivery.revision == 1
    decided = assistant.get(f"approvals/{shown['id']}").json()
    assert (decided["status"], decided["decided_by"]) == ("approved", "max")
    assert set(AuditEntry.objects.values_list("action", flat=True)) >= {"propose", "edit", "approve"}


def test_a_proposal_holds_nothing_back_and_one_that_came_too_late_is_not_sent(
    assistant: ApiClient, manager: Any
) -> None:
    [delivery] = failing(assistant, status="retrying")
    due = state(delivery)
    assert resolve(assistant, delivery, action="edit", payload={"id": "0"}).status_code == 202
    assert state(delivery) == due
    retry_delivery(delivery=delivery, actor=HOOKDESK)
    Delivery.objects.filter(pk=delivery.pk).update(status="succeeded", due_at=None, finished_at=NOW)
    with pytest.raises(ResolutionError, match="has succeeded since"):
        approve(manager)
    assert (state(delivery)[0], Proposal.objects.get().status) == ("succeeded", "awaiting")


def test_what_would_be_refused_cannot_be_proposed(assistant: ApiClient) -> None:
    [delivery] = failing(assistant)
    assert resolve(assistant, delivery, action="edit", payload=delivery.event.data).status_code == 409
    assert resolve(assistant, delivery, action="edit").status_code == 400
    Delivery.objects.update(status="sending", lease=uuid4(), due_at=NOW, finished_at=None)
    assert resolve(assistant, delivery, action="retry").status_code == 409
    assert assistant.post("bulk", {"action": "retry", "filter": {"status": "failed"}}).status_code == 409
    Delivery.objects.update(status="failed", lease=None, due_at=None, finished_at=NOW)
    edit_delivery(delivery=delivery, payload={"id": "0"}, actor=HOOKDESK, needs_approval=True)
    assert resolve(assistant, delivery, action="edit", payload={"id": "0", "x": 1}).status_code == 409
    assert not Proposal.objects.exists()


@pytest.mark.parametrize(("action", "status"), [("retry", "pending"), ("discard", "discarded")])
def test_a_resend_and_a_discard_of_one(assistant: ApiClient, manager: Any, action: str, status: str) -> None:
    [delivery] = failing(assistant)
    assert resolve(assistant, delivery, action=action).status_code == 202
    assert state(delivery)[0] == "failed"
    approve(manager)
    assert state(delivery)[0] == status


def test_a_bulk_resend_is_for_what_there_was_when_it_was_proposed(assistant: ApiClient, manager: Any) -> None:
    failing(assistant, 3)
    later = (NOW + timedelta(days=1)).isoformat()
    body = {"action": "retry", "filter": {"status": "failed", "until": later}, "reason": "the receiver is back"}
    answer = assistant.post("bulk", body)
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["status"], shown["total"]) == ("awaiting", 3)
    assert not Replay.objects.exists()
    failing(assistant, 2)
    assert approve(manager).replay is not None
    replay = Replay.objects.get()
    assert (replay.total, replay.created_by_name, replay.reason) == (3, shown["created_by"], "the receiver is back")
    running = assistant.get(f"bulk/{shown['id']}").json()
    assert (running["id"], running["status"], running["approval"]) == (shown["id"], "running", shown["approval"])


def test_a_past_event_and_a_backfill(assistant: ApiClient, manager: Any) -> None:
    subscription = SubscriptionFactory(integration__store=assistant.store, topics=["shipment.created"])
    event = EventFactory(store=assistant.store, topic="shipment.created", object_id="7", data={"id": "7"})
    named = assistant.get("subscriptions").json()["items"][0]["id"]
    answer = assistant.post(f"events/{event.public_id}/deliver", {"subscription": named})
    assert (answer.status_code, answer.json()["action"]) == (202, "deliver")
    since = {"subscription": named, "since": "2020-01-01T00:00:00Z", "again": True}
    assert assistant.post("backfills", since).status_code == 202
    assert not Delivery.objects.exists()
    approve(manager)
    assert Delivery.objects.get().subscription == subscription
    approve(manager, 2)
    assert Replay.objects.get().action == "backfill"


def test_a_fix_by_rules_and_a_recipe(assistant: ApiClient, manager: Any) -> None:
    deliveries = failing(assistant, 3)
    body = {"like": deliveries[0].public_id, "field": FIELD, "rules": [{"rule": "trim"}], "keep": {"name": "blanks"}}
    answer = assistant.post("recipes/apply", body)
    assert answer.status_code == 202, answer.content
    assert answer.json()["result"].startswith("fix_")
    assert assistant.get(f"fixes/{answer.json()['result']}").json()["status"] == "awaiting"
    assert not Recipe.objects.exists() and not Replay.objects.exists()
    # Staff are not kept from anything meanwhile.
    retry_delivery(delivery=deliveries[0], actor=HOOKDESK)
    Delivery.objects.filter(pk=deliveries[0].pk).update(status="failed", due_at=None, finished_at=NOW)
    approve(manager)
    assert (Replay.objects.get().total, Recipe.objects.get().name) == (3, "blanks")


def test_a_rejected_fix_sends_nothing(assistant: ApiClient, manager: Any) -> None:
    [delivery] = failing(assistant)
    body = {"like": delivery.public_id, "field": FIELD, "rules": [{"rule": "trim"}]}
    answer = assistant.post("recipes/apply", body).json()
    reject_proposal(proposal=Proposal.objects.get(), actor=Actor.of_user(manager), reason="No.")
    shown = assistant.get(f"approvals/{answer['id']}").json()
    assert (shown["status"], shown["decision_reason"]) == ("rejected", "No.")
    assert assistant.get(f"fixes/{answer['result']}").json()["status"] == "rejected"
    assert state(delivery)[0] == "failed"


def test_old_proposals_are_pruned_with_what_they_hold(assistant: ApiClient) -> None:
    [delivery] = failing(assistant)
    body = {"like": delivery.public_id, "field": FIELD, "rules": [{"rule": "trim"}]}
    assistant.post("recipes/apply", body)
    resolve(assistant, delivery, action="retry")
    old = NOW - timedelta(days=100)
    Proposal.objects.update(created_at=old)
    BulkFix.objects.update(created_at=old)
    kept = resolve(assistant, delivery, action="discard").json()["id"]
    prune(before=NOW - timedelta(days=90))
    assert [one["id"] for one in assistant.get("approvals").json()["items"]] == [kept]
    assert (BulkFix.objects.get().status, BulkFixItem.objects.exists()) == ("rejected", False)


def test_no_program_approves_and_a_proposer_takes_back_only_its_own(assistant: ApiClient) -> None:
    [delivery] = failing(assistant)
    mine = resolve(assistant, delivery, action="retry").json()["id"]
    other = ApiClient(assistant.store, scopes=("propose",))
    for client in (assistant, other, ApiClient(assistant.store)):
        answer = client.post(f"approvals/{mine}/approve")
        assert (answer.status_code, "by a person" in only_error(answer)["message"]) == (403, True)
    assert other.post(f"approvals/{mine}/reject", {}).status_code == 403
    assert ApiClient().get(f"approvals/{mine}").status_code == 404
    assert assistant.post(f"approvals/{mine}/reject", {"reason": "a mistake"}).json()["status"] == "rejected"
    assert assistant.post(f"approvals/{mine}/reject", {}).status_code == 409
    assert state(delivery)[0] == "failed"


def test_who_issued_the_token_approves_unless_the_store_asks_for_a_second_person(
    assistant: ApiClient, manager: Any
) -> None:
    first, second = failing(assistant, 2)
    assistant.token.issuers.add(manager)
    resolve(assistant, first, action="retry")
    resolve(assistant, second, action="retry")
    approve(manager)
    assistant.store.is_approval_required = True
    assistant.store.save()
    with pytest.raises(ResolutionError, match="You issued the token"):
        approve(manager, 2)
    assert (state(first)[0], state(second)[0]) == ("pending", "failed")


def test_other_scopes_do_not_outdo_propose(assistant: ApiClient) -> None:
    [delivery] = failing(assistant)
    client = ApiClient(assistant.store, scopes=("propose", "resolve", "manage"))
    assert resolve(client, delivery, action="retry").status_code == 202
    assert client.post(f"cases/{delivery.failure_group.public_id}/resolve").status_code == 403
    assert client.post("tokens", {"name": "more", "scopes": ["resolve"]}).status_code == 403
    assert client.post("topics", {"name": "user.created"}).status_code == 201
    assert (state(delivery)[0], Proposal.objects.count()) == ("failed", 1)


def test_any_token_may_ask_for_a_person(assistant: ApiClient) -> None:
    [delivery] = failing(assistant)
    answer = resolve(ApiClient(assistant.store), delivery, action="retry", propose=True)
    assert answer.status_code == 202
    assert state(delivery)[0] == "failed"
