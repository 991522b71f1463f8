"""Twilio is down, slow or refuses, and workers die: messages are tried again or given up, and deliveries never notice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from deliveries.models import Delivery
from notifications.models import Channel, ChannelMessage, Notification
from notifications.outbox import send_waiting
from tests.notifications.incidents import MINUTE, NOW, TAKEN, fail, failing, sms_channel
from tests.receiver import Receiver, answer, hang, reset

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asked")]


@pytest.mark.parametrize("fault", [hang(), reset(), answer(503, b"<html>busy</html>"), answer(429, b"{}")])
def test_a_broken_twilio_touches_no_delivery_and_is_tried_again(twilio: Receiver, fault: Any) -> None:
    sms_channel()
    twilio.script(fault)
    delivery, group = failing()
    fail(delivery, group)
    before = Delivery.objects.filter(pk=delivery.pk).values().get()
    send_waiting(NOW)
    message = ChannelMessage.objects.get()
    assert (message.status, message.attempts) == ("waiting", 1)
    assert message.error == Channel.objects.get().last_error != ""
    assert Delivery.objects.filter(pk=delivery.pk).values().get() == before
    assert Notification.objects.get().status == "open"

    twilio.script(TAKEN)
    assert send_waiting(NOW + timedelta(seconds=30)).sent == 0
    assert send_waiting(NOW + MINUTE).sent == 1
    assert Channel.objects.get().last_error == ""


def test_after_three_tries_it_is_given_up_and_the_channel_shows_why(twilio: Receiver) -> None:
    sms_channel()
    twilio.script(answer(500, b'{"message":"our fault","code":20500}'))
    fail(*failing())
    for minutes in (0, 1, 6, 60):
        send_waiting(NOW + minutes * MINUTE)
    message = ChannelMessage.objects.get()
    assert (message.status, message.attempts, len(twilio.requests)) == ("failed", 3, 3)
    assert "our fault" in Channel.objects.get().last_error


def test_what_twilio_refuses_is_not_tried_again(twilio: Receiver) -> None:
    sms_channel(recipients=["+15550100", "+15550101"])
    refusal = answer(400, b'{"message":"The To number is not valid","code":21211,"status":400}')
    twilio.script(refusal, TAKEN)
    fail(*failing())
    count = send_waiting(NOW)
    assert (count.sent, count.failed) == (1, 1)
    failed = ChannelMessage.objects.get(status="failed")
    assert "The To number is not valid" in failed.error
    assert "twilio-secret" not in failed.error


def test_a_slow_channel_does_not_keep_the_others_waiting(twilio: Receiver) -> None:
    sms_channel(recipients=[f"+1555010{number}" for number in range(10)])
    Channel.objects.create(name="mail", kind="email", recipients=["ops@example.com"])
    twilio.script(hang())
    fail(*failing())
    assert send_waiting(NOW).sent == 1
    assert len(mail.outbox) == 1
    assert len(twilio.requests) == 1


def test_of_two_workers_one_sends(twilio: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from notifications import outbox as delivery_module

    sms_channel()
    fail(*failing())
    look = delivery_module.due_messages

    def look_then_lose(*args: Any) -> list[ChannelMessage]:
        found = look(*args)
        ChannelMessage.objects.update(status="sending", send_after=NOW + 5 * MINUTE)
        return found

    monkeypatch.setattr(delivery_module, "due_messages", look_then_lose)
    assert send_waiting(NOW).sent == 0
    assert twilio.requests == []


def test_what_was_being_sent_when_its_worker_died_is_not_sent_twice(twilio: Receiver) -> None:
    sms_channel()
    fail(*failing())
    ChannelMessage.objects.update(status="sending", send_after=NOW)
    send_waiting(NOW + MINUTE)
    message = ChannelMessage.objects.get()
    assert (message.status, twilio.requests) == ("failed", [])
    assert "may have arrived" in message.error
