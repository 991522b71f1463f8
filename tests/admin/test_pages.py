"""Every page of the desk opens, for whom it should, without anything inline that the policy would refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.test import Client
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
)

#: What a Content-Security-Policy without unsafe-inline refuses.
INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|<style\b|\sstyle=|\son[a-z]+=\"|javascript:", re.IGNORECASE)


def every_address(failed: Delivery) -> dict[str, str]:
    """The address of each kind of page, with something on it."""
    integration = failed.integration
    SecretFactory(integration=integration)
    AccessTokenFactory(store=failed.store)
    turn = IntegrationFactory(store=failed.store, wire_format="turn", name="Care desk")
    channel = Channel.objects.create(name="On call", kind="email", recipients=["a@example.com"], last_error="refused")
    of = {
        "deliveries_delivery_change": failed.pk,
        "deliveries_delivery_resolve": failed.pk,
        "deliveries_delivery_edit": failed.pk,
        "deliveries_delivery_confirm": failed.pk,
        "deliveries_delivery_watch": failed.pk,
        "deliveries_delivery_watch_live": failed.pk,
        "deliveries_delivery_status": failed.pk,
        "deliveries_delivery_test": integration.pk,
        "deliveries_failuregroup_change": failed.failure_group_id,
        "deliveries_event_change": failed.event_id,
        "deliveries_attempt_change": failed.attempts.get().pk,
        "deliveries_record_change": RecordFactory(store=failed.store).pk,
        "integrations_integration_change": integration.pk,
        "integrations_integration_secret": integration.pk,
        "integrations_integration_delete": integration.pk,
        "integrations_integration_turn": turn.pk,
        "integrations_store_change": failed.store_id,
        "subscriptions_subscription_change": failed.subscription_id,
        "subscriptions_subscription_delete": failed.subscription_id,
        "subscriptions_topic_change": TopicFactory(store=failed.store, schema={"type": "object"}).pk,
        "notifications_notification_change": NotificationFactory(
            store=failed.store, integration=integration, delivery=failed, failure_group=failed.failure_group
        ).pk,
        "notifications_channel_change": channel.pk,
    }
    found = {name: reverse(f"admin:{name}", args=[pk]) for name, pk in of.items()}
    for model in django_admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}_changelist"
        found[name] = reverse(f"admin:{name}")
    for name in ("integrations_integration", "subscriptions_subscription", "subscriptions_topic", "integrations_store"):
        found[f"{name}_add"] = reverse(f"admin:{name}_add")
    kinds = ("standard", "hub", "notification", "flat", "xml", "turn", "twilio_sms", "mailchimp", "campaign_monitor")
    found |= {
        f"add {kind}": reverse("admin:integrations_integration_add") + f"?kind={kind}" for kind in (*kinds, "email")
    }
    return found | {
        "dashboard": reverse("admin:index"),
        "fragment": reverse("admin:desk_fragment"),
        "heartbeat": reverse("admin:desk_heartbeat"),
        "replay": reverse("admin:deliveries_replay_add") + "?status=failed",
        "all": reverse("admin:deliveries_delivery_changelist") + "?tab=all",
        "resolved": reverse("admin:deliveries_failuregroup_changelist") + "?tab=resolved",
    }


def test_every_page_opens_and_holds_nothing_inline(admin: Client, failed: Callable[..., Delivery]) -> None:
    for name, address in every_address(failed(others=2)).items():
        response = admin.get(address)
        assert response.status_code == 200, f"{name} answered {response.status_code}"
        assert not (found := INLINE.findall(response.text)), f"{name} has {found[:3]}"
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        assert "unsafe-inline" not in response.headers["Content-Security-Policy"]


def test_without_a_login_every_page_asks_for_one(client: Client, failed: Callable[..., Delivery]) -> None:
    for name, address in every_address(failed()).items():
        response = client.get(address)
        assert response.status_code == 302, name
        assert reverse("admin:login") in response.headers["Location"], name


def test_a_viewer_opens_what_shows_and_changes_nothing(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    delivery = failed()
    client = browse("Viewer")
    for name in ("delivery", "failuregroup", "event", "record", "attempt", "replay"):
        assert client.get(reverse(f"admin:deliveries_{name}_changelist")).status_code == 200, name
    page = client.get(reverse("admin:deliveries_delivery_change", args=[delivery.pk]))
    assert page.status_code == 200
    assert "Resolve…" not in page.text
    assert "Discard…" not in page.text


@pytest.mark.parametrize("model", ["event", "delivery", "attempt", "record", "failuregroup", "replay", "engine"])
def test_what_has_happened_is_neither_changed_nor_deleted(admin: Client, db: None, model: str) -> None:
    registered = {each._meta.label_lower: page for each, page in django_admin.site._registry.items()}
    page: Any = registered[f"deliveries.{model}"]
    request: Any = type("Request", (), {"user": None})()
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)
    assert page.get_actions is not None
    assert page.actions is None


def test_what_is_not_there_or_not_allowed_says_what_to_do(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    delivery = failed()
    client = browse("Viewer")
    missing = client.get(reverse("admin:deliveries_failuregroup_change", args=[999_999]))
    assert missing.status_code == 404
    assert "There is nothing here" in missing.text
    refused = client.get(reverse("admin:deliveries_delivery_edit", args=[delivery.pk]))
    assert refused.status_code == 403
    assert "nothing was changed" in refused.text
