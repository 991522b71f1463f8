"""All that match: what has failed goes without saying, what was delivered takes a tick and its number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from deliveries.models import Delivery, Replay, Revision
from deliveries.replay import step
from notifications.models import Notification
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory

ADD = "admin:deliveries_replay_add"


@pytest.fixture
def subscription(db: None) -> Any:
    made = SubscriptionFactory(integration=IntegrationFactory(name="ERP"))
    for status, number in (("failed", 2), ("succeeded", 3), ("pending", 4)):
        for _ in range(number):
            DeliveryFactory(subscription=made, status=status)
    return made


def form_of(page: str) -> dict[str, str]:
    form = page[page.index('<form method="post">') :]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))


@pytest.mark.parametrize("role", ["Operator", "Manager"])
@pytest.mark.parametrize(
    ("action", "guarded", "words"),
    [("retry", 3, "receivers get them twice"), ("discard", 4, "receivers will never get them")],
)
def test_without_a_status_only_what_failed_is_offered(
    browse: Callable[..., Client], subscription: Any, role: str, action: str, guarded: int, words: str
) -> None:
    client = browse(role)
    page = client.get(reverse(ADD), {"action": action}).text
    assert re.search(r'data-sum="2">2</span> deliveries', page)
    assert f"also {guarded}" in page and words in page
    form = form_of(page)
    for wrong in ({"also": "on"}, {"also": "on", "confirmed": "2"}, {"also": "on", "confirmed": "many"}):
        answer = client.post(reverse(ADD), {**form, **wrong})
        assert 'role="alert"' in answer.text
    assert not Replay.objects.exists()
    # A page that was tampered with does not help either.
    client.post(reverse(ADD), {**form, "also": "on", "confirmed": "1", "guarded": "1"})
    assert not Replay.objects.exists()
    client.post(reverse(ADD), form)
    assert Replay.objects.get().total == 2
    Replay.objects.all().delete()
    client.post(reverse(ADD), {**form, "also": "on", "confirmed": str(guarded)})
    assert Replay.objects.get().total == 2 + guarded


@pytest.mark.parametrize("status", ["succeeded", "succeeded,discarded", "failed,succeeded"])
def test_asking_for_delivered_ones_by_the_address_takes_the_tick_as_well(
    admin: Client, subscription: Any, status: str
) -> None:
    form = form_of(admin.get(reverse(ADD), {"action": "retry", "status": status}).text)
    admin.post(reverse(ADD), form)
    assert not Replay.objects.filter(filters__status__icontains="succeeded").exists()
    admin.post(reverse(ADD), {**form, "also": "on", "confirmed": "3"})
    assert Replay.objects.filter(filters__status__icontains="succeeded").get().total >= 3


def test_the_result_says_what_became_of_them_with_links(admin: Client, subscription: Any) -> None:
    admin.post(reverse(ADD), {"action": "retry", "rate": "1000"})
    replay = Replay.objects.get()
    while not step(replay.pk, replay.created_at.replace(year=replay.created_at.year + 1)).is_over:
        pass
    one, other = Delivery.objects.filter(trigger="manual")
    Delivery.objects.filter(pk=one.pk).update(status="succeeded", due_at=None, finished_at=one.created_at)
    Delivery.objects.filter(pk=other.pk).update(status="failed", due_at=None, finished_at=one.created_at)
    page = admin.get(reverse("admin:deliveries_replay_live", args=[replay.pk]))
    assert page.headers["X-Desk-Over"] == "1"
    links = {
        status: address.replace("&amp;", "&")
        for address, status in re.findall(r'href="([^"]+status=([^"]+))"', page.text)
    }
    assert set(links) == {"succeeded", "failed,retrying"}
    for status, delivery in (("succeeded", one), ("failed,retrying", other)):
        listed = admin.get(links[status]).text
        assert [key for key in (str(one.pk), str(other.pk)) if key in listed] == [str(delivery.pk)]


def test_a_canary_is_offered_ticked_for_many_and_as_chosen(admin: Client, subscription: Any) -> None:
    page = admin.get(reverse(ADD), {"action": "retry"}).text
    assert re.search(r'id="canary" name="canary" aria', page)  # five: unticked
    for _ in range(20):
        DeliveryFactory(subscription=subscription, status="failed")
    page = admin.get(reverse(ADD), {"action": "retry"}).text
    assert re.search(r'id="canary" name="canary" checked', page)
    form = form_of(page)
    assert 'role="alert"' in admin.post(reverse(ADD), {**form, "canary": "on", "stop_above": "many"}).text
    assert 'role="alert"' in admin.post(reverse(ADD), {**form, "canary": "on", "stop_above": "100"}).text
    assert not Replay.objects.exists()
    admin.post(reverse(ADD), {**form, "canary": "on", "stop_above": "25"})
    assert Replay.objects.get().stop_above == 25
    Replay.objects.all().delete()
    admin.post(reverse(ADD), form)
    assert Replay.objects.get().stop_above is None
    assert "canary" not in admin.get(reverse(ADD), {"action": "discard"}).text


def test_one_that_stopped_by_itself_says_why_and_can_be_resumed(admin: Client, subscription: Any) -> None:
    admin.post(reverse(ADD), {"action": "retry", "canary_asked": "1", "canary": "on", "stop_above": "10"})
    replay = Replay.objects.get()
    step(replay.pk, replay.created_at)
    live = reverse("admin:deliveries_replay_live", args=[replay.pk])
    assert "The first one was sent" in admin.get(live).text
    Delivery.objects.filter(trigger="manual").update(status="failed", due_at=None, finished_at=replay.created_at)
    step(replay.pk, replay.created_at)
    page = admin.get(live).text
    assert "It stopped by itself: 1 of 1 failed again (100 %; at most 10 % may)" in page
    assert "1 delivery has not been resent" in page
    assert "stopped by itself" in admin.get(reverse("admin:deliveries_replay_changelist")).text
    told = Notification.objects.get(key=f"replay:{replay.pk}")
    page = admin.get(reverse("admin:notifications_notification_change", args=[told.pk])).text
    assert reverse("admin:deliveries_replay_change", args=[replay.pk]) in page
    admin.post(reverse("admin:deliveries_replay_step", args=[replay.pk]), {"step": "resume"})
    replay.refresh_from_db()
    assert replay.status == "running"
    told.refresh_from_db()
    assert told.status == "resolved"


def test_what_waits_for_a_second_approver_is_counted_before(admin: Client, subscription: Any) -> None:
    assert "Left alone" not in admin.get(reverse(ADD), {"action": "retry"}).text
    waiting = Delivery.objects.filter(status="failed").earliest("id")
    Revision.objects.create(delivery=waiting, number=1, data={}, patch=[], author_name="bo", is_awaiting_approval=True)
    page = admin.get(reverse(ADD), {"action": "retry"}).text
    [link] = re.findall(r'href="([^"]+approval=awaited[^"]*)">1 of them', page)
    listed = admin.get(link.replace("&amp;", "&")).text
    keys = [str(pk) for pk in Delivery.objects.values_list("pk", flat=True)]
    assert [key for key in keys if key in listed] == [str(waiting.pk)]
