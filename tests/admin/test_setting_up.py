"""Setting things up: integrations, secrets, tokens, subscriptions, topics, channels, each with its history."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.urls import reverse

from deliveries.models import Attempt, Delivery, Replay
from integrations.models import AccessToken, AuditEntry, Integration, Store
from notifications.models import Channel
from subscriptions.models import Subscription, Topic
from tests.factories import (
    AccessTokenFactory,
    EventFactory,
    IntegrationFactory,
    SecretFactory,
    StoreFactory,
    SubscriptionFactory,
)
from tests.receiver import answer

ADD = "admin:integrations_integration_add"
CHANGE = "admin:integrations_integration_change"


def secrets_on(page: str) -> list[str]:
    return re.findall(r'<div class="secret-once".*?<pre[^>]*>([^<]+)</pre>', page, re.DOTALL)


def test_the_kinds_come_first(admin: Client, db: None) -> None:
    page = admin.get(reverse(ADD)).text
    for kind in ("standard", "hub", "notification", "flat", "xml", "turn", "twilio_sms", "mailchimp", "email"):
        assert f"?kind={kind}" in page


def test_a_kind_asks_only_for_what_it_needs(admin: Client, db: None) -> None:
    StoreFactory()
    twilio = admin.get(reverse(ADD) + "?kind=twilio_sms").text
    assert 'name="parameter_account_sid"' in twilio
    assert 'name="url"' not in twilio
    xml = admin.get(reverse(ADD) + "?kind=xml").text
    assert 'name="additional_data"' in xml
    assert 'name="url"' in xml


def test_an_integration_is_made_and_its_secret_shown_once(admin: Client, db: None) -> None:
    store = StoreFactory()
    data = {"store": store.pk, "name": "ERP", "url": "http://127.0.0.1:9/hook", "auth_type": "bearer", "token": "tkn-1"}
    response = admin.post(reverse(ADD) + "?kind=standard", data)
    made = Integration.objects.get()
    assert response.headers["Location"] == reverse(CHANGE, args=[made.pk])
    assert (made.wire_format, made.token, made.slug) == ("standard", "tkn-1", "erp")
    secret = made.secrets.get().value
    # Neither on its way, in the session's row, nor in the history.
    assert all(secret not in json.dumps(session.get_decoded()) for session in Session.objects.all())
    page = admin.get(reverse(CHANGE, args=[made.pk])).text
    assert secrets_on(page) == [secret]
    assert secrets_on(admin.get(reverse(CHANGE, args=[made.pk])).text) == []
    entry = AuditEntry.objects.get(target_type="integration")
    assert "tkn-1" not in json.dumps(entry.after)
    assert secret not in json.dumps(entry.after)


@pytest.mark.parametrize(
    "data",
    [{"url": "http://169.254.169.254/"}, {"url": ""}, {"name": ""}, {"headers": '{"Host": "x"}'}, {"timeout": "999"}],
)
def test_what_is_refused_is_said_at_its_field(admin: Client, db: None, data: dict[str, str]) -> None:
    store = StoreFactory()
    good = {"store": store.pk, "name": "ERP", "url": "http://127.0.0.1:9/hook", "auth_type": "none"}
    response = admin.post(reverse(ADD) + "?kind=standard", {**good, **data})
    assert response.status_code == 200
    assert 'class="errorlist"' in response.text
    assert not Integration.objects.exists()


def test_saving_keeps_the_token_and_masked_parameters(admin: Client, db: None) -> None:
    integration = IntegrationFactory(
        wire_format="hub", token="tkn-1", auth_type="hub", parameters={"sid": "AC1", "n": "x"}
    )
    page = admin.get(reverse(CHANGE, args=[integration.pk])).text
    assert "AC1" not in page
    assert "tkn-1" not in page
    data = {
        "name": "New",
        "url": integration.url,
        "auth_type": "hub",
        "token": "",
        "parameters": '{"sid": "***", "n": "y"}',
    }
    assert admin.post(reverse(CHANGE, args=[integration.pk]), data).status_code == 302
    integration.refresh_from_db()
    assert (integration.name, integration.token) == ("New", "tkn-1")
    assert integration.parameters == {"sid": "AC1", "n": "y"}
    assert AuditEntry.objects.filter(target_type="integration", action="change").count() == 1


def test_a_connectors_credentials_stay_when_left_empty(admin: Client, db: None) -> None:
    integration = IntegrationFactory(
        connector="twilio_sms", url="", parameters={"account_sid": "AC1", "auth_token": "s3cret", "from": "+1555"}
    )
    address = reverse(CHANGE, args=[integration.pk])
    assert "s3cret" not in admin.get(address).text
    data = {"name": "SMS", "parameter_account_sid": "AC2", "parameter_auth_token": "", "parameter_from": ""}
    assert admin.post(address, data).status_code == 302
    integration.refresh_from_db()
    assert integration.parameters == {"account_sid": "AC2", "auth_token": "s3cret", "from": "+1555"}


def test_repairing_from_the_wizard_leads_back_to_the_delivery(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    data = {"name": "Fixed", "url": "http://127.0.0.1:9/new", "auth_type": "none", "resolve": str(delivery.pk)}
    response = admin.post(reverse(CHANGE, args=[delivery.integration_id]), data)
    confirm = reverse("admin:deliveries_delivery_confirm", args=[delivery.pk])
    assert response.headers["Location"] == f"{confirm}?action=retry"
    assert admin.post(reverse(CHANGE, args=[delivery.integration_id]), {**data, "resolve": "//evil"}).headers[
        "Location"
    ] == reverse("admin:integrations_integration_changelist")


def test_a_new_secret_is_shown_once_and_the_old_one_goes_on(admin: Client, db: None) -> None:
    old = SecretFactory()
    admin.post(reverse("admin:integrations_integration_secret", args=[old.integration_id]))
    shown = secrets_on(admin.get(reverse(CHANGE, args=[old.integration_id])).text)
    assert shown == [old.integration.secrets.get(expires_at=None).value]
    assert old.integration.secrets.count() == 2


def test_switching_off_and_on_and_deleting(admin: Client, db: None) -> None:
    integration = IntegrationFactory()
    admin.post(reverse("admin:integrations_integration_switch", args=[integration.pk]))
    integration.refresh_from_db()
    assert not integration.is_enabled
    admin.post(reverse("admin:integrations_integration_switch", args=[integration.pk]))
    integration.refresh_from_db()
    assert integration.is_enabled
    admin.post(reverse("admin:integrations_integration_delete", args=[integration.pk]), {"reason": "gone"})
    assert not Integration.objects.alive().exists()
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["disable", "enable", "delete"]
    assert admin.get(reverse(CHANGE, args=[integration.pk])).status_code == 404


def test_a_test_shows_request_and_answer(admin: Client, db: None, receiver: Any) -> None:
    receiver.script(answer(500, b"<b>out of paper</b>"))
    integration = IntegrationFactory(url=receiver.url(), token="tkn-secret", auth_type="bearer")
    address = reverse("admin:deliveries_delivery_test", args=[integration.pk])
    assert admin.post(address).status_code == 302
    page = admin.get(address).text
    assert "HTTP 500" in page
    assert "&lt;b&gt;out of paper&lt;/b&gt;" in page
    assert "tkn-secret" not in page
    assert Attempt.objects.get().trigger == "test"


def test_a_turn_integration_is_drawn_as_a_chat_sees_it(admin: Client, db: None, receiver: Any) -> None:
    body = {
        "context_objects": {"facts": ["<b>tall</b>", "old"], "language": {"code": "en"}},
        "suggested_responses": [{"type": "TEXT", "title": "Hi", "body": "Hello there"}],
        "actions": {"refund": {"description": "Refund", "url": "/act", "options": {"1": "all"}}},
    }
    receiver.script(answer(200, json.dumps(body).encode()))
    integration = IntegrationFactory(url=receiver.url(), wire_format="turn", auth_type="bearer", token="t")
    address = reverse("admin:integrations_integration_turn", args=[integration.pk])
    document = json.dumps({"chat": {"owner": "+27"}, "messages": []})
    page = admin.post(address, {"document": document}).text
    for wanted in ("&lt;b&gt;tall&lt;/b&gt;", "Hello there", "Refund", "language"):
        assert wanted in page
    page = admin.post(address, {"document": document, "action": "refund", "option": "1"}).text
    assert "answered 200" in page
    assert "did not offer" in admin.post(address, {"document": document, "action": "other"}).text
    assert "not JSON" in admin.post(address, {"document": "{"}).text


def test_a_store_and_its_tokens(admin: Client, db: None) -> None:
    admin.post(reverse("admin:integrations_store_add"), {"name": "Foo", "singular_overrides": "{}"})
    store = Store.objects.get()
    address = reverse("admin:integrations_store_change", args=[store.pk])
    page = admin.get(address).text
    assert f"X-Hub-Store: {store.pk}" in page
    issue = reverse("admin:integrations_store_issue", args=[store.pk])
    admin.post(issue, {"name": "shop", "scopes": ["push"]})
    token = AccessToken.objects.get()
    shown = secrets_on(admin.get(address).text)
    assert len(shown) == 1
    assert AccessToken.hash_of(shown[0]) == token.token_hash
    assert shown[0] not in admin.get(address).text
    assert "scope" in admin.post(issue, {"name": "shop"}, follow=True).text
    assert AccessToken.objects.count() == 1
    actions = AuditEntry.objects.order_by("id").values_list("target_type", "action")
    assert list(actions) == [("store", "create"), ("accesstoken", "create")]


def test_tokens_are_shown_to_those_who_may_see_them(browse: Callable[..., Client], db: None) -> None:
    token = AccessTokenFactory(name="shop plugin")
    address = reverse("admin:integrations_store_change", args=[token.store_id])
    assert "shop plugin" in browse("Manager").get(address).text
    assert "shop plugin" not in browse("Viewer").get(address).text


def test_changing_a_store_is_in_the_history(admin: Client, db: None) -> None:
    store = StoreFactory(name="Foo")
    data = {"name": "Foo", "singular_overrides": "{}", "is_reason_required": "on"}
    admin.post(reverse("admin:integrations_store_change", args=[store.pk]), data)
    entry = AuditEntry.objects.get()
    assert (entry.before or {})["is_reason_required"] is False
    assert (entry.after or {})["is_reason_required"] is True
    page = admin.get(reverse("admin:integrations_auditentry_change", args=[entry.pk])).text
    assert "is_reason_required" in page


def test_a_subscription_is_made_changed_and_deleted(admin: Client, db: None) -> None:
    integration = IntegrationFactory()
    data = {"integration": integration.pk, "topics": "shipment.*, order.new", "is_active": "on", "filter": "id"}
    admin.post(reverse("admin:subscriptions_subscription_add"), data)
    made = Subscription.objects.get()
    assert made.topics == ["shipment.*", "order.created"]
    assert made.store == integration.store
    address = reverse("admin:subscriptions_subscription_change", args=[made.pk])
    assert "column" in admin.post(address, {**data, "filter": "a ==="}).text
    assert admin.post(address, {**data, "topics": "all"}).status_code == 302
    made.refresh_from_db()
    assert made.topics == ["*"] or made.topics == ["all"]
    admin.post(reverse("admin:subscriptions_subscription_delete", args=[made.pk]), {"reason": "done"})
    assert not Subscription.objects.alive().exists()
    assert AuditEntry.objects.filter(target_type="subscription").count() == 3


def test_the_preview_says_match_or_not_and_shows_the_request(admin: Client, db: None) -> None:
    integration = IntegrationFactory(name="ERP", token="tkn-secret", auth_type="bearer")
    EventFactory(store=integration.store, data={"id": "7", "note": "<script>alert(1)</script>"})
    address = reverse("admin:deliveries_delivery_preview")
    data = {
        "integration": integration.pk,
        "topics": "shipment.updated",
        "filter": "id == '7'",
        "transform": "{n: note}",
    }
    page = admin.post(address, data).text
    assert "would be sent" in page
    assert integration.url in page
    assert "tkn-secret" not in page
    assert "<script" not in page
    assert "would not be sent" in admin.post(address, {**data, "filter": "id == '8'"}).text
    assert "errorlist" in admin.post(address, {**data, "filter": "=="}).text
    assert "Choose an integration" in admin.post(address, {"topics": "x"}).text
    assert not Delivery.objects.exists()
    assert not Subscription.objects.exists()


def test_anothers_integration_is_not_previewed(browse: Callable[..., Client], db: None) -> None:
    integration = IntegrationFactory()
    EventFactory(store=integration.store, data={"id": "secret"})
    client = browse("Manager", stores=[StoreFactory()])
    data = {"integration": integration.pk, "topics": "all"}
    page = client.post(reverse("admin:deliveries_delivery_preview"), data).text
    assert "Choose an integration" in page
    made = client.post(reverse("admin:subscriptions_subscription_add"), {**data, "is_active": "on"})
    assert made.status_code == 200
    assert not Subscription.objects.exists()


def test_a_topic_is_described_and_checked(admin: Client, db: None) -> None:
    store = StoreFactory()
    add = reverse("admin:subscriptions_topic_add")
    wrong = {"store": store.pk, "name": "order.paid", "schema": '{"type": "nonsense"}', "condition": "a ==="}
    page = admin.post(add, wrong).text
    assert "not a JSON Schema" in page
    assert not Topic.objects.exists()
    admin.post(add, {**wrong, "schema": '{"type": "object"}', "condition": ""})
    topic = Topic.objects.get()
    admin.post(
        reverse("admin:subscriptions_topic_change", args=[topic.pk]),
        {"name": "order.paid", "schema": "", "description": "paid"},
    )
    topic.refresh_from_db()
    assert (topic.schema, topic.description) == (None, "paid")
    assert AuditEntry.objects.filter(target_type="topic").count() == 2


def test_a_channel_is_made_and_tested_and_its_token_never_shown(admin: Client, db: None) -> None:
    data = {
        "name": "On call", "kind": "email", "recipients": "a@example.com\nb@example.com", "level": "error",
        "window_minutes": "60", "digest_minutes": "0", "is_enabled": "on", "auth_token": "tkn-secret",
    }  # fmt: skip
    add = reverse("admin:notifications_channel_add")
    assert "errorlist" in admin.post(add, {**data, "recipients": "no address"}).text
    admin.post(add, data)
    channel = Channel.objects.get()
    assert channel.recipients == ["a@example.com", "b@example.com"]
    address = reverse("admin:notifications_channel_change", args=[channel.pk])
    assert "tkn-secret" not in admin.get(address).text
    admin.post(address, {**data, "auth_token": "", "name": "Night"})
    channel.refresh_from_db()
    assert (channel.name, channel.auth_token) == ("Night", "tkn-secret")
    assert "tkn-secret" not in json.dumps(list(AuditEntry.objects.values_list("before", "after")))
    test = reverse("admin:notifications_channel_test", args=[channel.pk])
    admin.post(test, {"recipient": "a@example.com"})
    assert [message.to for message in mail.outbox] == [["a@example.com"]]
    assert admin.post(test, {"recipient": "stranger@example.com"}).status_code == 404


def test_a_replay_is_previewed_begun_paused_and_cancelled(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed(others=4)
    address = reverse("admin:deliveries_replay_add")
    query = {"action": "retry", "group": delivery.failure_group_id, "status": "failed"}
    page = admin.get(address, query).text
    assert "Resend 5 deliveries" in page
    response = admin.post(address, {**query, "rate": "50", "reason": "they are back"})
    replay = Replay.objects.get()
    assert (replay.total, replay.per_second, replay.reason) == (5, 50, "they are back")
    assert response.headers["Location"] == reverse("admin:deliveries_replay_change", args=[replay.pk])
    for step, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        admin.post(reverse("admin:deliveries_replay_step", args=[replay.pk]), {"step": step})
        replay.refresh_from_db()
        assert replay.status == status
    live = admin.get(reverse("admin:deliveries_replay_live", args=[replay.pk]))
    assert live.headers["X-Desk-Over"] == "1"


def test_a_replay_keeps_to_the_stores_of_whoever_begins_it(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    theirs = failed(others=1)
    mine = SubscriptionFactory()
    client = browse("Operator", stores=[mine.store])
    address = reverse("admin:deliveries_replay_add")
    assert "Nothing matches" in client.get(address, {"status": "failed"}).text
    asked = {"status": "failed", "action": "discard", "store": str(theirs.store_id)}
    assert client.post(address, asked).status_code == 404
    client.post(address, {"status": "failed", "action": "discard"})
    assert not Replay.objects.filter(total__gt=0).exists()
    assert theirs.store.pk != mine.store.pk
