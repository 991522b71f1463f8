"""SMS and e-mail: one per incident, recipient and window."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from deliveries.hooks import DeliveryChange
from notifications import routing, tasks
from notifications.channels import ChannelError, provider_for
from notifications.models import Channel, ChannelMessage, Notification
from notifications.outbox import prune_messages, send_test, send_waiting
from notifications.services import on_announced, on_groups_resolved, on_settled
from tests.factories import DeliveryFactory, IntegrationFactory, StoreFactory
from tests.notifications.incidents import MINUTE, NOW, fail, failing, sent_sms, sms_channel
from tests.receiver import Receiver, hang

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asked")]


def test_an_incident_becomes_one_sms_by_the_vendors_own_package(twilio: Receiver) -> None:
    sms_channel()
    delivery, group = failing()
    fail(delivery, group)
    assert twilio.requests == []
    assert send_waiting(NOW).sent == 1
    [request] = twilio.requests
    assert (request.method, request.target) == ("POST", "/2010-04-01/Accounts/AC123/Messages.json")
    assert request.header("Authorization") == "Basic QUMxMjM6dHdpbGlvLXNlY3JldA=="
    [sms] = sent_sms(twilio)
    assert (sms["From"], sms["To"]) == ("+15550199", "+15550100")
    assert "out of paper" in sms["Body"]
    notification = Notification.objects.get()
    assert sms["Body"].endswith(f" https://desk.example/admin/notifications/notification/{notification.pk}/change/")
    message = ChannelMessage.objects.get()
    assert (message.status, message.sent_at, message.text) == ("sent", NOW, sms["Body"])
    assert Channel.objects.get().last_sent_at == NOW


def test_a_worker_is_asked_after_the_commit(
    twilio: Receiver, asked: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    sms_channel()
    with django_capture_on_commit_callbacks(execute=True):
        fail(*failing())
        assert asked == []
    assert asked == ["notifications.tasks.send_waiting"]


def test_a_queue_that_is_down_delays_messages_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, twilio: Receiver, django_capture_on_commit_callbacks: Any
) -> None:
    def down(*_: Any) -> None:
        raise ConnectionError("the broker is down")

    monkeypatch.setattr("django_q.tasks.async_task", down)
    sms_channel()
    with django_capture_on_commit_callbacks(execute=True):
        fail(*failing())
    assert ChannelMessage.objects.get().status == "waiting"
    assert send_waiting(NOW).sent == 1, "by the schedule"


def test_more_failures_of_the_same_incident_send_nothing_more(twilio: Receiver) -> None:
    sms_channel()
    delivery, group = failing()
    for minute in range(5):
        fail(delivery, group, NOW + minute * MINUTE)
        send_waiting(NOW + minute * MINUTE)
    assert len(twilio.requests) == 1


def test_an_incident_that_flickers_is_one_sms_per_window(twilio: Receiver) -> None:
    sms_channel(window_minutes=60)
    delivery, group = failing()
    # At the end of one fixed window and the beginning of the next: still within an hour of each other.
    for minutes in (59, 61, 70, 118):
        now = NOW + minutes * MINUTE
        fail(delivery, group, now)
        send_waiting(now)
        on_groups_resolved([group.id], "auto", now)
    assert len(twilio.requests) == 1
    later = NOW + 125 * MINUTE
    fail(delivery, group, later)
    send_waiting(later)
    assert len(twilio.requests) == 2


def test_two_engines_that_queue_the_same_incident_queue_it_once(twilio: Receiver) -> None:
    sms_channel()
    fail(*failing())
    notification = Notification.objects.get()
    routing.queue_messages([notification.pk], NOW)
    ChannelMessage.objects.update(created_at=NOW - timedelta(days=1))  # hides it from the first look
    routing.queue_messages([notification.pk], NOW)
    assert ChannelMessage.objects.count() == 1


def test_each_recipient_gets_one(twilio: Receiver) -> None:
    sms_channel(recipients=["+15550100", "+15550101", "+15550100"])
    fail(*failing())
    assert send_waiting(NOW).sent == 2
    assert {sms["To"] for sms in sent_sms(twilio)} == {"+15550100", "+15550101"}


def test_level_store_and_integration_filter() -> None:
    delivery, group = failing()
    other_store, other_integration = StoreFactory(), IntegrationFactory()
    wanted = {
        sms_channel(name="all"),
        sms_channel(name="low", level="info"),
        sms_channel(name="ours"),
        sms_channel(name="printer"),
    }
    Channel.objects.get(name="ours").stores.add(delivery.store)
    Channel.objects.get(name="printer").integrations.add(group.integration)
    sms_channel(name="other store").stores.add(other_store)
    sms_channel(name="other integration").integrations.add(other_integration)
    sms_channel(name="off", is_enabled=False)
    fail(delivery, group)
    assert {message.channel for message in ChannelMessage.objects.all()} == wanted
    ChannelMessage.objects.all().delete()
    on_announced(delivery.store_id, None, "disk", "warning", "nearly full", NOW)
    assert [message.channel.name for message in ChannelMessage.objects.all()] == ["low"]


def test_what_receivers_say_of_success_goes_to_channels_that_want_it_once_a_window() -> None:
    sms_channel()
    curious = sms_channel(name="curious", level="info")
    delivery = DeliveryFactory()
    for minute in range(3):
        said = DeliveryChange(
            delivery.id, delivery.store_id, delivery.integration_id, "succeeded", f"order {minute} booked"
        )
        on_settled([said], NOW + minute * MINUTE)
    assert ChannelMessage.objects.get().channel == curious


def test_quiet_hours_let_it_sleep_until_they_end(twilio: Receiver, asked: list[str]) -> None:
    sms_channel(quiet_from=time(11), quiet_until=time(13, 30))
    fail(*failing())
    assert send_waiting(NOW).sent == 0
    assert asked == []
    assert send_waiting(NOW + timedelta(minutes=90)).sent == 1


def test_what_was_resolved_in_the_meantime_wakes_nobody(twilio: Receiver) -> None:
    sms_channel(quiet_from=time(11), quiet_until=time(13))
    delivery, group = failing()
    fail(delivery, group)
    on_groups_resolved([group.id], "auto", NOW + MINUTE)
    assert send_waiting(NOW + timedelta(hours=2)).dropped == 1
    assert twilio.requests == []
    fail(delivery, group, NOW + timedelta(hours=2))
    assert send_waiting(NOW + timedelta(hours=2)).sent == 1


def test_a_digest_is_one_message_with_all_of_a_slot(twilio: Receiver) -> None:
    sms_channel(digest_minutes=15, recipients=["+15550100", "+15550101"])
    for minute, words in ((0, "out of paper"), (5, "no ink")):
        fail(*failing(), NOW + minute * MINUTE, words)
        send_waiting(NOW + minute * MINUTE)
    assert twilio.requests == []
    assert send_waiting(NOW + 15 * MINUTE).sent == 2
    for sms in sent_sms(twilio):
        assert sms["Body"].startswith("Hookdesk: 2 incidents.")
        assert "out of paper" in sms["Body"]
        assert "no ink" in sms["Body"]
    assert set(ChannelMessage.objects.values_list("status", flat=True)) == {"sent"}


def test_an_incident_costs_a_few_statements_and_no_network_however_many_recipients(twilio: Receiver) -> None:
    sms_channel(recipients=[f"+1555{number:07}" for number in range(200)])
    twilio.script(hang())
    delivery, group = failing()
    with CaptureQueriesContext(connection) as queries:
        fail(delivery, group)
    assert len(queries) < 14
    assert ChannelMessage.objects.count() == 200
    assert twilio.connections == 0


# --- providers ----------------------------------------------------------------------------------------------------
def test_an_e_mail_goes_out_by_djangos_mail(settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "hookdesk@example.com"
    Channel.objects.create(name="mail", kind="email", recipients=["ops@example.com"])
    fail(*failing(), message="first line\nBcc: victim@example.com")
    assert send_waiting(NOW).sent == 1
    [message] = mail.outbox
    assert (message.to, message.from_email) == (["ops@example.com"], "hookdesk@example.com")
    assert message.subject.startswith("[Hookdesk] error: ")
    assert "first line" in message.body
    assert message.recipients() == ["ops@example.com"]


def test_a_channel_without_credentials_says_what_is_missing(settings: Any) -> None:
    settings.TWILIO_ACCOUNT_SID = settings.TWILIO_AUTH_TOKEN = settings.TWILIO_FROM = ""
    channel = sms_channel(account_sid="", auth_token="", sender="")
    with pytest.raises(ChannelError, match="TWILIO_ACCOUNT_SID") as caught:
        send_test(channel=channel, recipient="+15550100")
    assert caught.value.permanent
    channel.refresh_from_db()
    assert "TWILIO_FROM" in channel.last_error


def test_a_test_message_goes_out_at_once_and_clears_the_error(twilio: Receiver) -> None:
    channel = sms_channel(quiet_from=time(0), quiet_until=time(23, 59), last_error="old")
    send_test(channel=channel, recipient="+15550111", now=NOW)
    [sms] = sent_sms(twilio)
    assert sms["To"] == "+15550111"
    channel.refresh_from_db()
    assert (channel.last_error, channel.last_sent_at) == ("", NOW)


@pytest.mark.parametrize(
    ("kind", "recipient", "is_good"),
    [
        ("sms", "+15551234567", True),
        ("sms", "5551234567", False),
        ("sms", "+1555\r\n", False),
        ("email", "ops@example.com", True),
        ("email", "ops@example.com\nBcc: x@example.com", False),
        ("email", "nobody", False),
    ],
)
def test_recipients_are_checked(kind: str, recipient: str, is_good: bool) -> None:
    provider = provider_for(Channel(kind=kind))
    if is_good:
        provider.check_recipient(recipient)
    else:
        with pytest.raises(ValueError, match="is not a"):
            provider.check_recipient(recipient)


def test_an_unknown_kind_is_a_permanent_error() -> None:
    with pytest.raises(ChannelError):
        provider_for(Channel(kind="pigeon"))


# --- tasks --------------------------------------------------------------------------------------------------------
def test_the_task_says_what_it_did(twilio: Receiver) -> None:
    assert tasks.send_waiting() == "0 sent, 0 failed, 0 dropped"


def test_old_messages_are_forgotten_and_waiting_ones_kept(twilio: Receiver) -> None:
    sms_channel(recipients=["+15550100", "+15550101"])
    fail(*failing())
    ChannelMessage.objects.filter(recipient="+15550100").update(status="sent")
    assert prune_messages(NOW) == 0
    assert prune_messages(NOW + MINUTE) == 1
    assert ChannelMessage.objects.get().status == "waiting"
    assert tasks.prune() == 0
