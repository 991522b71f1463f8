"""Hundreds of incidents in a minute cause a few messages, and what receivers write into them is harmless."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from deliveries.hooks import DeliveryChange
from notifications.models import Channel, ChannelMessage, Notification
from notifications.outbox import send_waiting
from notifications.services import on_announced, on_settled
from notifications.texts import harmless
from tests.factories import DeliveryFactory, StoreFactory
from tests.notifications.incidents import NOW, fail, failing, sent_sms, sms_channel
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


FLOOD = 240


def flood(count: int = FLOOD) -> None:
    """`count` incidents in one minute; every second a worker sends what is due."""
    store = StoreFactory()
    for second in range(60):
        now = NOW + second * SECOND
        for number in range(second, count, 60):
            on_announced(store.pk, None, f"disk {number}", "error", f"disk {number} is full", now)
        send_waiting(now)


@pytest.mark.parametrize("digest_minutes", [0, 15])
def test_a_flood_of_incidents_is_a_few_messages_that_count_them_all(twilio: Receiver, digest_minutes: int) -> None:
    sms_channel(recipients=["+15550100", "+15550101"], digest_minutes=digest_minutes)
    flood()
    assert Notification.objects.count() == FLOOD
    assert len(twilio.requests) <= 2 * 6

    for minute in range(1, 21):
        send_waiting(NOW + timedelta(minutes=minute))
    assert len(twilio.requests) <= 2 * 7
    assert set(ChannelMessage.objects.values_list("status", flat=True)) == {"sent"}
    told = 0
    for sms in sent_sms(twilio):
        assert len(sms["Body"]) <= 320
        counted = sms["Body"].removeprefix("Hookdesk: ").partition(" incidents.")[0]
        told += int(counted) if counted.isdigit() else 1
    assert told == 2 * FLOOD
    assert sum(len(text) for text in ChannelMessage.objects.values_list("text", flat=True)) < 200 * FLOOD


def test_an_endless_flood_is_a_dozen_messages_an_hour(twilio: Receiver) -> None:
    sms_channel()
    store = StoreFactory()
    for minute in range(60):
        now = NOW + timedelta(minutes=minute)
        for number in range(5):
            on_announced(store.pk, None, f"disk {minute} {number}", "error", "full", now)
        send_waiting(now)

    assert len(twilio.requests) <= 5 + 12


def test_a_flood_at_one_channel_delays_no_other_recipient(twilio: Receiver) -> None:
    flooded = StoreFactory()
    sms_channel().stores.add(flooded)
    delivery, group = failing()
    sms_channel(name="quiet", recipients=["+15550199"]).stores.add(delivery.store)
    for number in range(300):
        on_announced(flooded.pk, None, f"disk {number}", "error", "full", NOW)
    fail(delivery, group)
    send_waiting(NOW)

    assert [sms["To"] for sms in sent_sms(twilio)].count("+15550199") == 1
    assert len(twilio.requests) == 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://evil.example/login now", "see https[://]evil[.]example/login now"),
        ("HTTP://EVIL.EXAMPLE", "HTTP[://]EVIL[.]EXAMPLE"),
        ("www.evil.example", "www[.]evil[.]example"),
        ("log in at evil.com or desk-login.co/a", "log in at evil[.]com or desk-login[.]co/a"),
        ("mailto://x.example tel://1", "mailto[://]x[.]example tel[://]1"),
        ("order.lines is missing. Sorry. 1.5 kg, v2.0", "order.lines is missing. Sorry. 1.5 kg, v2.0"),
        ("a\r\nERROR  forged\x00\x1b[31m", "a ERROR forged [31m"),
        ("moc\u202eexe\u200b", "moc exe"),
    ],
)
def test_words_of_others_hold_no_link_and_nothing_invisible(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_a_mail_tells_what_a_receiver_answered_as_text_of_one_line_each(settings: Any) -> None:
    settings.PUBLIC_URL = "https://desk.example"
    Channel.objects.create(name="mail", kind="email", recipients=["ops@example.com"])
    delivery, group = failing()
    delivery.store.name = "Shop\nBcc: x@example.com\r\n\r\nhttps://evil.example/"
    delivery.store.save()
    fail(delivery, group, message="<b>Resolve:</b>\n\nResolve: https://evil.example/login " + "x" * 10_000)
    assert send_waiting(NOW).sent == 1

    [message] = mail.outbox
    raw = message.message().as_string()
    assert message.recipients() == ["ops@example.com"]
    assert "\nBcc:" not in raw
    assert "evil.example" not in message.subject + message.body
    assert len(message.body) < 1_500
    assert message.body.count("https://") == 1
    assert not message.alternatives


def test_what_receivers_say_of_success_floods_nobody_either(twilio: Receiver) -> None:
    sms_channel(level="info")
    delivery = DeliveryFactory()
    for letter in range(120):
        words = "booked " + "".join(chr(97 + int(digit)) for digit in str(letter))
        said = DeliveryChange(delivery.id, delivery.store_id, delivery.integration_id, "succeeded", words)
        on_settled([said], NOW)
        send_waiting(NOW)

    assert len(twilio.requests) <= 6
