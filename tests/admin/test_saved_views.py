"""Views of the lists of deliveries and events that people keep under a name, for themselves or for colleagues."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from deliveries.models import SavedView
from deliveries.search.saved_views import MOST
from integrations.models import AuditEntry
from tests.doors.world import make_person
from tests.factories import DeliveryFactory, EventFactory, StoreFactory, UserFactory

pytestmark = pytest.mark.django_db
SAVE = "/admin/deliveries/savedview/save/"
DELIVERIES, EVENTS = "/admin/deliveries/delivery/", "/admin/deliveries/event/"


@pytest.fixture
def store() -> Any:
    return StoreFactory()


def person(role: str, *stores: Any) -> Client:
    client = Client()
    client.force_login(make_person(role, list(stores)))
    return client


def kept(client: Client, name: str, query: str, page: str = "delivery", **more: str) -> Any:
    return client.post(SAVE, {"page": page, "name": name, "query": query, **more})


def offered(client: Client, address: str) -> str:
    """What the page says it would keep."""
    found = re.search(
        r'name="page" value="\w+"><input type="hidden" name="query" value="([^"]*)"', page(client, address)
    )
    return found[1].replace("&amp;", "&") if found else ""


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_filter_of_a_list_is_kept_and_leads_back_to_what_it_showed(store: Any) -> None:
    viewer = person("Viewer", store)
    DeliveryFactory(store=store, status="failed", event=EventFactory(store=store, object_id="o-1"))
    DeliveryFactory(store=store, status="succeeded", event=EventFactory(store=store, object_id="o-2"))
    shown = f"{DELIVERIES}?tab=all&status=failed&after=&evil=1"

    answer = kept(viewer, "Broken ones", offered(viewer, shown))
    assert answer["Location"] == f"{DELIVERIES}?tab=all&status=failed"
    view = SavedView.objects.get()
    assert (view.page, view.query, view.is_shared) == ("delivery", "tab=all&status=failed", False)
    listed = page(viewer, DELIVERIES)
    assert 'href="?tab=all&amp;status=failed"' in listed
    assert "Broken ones" in listed
    again = page(viewer, f"{DELIVERIES}?{view.query}")
    assert "o-1" in again and "o-2" not in again
    assert 'href="?tab=all&amp;status=failed" aria-current="page"' in again


def test_the_list_of_events_has_its_own_with_its_order(store: Any) -> None:
    viewer = person("Viewer", store)
    EventFactory(store=store, object_id="1001")
    query = offered(viewer, f"{EVENTS}?q=1001&origin__exact=push&o=2&p=1")
    assert query == "q=1001&o=2&origin__exact=push"
    assert kept(viewer, "One order", query, "event")["Location"] == f"{EVENTS}?{query}"
    assert "One order" in page(viewer, EVENTS)
    assert "One order" not in page(viewer, DELIVERIES)
    assert "One order" not in page(viewer, "/admin/deliveries/savedview/")
    assert "1001" in page(viewer, f"{EVENTS}?{query}")


def test_nothing_is_offered_where_nothing_is_chosen(store: Any) -> None:
    viewer = person("Viewer", store)
    for address in (DELIVERIES, EVENTS):
        assert "Save this view as" not in page(viewer, address)


def test_what_is_kept_is_only_what_the_list_knows(store: Any) -> None:
    kept(person("Viewer", store), "Odd", "tab=all&status=failed&next=//evil.example&q=%00x&csrfmiddlewaretoken=1")
    assert SavedView.objects.get().query == "tab=all&q=x&status=failed"


def test_a_shared_view_is_for_those_who_see_the_same_stores(store: Any) -> None:
    owner, colleague, stranger = person("Viewer", store), person("Operator", store), person("Manager", StoreFactory())
    kept(owner, "Ours", "tab=retrying", shared="on")
    assert "Ours" in page(colleague, DELIVERIES)
    assert "Delete the saved view" not in page(colleague, DELIVERIES)
    assert "Ours" not in page(stranger, DELIVERIES)
    kept(owner, "Mine", "tab=all")
    assert "Mine" not in page(colleague, DELIVERIES)


def test_its_owner_deletes_it_and_superusers_do(store: Any) -> None:
    owner, colleague = person("Viewer", store), person("Manager", store)
    kept(owner, "Ours", "tab=retrying", shared="on")
    view = SavedView.objects.get()
    forget = f"/admin/deliveries/savedview/{view.pk}/delete/"
    assert colleague.post(forget).status_code == 404
    assert owner.get(forget).status_code == 405
    assert forget in page(owner, DELIVERIES)
    assert owner.post(forget)["Location"] == DELIVERIES
    kept(owner, "Events", "q=1", "event", shared="on")
    superuser = Client()
    superuser.force_login(UserFactory())
    assert superuser.post(f"/admin/deliveries/savedview/{SavedView.objects.get().pk}/delete/")["Location"] == EVENTS
    assert not SavedView.objects.exists()
    assert sorted(AuditEntry.objects.values_list("action", flat=True)) == ["create", "create", "delete", "delete"]


def test_the_same_name_replaces_a_view_of_this_list_but_none_of_another_page(store: Any) -> None:
    viewer = person("Viewer", store)
    kept(viewer, "Mine", "tab=all")
    kept(viewer, "Mine", "tab=retrying")
    assert SavedView.objects.get().query == "tab=retrying"
    answer = viewer.post(SAVE, {"page": "event", "name": "Mine", "query": "q=1"}, follow=True)
    assert "You keep one of this name for deliveries" in answer.content.decode()
    assert SavedView.objects.get().page == "delivery"


def test_each_page_has_room_of_its_own(store: Any) -> None:
    viewer = person("Viewer", store)
    for number in range(MOST):
        kept(viewer, f"view {number}", "tab=all")
    assert "Delete one first" in kept_and_followed(viewer, "one more", "delivery")
    assert "is saved" in kept_and_followed(viewer, "of events", "event")
    assert SavedView.objects.count() == MOST + 1


def kept_and_followed(client: Client, name: str, page: str) -> str:
    answer = client.post(SAVE, {"page": page, "name": name, "query": "q=1"}, follow=True)
    return str(answer.content.decode())


def test_who_may_not_see_a_list_keeps_no_view_of_it(store: Any) -> None:
    nobody = Client()
    user = UserFactory(is_superuser=False)
    nobody.force_login(user)
    assert kept(nobody, "x", "tab=all").status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_event"))
    assert kept(nobody, "x", "tab=all").status_code == 403
    assert kept(nobody, "x", "q=1", "event").status_code == 302
    assert kept(nobody, "y", "q=1", "something").status_code == 302  # a search, as without a page
    assert set(SavedView.objects.values_list("page", flat=True)) == {"event", "search"}
