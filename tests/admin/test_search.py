"""The search page: what it shows to whom, and the searches that people keep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deliveries.models import SavedView
from deliveries.search import indexing
from integrations.models import AuditEntry
from tests.factories import DeliveryFactory, RecordFactory, UserFactory

pytestmark = pytest.mark.django_db
PAGE = "/admin/deliveries/savedview/"


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def viewer(*stores: Any, role: str = "Viewer") -> Any:
    user = UserFactory(is_superuser=False)
    user.groups.add(Group.objects.get(name=role))
    for store in stores:
        store.staff.add(user)
    return user


@pytest.fixture
def delivery() -> Any:
    made = DeliveryFactory(
        status="failed", attempt_count=1, last_error="Nope", event__data={"phone": "+49 171 2345678"}
    )
    RecordFactory(store=made.store, external_id="their-record", data={"phone": "+491712345678"})
    indexing.state_of_index(timezone.now() - timedelta(hours=1))
    indexing.run(timezone.now() + timedelta(seconds=10), seconds=30)
    return made


def test_a_search_shows_deliveries_first_with_where_it_was_found(delivery: Any) -> None:
    page = client_of(UserFactory()).get(PAGE, {"q": "+491712345678"}).content.decode()
    assert reverse("admin:deliveries_delivery_change", args=[delivery.pk]) in page
    assert "phone:491712345678" in page
    assert page.count('<span class="count">1</span>') >= 3

    records = client_of(UserFactory()).get(PAGE, {"q": "2345678", "kind": "record"}).content.decode()
    assert "their-record" in records


def test_filters_order_and_columns_are_in_the_address(delivery: Any) -> None:
    client = client_of(UserFactory())
    asked = {"q": "2345678", "status": "failed", "period": "24h", "sort": "status", "columns": ["topic", "id"]}
    page = client.get(PAGE, asked).content.decode()
    assert delivery.public_id in page
    assert "Last response</a>" not in page

    for other in ({"status": "succeeded"}, {"topic": "order.*"}, {"period": "custom", "until": "2026-01-01T00:00"}):
        assert "Nothing found" in client.get(PAGE, asked | other).content.decode()
    assert "From is not a time" in client.get(PAGE, {"q": "x", "since": "then"}).content.decode()


def test_nobody_finds_what_is_another_stores(delivery: Any) -> None:
    assert "Nothing found" in client_of(viewer()).get(PAGE, {"q": "2345678"}).content.decode()
    mine = client_of(viewer(delivery.store)).get(PAGE, {"q": "2345678"}).content.decode()
    assert str(delivery.pk) in mine


def test_who_sees_none_of_it_has_no_search() -> None:
    user = UserFactory(is_superuser=False)
    assert client_of(user).get(PAGE).status_code == 403
    assert client_of(user).post(f"{PAGE}save/", {"name": "x", "query": "q=x"}).status_code == 403
    assert not SavedView.objects.exists()


def test_a_search_is_kept_for_oneself_and_can_be_deleted(delivery: Any) -> None:
    mine, other = viewer(delivery.store), viewer(delivery.store)
    query = "q=2345678&status=failed&columns=topic&evil=1&page=7"
    client_of(mine).post(f"{PAGE}save/", {"name": "Failed SMS", "query": query})

    view = SavedView.objects.get()
    assert (view.owner, view.is_shared) == (mine, False)
    assert set(view.query.split("&")) == {"q=2345678", "status=failed", "columns=topic"}
    assert "Failed SMS" in client_of(mine).get(PAGE).content.decode()
    assert "Failed SMS" not in client_of(other).get(PAGE).content.decode()
    entry = AuditEntry.objects.get(target_type="savedview")
    assert entry.action == "create" and "2345678" not in str(entry.after)

    client_of(other).post(f"{PAGE}{view.pk}/delete/")
    assert SavedView.objects.exists()
    client_of(mine).post(f"{PAGE}{view.pk}/delete/")
    assert not SavedView.objects.exists()


def test_a_shared_search_is_for_those_who_see_the_same_stores(delivery: Any) -> None:
    owner, colleague = viewer(delivery.store), viewer(delivery.store)
    client_of(owner).post(f"{PAGE}save/", {"name": "Ours", "query": "q=x", "shared": "on"})
    assert "Ours" in client_of(colleague).get(PAGE).content.decode()
    assert "Ours" in client_of(UserFactory()).get(PAGE).content.decode()
    assert "Ours" not in client_of(viewer(DeliveryFactory().store)).get(PAGE).content.decode()


def test_a_search_without_a_name_is_not_kept() -> None:
    answer = client_of(UserFactory()).post(f"{PAGE}save/", {"name": " ", "query": "q=x"}, follow=True)
    assert "Give it a name" in answer.content.decode()
    assert not SavedView.objects.exists()
