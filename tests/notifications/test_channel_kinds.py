"""Slack, Teams, Discord, PagerDuty, Opsgenie and webhooks: what they are sent, as the vendors document it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.security.signing import standard_signature
from notifications.channels import CHANNEL_KINDS, ChannelError
from notifications.follow_ups import send_follow_ups
from notifications.models import ChannelMessage, Notification, OpenIncident
from notifications.outbox import send_test, send_waiting
from notifications.services import on_groups_resolved
from tests.notifications.incidents import MINUTE, NOW, body, channel_of, fail, failing
from tests.receiver import Received, Receiver, answer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asked")]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"


def opened_and_resolved(vendor: Receiver) -> tuple[Notification, list[Received]]:
    """An incident from its beginning to its end; returns the requests that tell of it."""
    delivery, group = failing()
    fail(delivery, group)
    assert send_waiting(NOW).sent == 1
    assert send_follow_ups(NOW) == 0, "it is not over"
    on_groups_resolved([group.id], "auto", NOW + MINUTE)
    assert send_follow_ups(NOW + MINUTE) == 1
    assert send_follow_ups(NOW + MINUTE) == 0, "once"
    assert not OpenIncident.objects.exists()
    return Notification.objects.get(), vendor.requests


def case_link(notification: Notification) -> str:
    return f"https://desk.example/admin/deliveries/failuregroup/{notification.failure_group_id}/change/"


# --- the vendors' formats ---------------------------------------------------------------------------------------------


def test_slacks_webhook_gets_what_where_how_many_and_a_link_and_hears_of_the_end(vendor: Receiver) -> None:
    channel_of("slack", url=vendor.url(PATH))
    notification, [opened, resolved] = opened_and_resolved(vendor)
    assert (opened.method, opened.target, opened.header("Content-Type")) == ("POST", PATH, "application/json")
    header, section, context, actions = body(opened)["blocks"]
    assert notification.integration is not None
    assert notification.integration.name in header["text"]["text"]
    assert header["text"]["type"] == "plain_text"
    assert section["text"] == {"type": "plain_text", "text": "out of paper"}
    assert f"{notification.count} failure" in context["elements"][0]["text"]
    assert actions["elements"][0]["url"] == case_link(notification)
    assert body(opened)["text"].endswith(case_link(notification))
    assert "Resolved" in body(resolved)["blocks"][0]["text"]["text"]


def test_slacks_bot_changes_its_message_in_place(vendor: Receiver) -> None:
    posted = {"ok": True, "channel": "C0123456789", "ts": "1503435956.000247"}
    vendor.script(answer(200, json.dumps(posted).encode()))
    channel_of("slack", token="xoxb-not-a-real-token", channel="C0123456789")
    _, [opened, resolved] = opened_and_resolved(vendor)
    assert (opened.target, resolved.target) == ("/api/chat.postMessage", "/api/chat.update")
    assert opened.header("Authorization") == "Bearer xoxb-not-a-real-token"
    assert body(opened)["channel"] == "C0123456789"
    assert (body(resolved)["channel"], body(resolved)["ts"]) == ("C0123456789", "1503435956.000247")


def test_slack_refuses_with_status_200(vendor: Receiver) -> None:
    vendor.script(answer(200, b'{"ok":false,"error":"channel_not_found"}'))
    channel = channel_of("slack", token="xoxb-not-a-real-token", channel="C0")
    with pytest.raises(ChannelError, match="channel_not_found") as refused:
        send_test(channel=channel, recipient=channel.recipients[0])
    assert refused.value.permanent


def test_teams_gets_an_adaptive_card(vendor: Receiver) -> None:
    vendor.script(answer(202, b""))
    channel_of("teams", url=vendor.url("/workflows/abc"))
    notification, [opened, resolved] = opened_and_resolved(vendor)
    assert body(opened)["type"] == "message"
    [attachment] = body(opened)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open in Hookdesk", "url": case_link(notification)}]
    assert "out of paper" in opened.body.decode()
    assert "Resolved" in resolved.body.decode()


def test_an_old_connector_of_teams_refuses_with_status_200(vendor: Receiver) -> None:
    said = b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    vendor.script(answer(200, said))
    channel = channel_of("teams", url=vendor.url("/workflows/abc"))
    with pytest.raises(ChannelError, match="HTTP error 429") as refused:
        send_test(channel=channel, recipient=channel.recipients[0])
    assert not refused.value.permanent


def test_discords_message_mentions_nobody_and_is_edited(vendor: Receiver) -> None:
    vendor.script(answer(200, b'{"id":"1234567890","channel_id":"1"}'))
    channel_of("discord", url=vendor.url("/api/webhooks/1/token?thread_id=7"))
    _, [opened, resolved] = opened_and_resolved(vendor)
    assert (opened.method, opened.target) == ("POST", "/api/webhooks/1/token?thread_id=7&wait=true")
    assert resolved.method == "PATCH"
    assert resolved.target == "/api/webhooks/1/token/messages/1234567890?thread_id=7"
    assert body(opened)["allowed_mentions"] == {"parse": []}
    [embed] = body(opened)["embeds"]
    assert embed["description"] == "out of paper"
    assert body(resolved)["embeds"][0]["color"] != embed["color"]


def test_pagerduty_is_triggered_and_resolved_by_the_cases_key(vendor: Receiver) -> None:
    vendor.script(answer(202, b'{"status":"success","message":"Event processed","dedup_key":"x"}'))
    channel_of("pagerduty", routing_key="R0123456789")
    notification, [opened, resolved] = opened_and_resolved(vendor)
    assert opened.target == resolved.target == "/v2/enqueue"
    trigger = body(opened)
    assert notification.failure_group is not None
    key = f"hookdesk-{notification.failure_group.public_id}"
    assert (trigger["routing_key"], trigger["event_action"], trigger["dedup_key"]) == ("R0123456789", "trigger", key)
    assert {"summary", "source", "severity"} <= set(trigger["payload"])
    assert trigger["payload"]["severity"] == "error"
    assert trigger["client_url"] == case_link(notification)
    assert body(resolved) == {"routing_key": "R0123456789", "event_action": "resolve", "dedup_key": key}


def test_opsgenies_alert_is_created_and_closed_by_alias(vendor: Receiver) -> None:
    vendor.script(answer(202, b'{"result":"Request will be processed","took":0.3,"requestId":"43a29c5c"}'))
    channel_of("opsgenie", api_key="eb243592-not-a-key")
    _, [opened, resolved] = opened_and_resolved(vendor)
    assert opened.target == "/v2/alerts"
    assert opened.header("Authorization") == "GenieKey eb243592-not-a-key"
    alert = body(opened)
    assert len(alert["message"]) <= 130
    assert resolved.target == f"/v2/alerts/{alert['alias']}/close?identifierType=alias"
    assert body(resolved)["source"] == "Hookdesk"


def test_the_webhook_is_signed_and_names_the_case(vendor: Receiver) -> None:
    channel_of("webhook", url=vendor.url("/hook"), secret=SECRET)
    notification, requests = opened_and_resolved(vendor)
    assert notification.failure_group is not None
    for request, event in zip(requests, ("opened", "resolved"), strict=True):
        identity, stamp = request.header("webhook-id"), request.header("webhook-timestamp")
        assert identity is not None
        assert stamp is not None
        assert request.header("webhook-signature") == standard_signature([SECRET], identity, int(stamp), request.body)
        content = body(request)
        assert content["type"] == f"hookdesk.case.{event}"
        assert content["data"]["case"] == notification.failure_group.public_id
        assert content["data"]["link"] == case_link(notification)
    assert requests[0].header("webhook-id") != requests[1].header("webhook-id")


# --- secrets, fields and addresses ------------------------------------------------------------------------------------


def test_no_secret_is_in_an_error(vendor: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    vendor.script(answer(403, f"no: {PATH}".encode()))
    channel = channel_of("slack", url=vendor.url(PATH))
    fail(*failing())
    send_waiting(NOW)
    [message] = ChannelMessage.objects.all()
    assert message.status == "failed"
    pager = channel_of("pagerduty", routing_key="R0123456789abcdef")
    vendor.script(answer(400, b"bad key R0123456789abcdef"))
    with pytest.raises(ChannelError) as refused:
        send_test(channel=pager, recipient="PagerDuty")
    assert refused.value.status == 400
    channel.refresh_from_db()
    everything = caplog.text + channel.last_error + message.error + message.text + refused.value.message
    assert "R0123456789abcdef" not in everything
    assert vendor.url(PATH) not in everything


def test_channels_obey_the_address_guard(settings: Any, vendor: Receiver) -> None:
    channel = channel_of("webhook", url=vendor.url("/hook"), secret=SECRET)
    settings.OUTBOUND_ALLOW = []
    with pytest.raises(ChannelError):
        send_test(channel=channel, recipient=channel.recipients[0])
    assert vendor.requests == []


def test_secrets_are_encrypted_in_the_database(vendor: Receiver) -> None:
    from django.db import connection

    channel_of("pagerduty", routing_key="R0123456789abcdef")
    with connection.cursor() as cursor:
        cursor.execute("SELECT options FROM notifications_channel")
        assert "R0123" not in str(cursor.fetchone())


@pytest.mark.parametrize(
    ("kind", "options", "wrong"),
    [
        ("slack", {}, ["url"]),
        ("slack", {"token": "xoxb-1"}, ["channel"]),
        ("slack", {"url": "ftp://hooks.slack.com/x"}, ["url"]),
        ("slack", {"token": "xoxb-1", "channel": "C0"}, []),
        ("teams", {}, ["url"]),
        ("discord", {"url": "nowhere"}, ["url"]),
        ("pagerduty", {}, ["routing_key"]),
        ("opsgenie", {}, ["api_key"]),
        ("webhook", {"url": "https://example.com/"}, ["secret"]),
        ("webhook", {"url": "https://example.com/", "secret": "short"}, ["secret"]),
        ("webhook", {"url": "https://example.com/", "secret": SECRET}, []),
    ],
)
def test_fields_are_checked_before_they_are_saved(kind: str, options: dict[str, str], wrong: list[str]) -> None:
    assert list(CHANNEL_KINDS[kind].check(options)) == wrong


@pytest.mark.parametrize("kind", sorted(set(CHANNEL_KINDS) - {"email", "sms"}))
def test_every_kind_sends_a_test(vendor: Receiver, kind: str) -> None:
    vendor.script(answer(200, b'{"ok":true,"id":"1"}'))
    values = {"url": vendor.url("/hook"), "secret": SECRET, "routing_key": "R0", "api_key": "K0"}
    channel = channel_of(kind, **{each.name: values.get(each.name, "") for each in CHANNEL_KINDS[kind].fields})
    send_test(channel=channel, recipient=channel.recipients[0])
    assert "test of the channel on call" in vendor.requests[0].body.decode()
    channel.refresh_from_db()
    assert channel.last_error == ""
