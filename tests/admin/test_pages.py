"""Every page of the desk opens, for whom it should, without anything inline that the policy would refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.test import Client, RequestFactory
from django.urls import reverse

from deliveries.models import Delivery
from notifications.models import Channel
from tests.factories import (
    AccessTokenFactory,
    IntegrationFactory,
    NotificationFactory,
    RecordFactory,
    SecretFactory,
    TopicFactory,
    UserFactory,
)

#: What a Content-Security-Policy without unsafe-inline refuses. A block of JSON is no script.
INLINE = re.compile(
    r"<script(?![^>]*(?:\bsrc=|\btype=\"application/json\"))[^>]*>|<style\b|\sstyle=|\son[a-z]+=\"|javascript:",
    re.IGNORECASE,
)


#: What a page is about, made from a failed delivery. Pages of the same model share it.
OF_ROWS: dict[str, Callable[[Delivery], Any]] = {
    "deliveries_delivery_change": lambda failed: failed.pk,
    "deliveries_delivery_resolve": lambda failed: failed.pk,
    "deliveries_delivery_edit": lambda failed: failed.pk,
    "deliveries_delivery_confirm": lambda failed: failed.pk,
    "deliveries_delivery_watch": lambda failed: failed.pk,
    "deliveries_delivery_watch_live": lambda failed: failed.pk,
    "deliveries_delivery_status": lambda failed: failed.pk,
    "deliveries_delivery_test": lambda failed: failed.integration_id,
    "deliveries_failuregroup_change": lambda failed: failed.failure_group_id,
    "deliveries_event_change": lambda failed: failed.event_id,
    "deliveries_attempt_change": lambda failed: failed.attempts.get().pk,
    "deliveries_record_change": lambda failed: RecordFactory(store=failed.store).pk,
    "integrations_integration_change": lambda failed: failed.integration_id,
    "integrations_integration_secret": lambda failed: failed.integration_id,
    "integrations_integration_delete": lambda failed: failed.integration_id,
    "integrations_integration_turn": lambda failed: IntegrationFactory(store=failed.store, wire_format="turn").pk,
    "integrations_store_change": lambda failed: failed.store_id,
    "subscriptions_subscription_change": lambda failed: failed.subscription_id,
    "subscriptions_subscription_delete": lambda failed: failed.subscription_id,
    "subscriptions_topic_change": lambda failed: TopicFactory(store=failed.store, schema={"type": "object"}).pk,
    "notifications_notification_change": lambda failed: (
        NotificationFactory(
            store=failed.store, integration=failed.integration, delivery=failed, failure_group=failed.failure_group
        ).pk
    ),
    "notifications_channel_change": lambda failed: Channel.objects.get().pk,
}
ADDED = ("integrations_integration", "subscriptions_subscription", "subscriptions_topic", "integrations_store")
KINDS = (
    "standard",
    "hub",
    "notification",
    "flat",
    "xml",
    "turn",
    "twilio_sms",
    "mailchimp",
    "campaign_monitor",
    "email",
)
#: Names of all other pages, with what follows in the address.
OTHERS: dict[str, tuple[str, str]] = {
    **{f"list of {model._meta.label}": (f"{model._meta.label_lower.replace('.', '_')}_changelist", "")
       for model in django_admin.site._registry},
    **{f"add {name}": (f"{name}_add", "") for name in ADDED},
    **{f"add {kind}": ("integrations_integration_add", f"?kind={kind}") for kind in KINDS},
    "dashboard": ("index", ""),
    "fragment": ("desk_fragment", ""),
    "heartbeat": ("desk_heartbeat", ""),
    "replay": ("deliveries_replay_add", "?status=failed"),
    "all": ("deliveries_delivery_changelist", "?tab=all"),
    "resolved": ("deliveries_failuregroup_changelist", "?tab=resolved"),
}  # fmt: skip
every_page = pytest.mark.parametrize("name", [*OF_ROWS, *OTHERS])


def address_of(name: str, failed: Delivery) -> str:
    """The address of a page that has something on it."""
    SecretFactory(integration=failed.integration)
    AccessTokenFactory(store=failed.store)
    Channel.objects.create(name="On call", kind="email", recipients=["a@example.com"], last_error="refused")
    if name in OF_ROWS:
        return reverse(f"admin:{name}", args=[OF_ROWS[name](failed)])
    view, query = OTHERS[name]
    return reverse(f"admin:{view}") + query


@every_page
def test_every_page_opens_and_holds_nothing_inline(admin: Client, failed: Callable[..., Delivery], name: str) -> None:
    response = admin.get(address_of(name, failed(others=2)))
    assert response.status_code == 200
    assert INLINE.findall(response.text) == []
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in response.headers["Content-Security-Policy"]


@every_page
def test_without_a_login_every_page_asks_for_one(client: Client, failed: Callable[..., Delivery], name: str) -> None:
    response = client.get(address_of(name, failed()))
    assert response.status_code == 302
    assert reverse("admin:login") in response.headers["Location"]


def test_a_viewer_opens_what_shows_and_changes_nothing(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    delivery = failed()
    client = browse("Viewer")
    lists = ("delivery", "failuregroup", "event", "record", "attempt", "replay")
    answered = {name: client.get(reverse(f"admin:deliveries_{name}_changelist")).status_code for name in lists}
    assert answered == dict.fromkeys(lists, 200)
    page = client.get(reverse("admin:deliveries_delivery_change", args=[delivery.pk]))
    assert page.status_code == 200
    assert "Resolve…" not in page.text
    assert "Discard…" not in page.text


@pytest.mark.parametrize("model", ["event", "delivery", "attempt", "record", "failuregroup", "replay", "engine"])
def test_what_has_happened_is_neither_changed_nor_deleted(rf: RequestFactory, db: None, model: str) -> None:
    registered = {each._meta.label_lower: page for each, page in django_admin.site._registry.items()}
    page: Any = registered[f"deliveries.{model}"]
    request = rf.get("/admin/")
    request.user = UserFactory()
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)
    assert page.get_actions(request) == {}


def test_what_is_not_there_or_not_allowed_says_what_to_do(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    delivery = failed()
    client = browse("Viewer")
    missing = client.get(reverse("admin:deliveries_failuregroup_change", args=[999_999]))
    assert missing.status_code == 404
    assert "Page not found" in missing.text
    refused = client.get(reverse("admin:deliveries_delivery_edit", args=[delivery.pk]))
    assert refused.status_code == 403
    assert "nothing was changed" in refused.text
