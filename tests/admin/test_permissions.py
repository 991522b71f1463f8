"""Role × action: who may, does it; who may not gets 403 and nothing has changed (promise 23)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deliveries.models import BulkFix, Delivery, Event, Recipe, Replay, Revision
from integrations.foundation.audit import Actor
from integrations.models import AccessToken, AuditEntry, Integration, Source, SourceAddress, SourceSecret
from integrations.services import create_source
from notifications.models import Channel, Notification
from subscriptions.models import Subscription
from tests.factories import AccessTokenFactory, NotificationFactory, SecretFactory, StoreFactory

ROLES = ("Viewer", "Operator", "Manager")
OPERATORS = {"Operator", "Manager"}
MANAGERS = {"Manager"}


@dataclass(frozen=True)
class Action:
    """One thing that changes something: its address, what is posted, who may."""

    address: str
    pk: str
    allowed: set[str]
    data: dict[str, Any] = field(default_factory=dict)
    #: 302 where a page follows; 200 where the answer is the page itself, with what was found or what is still wrong.
    answer: int = 302


EDITED = json.dumps({"id": "1000", "status": "ready", "shipping_address": {"firstname": "Joe", "phone": "555"}})
ACTIONS = {
    "edit draft": Action("deliveries_delivery_edit", "delivery", OPERATORS, {"payload": EDITED}),
    "check": Action("deliveries_delivery_check", "delivery", OPERATORS, {"payload": EDITED}, answer=200),
    "resend": Action("deliveries_delivery_confirm", "delivery", OPERATORS, {"action": "retry"}, answer=200),
    "discard": Action("deliveries_delivery_confirm", "delivery", OPERATORS, {"action": "discard", "reason": "no"}),
    "wait": Action("deliveries_delivery_confirm", "delivery", OPERATORS, {"action": "wait"}, answer=200),
    "release": Action("deliveries_delivery_confirm", "delivery", OPERATORS, {"action": "release"}),
    "resend alike": Action("deliveries_delivery_confirm", "delivery", OPERATORS, {"action": "retry", "alike": "on"}),
    "approve": Action("deliveries_delivery_approval", "delivery", MANAGERS, {"revision": "1", "decision": "approve"}),
    "reject": Action("deliveries_delivery_approval", "delivery", MANAGERS, {"revision": "1", "decision": "reject"}),
    "close group": Action("deliveries_failuregroup_close", "group", OPERATORS),
    "pause replay": Action("deliveries_replay_step", "replay", OPERATORS, {"step": "pause"}),
    "test a repair": Action("deliveries_replay_repair_test", "integration", OPERATORS),
    "resend after a repair": Action("deliveries_replay_repair", "integration", OPERATORS, answer=200),
    "approve bulk fix": Action("deliveries_bulkfix_decide", "bulk fix", MANAGERS, {"decision": "approve"}),
    "undo bulk fix": Action("deliveries_bulkfix_undo", "bulk fix", OPERATORS),
    "switch recipe off": Action("deliveries_recipe_off", "recipe", OPERATORS),
    "resolve notification": Action("notifications_notification_resolve", "notification", OPERATORS),
    "set objectives": Action("deliveries_delivery_objectives", "integration", MANAGERS, {"target": "99.9"}),
    "switch": Action("integrations_integration_switch", "integration", MANAGERS),
    "new secret": Action("integrations_integration_secret", "integration", MANAGERS),
    "delete integration": Action("integrations_integration_delete", "integration", MANAGERS),
    "change integration": Action(
        "integrations_integration_change", "integration", MANAGERS, {"name": "X", "url": ""}, answer=200
    ),
    "switch source": Action("integrations_source_switch", "source", MANAGERS),
    "new secret of a source": Action("integrations_source_secret", "source", MANAGERS),
    "new address": Action("integrations_source_address", "source", MANAGERS),
    "delete source": Action("integrations_source_delete", "source", MANAGERS),
    "change source": Action("integrations_source_change", "source", MANAGERS, {"name": "", "mode": "x"}, answer=200),
    "send a sample": Action("deliveries_sourcerequest_sample", "source", MANAGERS),
    "issue token": Action("integrations_store_issue", "store", MANAGERS, {"name": "shop", "scopes": "push"}),
    "change subscription": Action(
        "subscriptions_subscription_change", "subscription", MANAGERS, {"topics": "all"}, answer=200
    ),
    "delete subscription": Action("subscriptions_subscription_delete", "subscription", MANAGERS),
}


def fix_rows(delivery: Delivery) -> dict[str, Any]:
    now = timezone.now()
    return {
        "bulk fix": BulkFix.objects.create(
            store=delivery.store, status="awaiting", place="/status", author_name="bo", created_at=now
        ).pk,
        "recipe": Recipe.objects.create(
            store=delivery.store,
            integration=delivery.integration,
            place="/status",
            rules=[],
            owner_name="bo",
            expires_at=now,
            daily_cap=1,
            created_at=now,
        ).pk,
    }


def rows(delivery: Delivery) -> dict[str, Any]:
    SecretFactory(integration=delivery.integration)
    Revision.objects.create(
        delivery=delivery, number=1, data={"id": "1000"}, patch=[], author_name="bo", is_awaiting_approval=True
    )
    return {
        "delivery": delivery.pk,
        "group": delivery.failure_group_id,
        "integration": delivery.integration_id,
        "source": create_source(store=delivery.store, actor=Actor(None, "bo"), name="GitHub", kind="github").pk,
        "store": delivery.store_id,
        "subscription": delivery.subscription_id,
        "notification": NotificationFactory(store=delivery.store).pk,
        "replay": Replay.objects.create(action="retry", created_by_name="bo", store=delivery.store).pk,
        **fix_rows(delivery),
    }


def state() -> list[Any]:
    """All that an action could change."""
    return [
        list(Delivery.objects.order_by("id").values_list("status", "revision", "due_at", "is_awaiting_source")),
        list(Revision.objects.order_by("id").values_list("is_awaiting_approval", "approved_at", "rejected_at")),
        list(Replay.objects.order_by("id").values_list("status")),
        list(Notification.objects.order_by("id").values_list("status")),
        list(Integration.objects.order_by("id").values_list("name", "is_enabled", "deleted_at")),
        [integration.secrets.count() for integration in Integration.objects.order_by("id")],
        list(Subscription.objects.order_by("id").values_list("topics", "deleted_at")),
        list(Source.objects.order_by("id").values_list("name", "is_enabled", "deleted_at")),
        [SourceSecret.objects.count(), SourceAddress.objects.count(), Event.objects.filter(origin="source").count()],
        AccessToken.objects.count(),
        AuditEntry.objects.count(),
    ]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ACTIONS)
def test_only_those_who_may_change_something(
    browse: Callable[..., Client], failed: Callable[..., Delivery], role: str, name: str
) -> None:
    action, found = ACTIONS[name], rows(failed(others=1))
    client = browse(role)
    before = state()
    response = client.post(reverse(f"admin:{action.address}", args=[found[action.pk]]), action.data)
    if role in action.allowed:
        assert response.status_code == action.answer
    else:
        assert response.status_code == 403
        assert state() == before


@pytest.mark.parametrize("name", [name for name, action in ACTIONS.items()])
def test_another_stores_things_are_not_found(
    browse: Callable[..., Client], failed: Callable[..., Delivery], name: str
) -> None:
    action, found = ACTIONS[name], rows(failed(others=1))
    client = browse("Manager", stores=[StoreFactory()])
    before = state()
    response = client.post(reverse(f"admin:{action.address}", args=[found[action.pk]]), action.data)
    assert response.status_code == 404
    assert state() == before


@pytest.mark.parametrize("name", ["selection", "approval", "check", "preview"])
def test_changes_want_a_post(admin: Client, failed: Callable[..., Delivery], name: str) -> None:
    delivery = failed()
    args = [] if name in ("selection", "preview") else [delivery.pk]
    assert admin.get(reverse(f"admin:deliveries_delivery_{name}", args=args)).status_code == 405


@pytest.mark.parametrize("name", [name for name in ACTIONS if name != "check"])
def test_changes_want_a_csrf_token(staff: Callable[..., Any], failed: Callable[..., Delivery], name: str) -> None:
    action, found = ACTIONS[name], rows(failed())
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff(None))
    before = state()
    response = client.post(reverse(f"admin:{action.address}", args=[found[action.pk]]), action.data)
    assert response.status_code == 403
    assert state() == before


def test_a_permission_that_is_taken_away_counts_at_the_next_step(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    delivery = failed()
    client = browse("Operator")
    assert (
        client.post(reverse("admin:deliveries_delivery_edit", args=[delivery.pk]), {"payload": EDITED}).status_code
        == 302
    )
    from django.contrib.auth.models import User

    User.objects.get(groups__name="Operator").groups.clear()
    response = client.post(reverse("admin:deliveries_delivery_review", args=[delivery.pk]), {})
    assert response.status_code == 403
    delivery.refresh_from_db()
    assert delivery.status == "failed"


def test_staff_limited_to_a_store_see_only_its_rows(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    theirs = failed()
    mine = StoreFactory(name="Mine")
    client = browse("Manager", stores=[mine])
    for app, model in (
        ("deliveries", "delivery"), ("deliveries", "failuregroup"), ("deliveries", "event"), ("deliveries", "attempt"),
        ("integrations", "integration"), ("integrations", "source"), ("integrations", "store"), ("subscriptions", "subscription"),
        ("notifications", "notification"),
    ):  # fmt: skip
        NotificationFactory(store=theirs.store, integration=theirs.integration, summary="Texting is down")
        page = client.get(reverse(f"admin:{app}_{model}_changelist") + "?tab=all").text
        assert "Texting" not in page, model
        assert theirs.store.name not in page, model


def test_a_channel_of_all_stores_is_not_for_staff_of_one(browse: Callable[..., Client], db: None) -> None:
    mine = StoreFactory()
    everywhere = Channel.objects.create(name="Everywhere", kind="email", recipients=["a@example.com"])
    ours = Channel.objects.create(name="Ours", kind="email", recipients=["a@example.com"])
    ours.stores.add(mine)
    page = browse("Manager", stores=[mine]).get(reverse("admin:notifications_channel_changelist")).text
    assert "Ours" in page
    assert everywhere.name not in page


def test_revoking_wants_the_permission_and_keeps_others_tokens(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    token = AccessTokenFactory(store=failed().store)
    address = reverse("admin:integrations_store_revoke", args=[token.store_id, token.pk])
    assert browse("Operator").post(address).status_code == 403
    assert browse("Manager", stores=[StoreFactory()]).post(address).status_code == 404
    assert browse("Manager").post(address).status_code == 302
    token.refresh_from_db()
    assert token.revoked_at is not None
