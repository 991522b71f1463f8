"""All that match: what has failed goes without saying, what was delivered takes a tick and its number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from deliveries.models import Delivery, Replay
from deliveries.replay import step
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
