"""Staff limited to stores: they cannot lift or widen the limit, and no form offers or takes what they do not see."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from integrations.models import AuditEntry, StaffProfile, Store
from notifications.models import Channel
from tests.doors.addresses import keys_of, routes
from tests.doors.conftest import SUPERUSER, World

MANAGER = "Manager of Alpha"
CHANNEL = {
    "name": "New", "kind": "email", "recipients": "a@example.com", "level": "error", "window_minutes": "60",
    "digest_minutes": "0", "is_enabled": "on",
}  # fmt: skip


def test_the_last_of_the_staff_of_a_store_is_not_therefore_without_limit(world: World) -> None:
    world.alpha.store.staff.clear()
    client = world.client(MANAGER)
    for side in (world.alpha, world.beta):
        assert client.get(reverse("admin:integrations_store_change", args=[side.store.pk])).status_code == 404
    assert "ALPHA" not in client.get(reverse("admin:integrations_store_changelist")).text


@pytest.mark.parametrize("person", [MANAGER, "Manager of all"])
def test_only_superusers_say_who_sees_a_store(world: World, person: str) -> None:
    address = reverse("admin:integrations_store_change", args=[world.alpha.store.pk])
    before = set(world.alpha.store.staff.all())
    client = world.client(person)
    assert "-person" not in client.get(address).text
    for people in ([], [world.people["Manager of all"].pk]):
        posted = {"name": "Renamed", "singular_overrides": "{}", "staff": people, "sees_all_stores": "on"}
        assert client.post(address, posted).status_code == 302
        assert set(world.alpha.store.staff.all()) == before
    world.client(SUPERUSER).post(address, {"name": "Renamed", "singular_overrides": "{}", "staff": []})
    assert not world.alpha.store.staff.exists()


def test_superusers_set_what_a_person_sees_on_the_persons_page_and_it_is_recorded(world: World) -> None:
    person = world.people[MANAGER]
    address = reverse("admin:auth_user_change", args=[person.pk])
    data: dict[str, Any] = {
        "username": person.username, "is_active": "on", "is_staff": "on", "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00", "groups": [group.pk for group in person.groups.all()],
        "sees_all_stores": "on", "stores": [str(world.beta.store.pk)],
    }  # fmt: skip
    assert world.client("Manager of all").post(address, data).status_code == 403
    assert world.client(SUPERUSER).post(address, data).status_code == 302
    assert StaffProfile.objects.get(user=person).sees_all_stores
    assert list(person.stores.all()) == [world.beta.store]
    entry = AuditEntry.objects.filter(target_type="user", target_id=str(person.pk)).latest("id")
    assert entry.after["sees_all_stores"] is True
    del data["sees_all_stores"]
    world.client(SUPERUSER).post(address, data)
    client = world.client(MANAGER)
    assert client.get(reverse("admin:integrations_store_change", args=[world.beta.store.pk])).status_code == 200
    assert client.get(reverse("admin:integrations_store_change", args=[world.alpha.store.pk])).status_code == 404


def test_deleting_a_person_is_recorded(world: World) -> None:
    person = User.objects.get(username="somebody")
    address = reverse("admin:auth_user_delete", args=[person.pk])
    assert world.client(SUPERUSER).post(address, {"post": "yes"}).status_code == 302
    assert AuditEntry.objects.filter(target_type="user", action="delete", target_name="somebody").exists()


def test_whoever_is_limited_makes_no_store(world: World) -> None:
    before = Store.objects.count()
    address = reverse("admin:integrations_store_add")
    assert world.client(MANAGER).post(address, {"name": "Mine", "singular_overrides": "{}"}).status_code == 403
    assert Store.objects.count() == before
    assert world.client("Manager of all").post(address, {"name": "New", "singular_overrides": "{}"}).status_code == 302


@pytest.mark.parametrize("stores", ["none", "beta", "both"])
def test_a_channel_of_limited_staff_is_for_their_stores(world: World, stores: str) -> None:
    chosen = {"none": [], "beta": [world.beta.store.pk], "both": [world.alpha.store.pk, world.beta.store.pk]}[stores]
    before = Channel.objects.count()
    client = world.client(MANAGER)
    response = client.post(reverse("admin:notifications_channel_add"), {**CHANNEL, "stores": chosen})
    assert (response.status_code, Channel.objects.count()) == (200, before)
    foreign = {**CHANNEL, "stores": [world.alpha.store.pk], "integrations": [world.beta.rows["integration"].pk]}
    response = client.post(reverse("admin:notifications_channel_add"), foreign)
    assert (response.status_code, Channel.objects.count()) == (200, before)
    assert (
        client.post(reverse("admin:notifications_channel_add"), {**CHANNEL, "stores": foreign["stores"]}).status_code
        == 302
    )
    assert list(Channel.objects.get(name="New").stores.all()) == [world.alpha.store]


def test_whoever_may_only_look_does_not_see_a_channels_token(world: World) -> None:
    channel = world.alpha.rows["channel"]
    page = world.client("Viewer of all").get(reverse("admin:notifications_channel_change", args=[channel.pk])).text
    assert "ALPHA channel" in page
    assert "CANARY-SECRET" not in page


@pytest.mark.parametrize("person", [MANAGER, "Manager of none"])
def test_no_form_offers_what_a_person_does_not_see(world: World, person: str) -> None:
    """Every form of every page: its fields' querysets and choices, and its HTML."""
    client = world.client(person)
    seen = 0
    for route in routes():
        if "(?P" in route.pattern or route.name in ("login", "logout"):
            continue
        address = route.filled(keys_of(route, world.rows(world.alpha)))
        for query in ("", "kind=hub", "kind=mailchimp") if route.name.endswith("_add") else ("",):
            response = client.get(f"{address}?{query}")
            text = response.content.decode(errors="replace")
            assert "BETA" not in text, address
            context = response.context or {}
            form = context.get("form") or getattr(context.get("adminform"), "form", None)
            for field in getattr(form, "fields", {}).values():
                choices = [str(label) for _, label in getattr(field, "choices", ())]
                assert not [label for label in choices if "BETA" in label or "-staff" in label], address
                seen += 1
    assert seen


@pytest.mark.parametrize(
    ("address", "field", "row"),
    [
        ("subscriptions_topic_add", "store", "store"),
        ("subscriptions_subscription_add", "integration", "integration"),
        ("integrations_integration_add", "store", "store"),
    ],
)
def test_a_foreign_row_in_a_form_is_refused(world: World, address: str, field: str, row: str) -> None:
    data = {"name": "x.y", "topics": "x.y", "url": "http://127.0.0.1:9/", field: str(world.beta.rows[row].pk)}
    target = reverse(f"admin:{address}") + "?kind=hub"
    refused = world.client(MANAGER).post(target, data)
    assert refused.status_code == 200
    assert "Select a valid choice" in refused.text
    taken = world.client(MANAGER).post(target, {**data, field: str(world.alpha.rows[row].pk)})
    assert "Select a valid choice" not in taken.content.decode()
