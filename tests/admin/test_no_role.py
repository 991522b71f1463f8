"""What a person may not see is not even asked of the database: every live part × role × limit to a store."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from deliveries.models import Delivery, Replay
from tests.factories import NotificationFactory, StoreFactory, UserFactory

#: Tables that hold what belongs to stores.
PRIVATE = re.compile(r"(deliveries|integrations|subscriptions|notifications)_(\w+)")
MESSAGE = "is not a phone number"


@pytest.fixture
def seen(failed: Callable[..., Delivery]) -> Delivery:
    delivery = failed(others=2)
    NotificationFactory(store=delivery.store, summary=MESSAGE)
    return delivery


def live_parts(delivery: Delivery) -> dict[str, str]:
    replay = Replay.objects.create(action="retry", created_by_name="bo", store=delivery.store)
    return {
        "dashboard": reverse("admin:index"),
        "fragment": reverse("admin:desk_fragment"),
        "heartbeat": reverse("admin:desk_heartbeat"),
        "status": reverse("admin:deliveries_delivery_status", args=[delivery.pk]),
        "watch": reverse("admin:deliveries_delivery_watch_live", args=[delivery.pk]),
        "attempt": reverse("admin:deliveries_delivery_attempt", args=[delivery.pk, 1]),
        "replay": reverse("admin:deliveries_replay_live", args=[replay.pk]),
    }


PARTS = ("dashboard", "fragment", "heartbeat", "status", "watch", "attempt", "replay")


def a_client(*permissions: str, stores: Any = ()) -> Client:
    user = UserFactory(is_superuser=False)
    for name in permissions:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    user.stores.set(stores)
    client = Client()
    client.force_login(user)
    return client


def asked(client: Client, address: str) -> tuple[Any, set[str]]:
    with CaptureQueriesContext(connection) as queries:
        response = client.get(address)
    return response, {match[0] for query in queries for match in PRIVATE.finditer(query["sql"])}


@pytest.mark.parametrize("is_limited", [False, True])
@pytest.mark.parametrize("part", PARTS)
def test_without_a_role_nothing_is_shown_and_nothing_asked(seen: Delivery, part: str, is_limited: bool) -> None:
    client = a_client(stores=[seen.store] if is_limited else [])
    response, tables = asked(client, live_parts(seen)[part])
    assert response.status_code == (200 if part in PARTS[:3] else 403)
    assert MESSAGE not in response.text
    assert seen.store.name not in response.text
    # Which stores the person is limited to may be asked; nothing of what is in them.
    assert tables <= {"integrations_store", "integrations_store_staff"}
    if part in PARTS[:2]:
        assert "You have no role yet; ask an administrator" in response.text


@pytest.mark.parametrize("limit", ["none", "theirs", "other"])
@pytest.mark.parametrize("role", ["Viewer", "Operator", "Manager"])
@pytest.mark.parametrize("part", PARTS)
def test_roles_see_live_parts_of_their_stores_only(
    browse: Callable[..., Client], seen: Delivery, part: str, role: str, limit: str
) -> None:
    stores = {"none": [], "theirs": [seen.store], "other": [StoreFactory(name="Another")]}[limit]
    response = browse(role, stores=stores).get(live_parts(seen)[part])
    if part == "watch" and role == "Viewer":
        assert response.status_code == 403
    elif limit == "other" and part not in PARTS[:3]:
        assert response.status_code == 404
    else:
        assert response.status_code == 200
        assert "You have no role" not in response.text
    if limit == "other":
        assert MESSAGE not in response.text
    elif part in PARTS[:2]:
        assert MESSAGE in response.text


@pytest.mark.parametrize(
    ("permission", "hidden"),
    [
        ("deliveries.view_delivery", {"deliveries_failuregroup"}),
        ("deliveries.view_failuregroup", {"deliveries_statsbucket", "integrations_integrationhealth"}),
        ("integrations.view_integration", {"deliveries_failuregroup", "deliveries_statsbucket"}),
        (
            "notifications.view_notification",
            {"deliveries_delivery", "deliveries_failuregroup", "deliveries_statsbucket"},
        ),
    ],
)
@pytest.mark.parametrize("part", PARTS[:3])
def test_a_role_of_ones_own_making_sees_its_part_only(
    seen: Delivery, permission: str, hidden: set[str], part: str
) -> None:
    response, tables = asked(a_client(permission), live_parts(seen)[part])
    assert response.status_code == 200
    assert not tables & hidden
    assert "You have no role" not in response.text


def test_how_long_others_wait_is_not_told_to_staff_of_one_store(browse: Callable[..., Client], seen: Delivery) -> None:
    from tests.factories import DeliveryFactory

    waiting = DeliveryFactory()
    heartbeat = reverse("admin:desk_heartbeat")
    assert "oldest due" in browse("Viewer", stores=[waiting.store]).get(heartbeat).text
    assert "oldest due" not in browse("Viewer", stores=[seen.store]).get(heartbeat).text
