"""What receivers hear of an incident from its beginning to its end: acknowledged, snoozed, returned, resolved."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from deliveries.models import FailureGroup
from notifications.follow_ups import on_case_assigned, send_follow_ups
from notifications.models import Channel, OpenIncident
from notifications.outbox import send_waiting
from notifications.services import on_announced, on_cases_woken, on_groups_resolved
from tests.factories import FailureGroupFactory
from tests.notifications.incidents import MINUTE, NOW, body, channel_of, fail, failing
from tests.receiver import Receiver, answer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asked")]


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("pagerduty", {"routing_key": "R0"}, '"event_action": "acknowledge"'),
        ("opsgenie", {"api_key": "K0"}, "/acknowledge?identifierType=alias"),
    ],
)
def test_assigning_a_case_acknowledges_it(vendor: Receiver, kind: str, options: dict[str, str], expected: str) -> None:
    channel_of(kind, **options)
    delivery, group = failing()
    person = User.objects.create_user("amina")
    on_case_assigned(group.id, person.pk, "the rules", "", NOW)
    fail(delivery, group)
    send_waiting(NOW)
    assert send_follow_ups(NOW) == 0, "who had it before cannot have read the message"
    on_case_assigned(group.id, person.pk, "amina", "", NOW + MINUTE)
    assert send_follow_ups(NOW + MINUTE) == 1
    assert send_follow_ups(NOW + MINUTE) == 0
    assert expected in vendor.requests[-1].target + vendor.requests[-1].body.decode()


def test_what_fails_again_after_its_end_is_told_again_though_the_window_is_not_over(vendor: Receiver) -> None:
    channel_of("pagerduty", routing_key="R0")
    delivery, group = failing()
    fail(delivery, group)
    send_waiting(NOW)
    fail(delivery, group, NOW + MINUTE)
    send_waiting(NOW + MINUTE)
    assert len(vendor.requests) == 1, "it is open there"
    on_groups_resolved([group.id], "auto", NOW + 2 * MINUTE)
    send_follow_ups(NOW + 2 * MINUTE)
    fail(delivery, group, NOW + 3 * MINUTE)
    send_waiting(NOW + 3 * MINUTE)
    assert [body(request)["event_action"] for request in vendor.requests] == ["trigger", "resolve", "trigger"]


def test_what_ends_and_returns_before_the_receiver_hears_of_it_stays_open_there(vendor: Receiver) -> None:
    channel_of("pagerduty", routing_key="R0")
    delivery, group = failing()
    fail(delivery, group)
    send_waiting(NOW)
    on_groups_resolved([group.id], "auto", NOW + MINUTE)
    fail(delivery, group, NOW + MINUTE)
    send_waiting(NOW + MINUTE)
    assert send_follow_ups(NOW + MINUTE) == 0
    assert len(vendor.requests) == 1


def test_a_snoozed_case_sends_nothing_until_it_wakes(vendor: Receiver) -> None:
    channel_of("pagerduty", routing_key="R0")
    delivery, group = failing()
    FailureGroup.objects.filter(pk=group.pk).update(snoozed_until=NOW + 60 * MINUTE)
    fail(delivery, group)
    assert (send_waiting(NOW).sent, send_follow_ups(NOW)) == (0, 0)
    assert vendor.requests == []
    FailureGroup.objects.filter(pk=group.pk).update(snoozed_until=None)
    on_cases_woken([group.pk], NOW + 60 * MINUTE)
    assert send_waiting(NOW + 60 * MINUTE).sent == 1


def test_many_ends_are_one_message_in_a_chat_and_one_each_at_a_pager(vendor: Receiver) -> None:
    channel_of("slack", url=vendor.url("/slack"))
    channel_of("pagerduty", routing_key="R0")
    pairs = [failing() for _ in range(8)]
    for delivery, group in pairs:
        fail(delivery, group)
    send_waiting(NOW)
    on_groups_resolved([group.id for _, group in pairs], "auto", NOW + MINUTE)
    send_follow_ups(NOW + MINUTE)
    targets = [request.target for request in vendor.requests]
    assert targets.count("/slack") == 2
    assert targets.count("/v2/enqueue") == 16
    assert (
        "8 incidents resolved"
        in [request for request in vendor.requests if request.target == "/slack"][1].body.decode()
    )


def test_what_is_not_about_a_case_has_a_key_too(vendor: Receiver) -> None:
    channel_of("pagerduty", routing_key="R0")
    integration = FailureGroupFactory().integration
    on_announced(integration.store_id, integration.pk, "disabled:1", "error", "It was disabled.", NOW)
    send_waiting(NOW)
    assert body(vendor.requests[0])["dedup_key"].startswith("hookdesk-notif_")


def test_an_end_that_cannot_be_told_is_tried_again_and_given_up_if_refused(vendor: Receiver) -> None:
    channel_of("pagerduty", routing_key="R0")
    delivery, group = failing()
    fail(delivery, group)
    send_waiting(NOW)
    on_groups_resolved([group.id], "auto", NOW)
    vendor.script(answer(503, b"busy"))
    assert send_follow_ups(NOW) == 0
    assert Channel.objects.get().last_error == "PagerDuty answered 503: busy"
    assert send_follow_ups(NOW) == 0, "not yet"
    vendor.script(answer(400, b'{"status":"invalid event"}'))
    assert send_follow_ups(NOW + MINUTE) == 0
    assert not OpenIncident.objects.exists()
    assert [body(request)["event_action"] for request in vendor.requests] == ["trigger", "resolve", "resolve"]
