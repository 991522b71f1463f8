"""Viewer, Operator, Manager: there after every migrate, with exactly what their names say."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission

from config.desk.roles import make_groups
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def permissions(name: str) -> set[str]:
    return {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in Group.objects.get(name=name).permissions.select_related("content_type")
    }


def test_the_groups_are_there_after_migrate() -> None:
    assert set(Group.objects.values_list("name", flat=True)) >= {"Viewer", "Operator", "Manager"}


def test_a_viewer_sees_and_changes_nothing() -> None:
    viewer = permissions("Viewer")
    assert viewer >= {"deliveries.view_delivery", "deliveries.view_attempt", "notifications.view_notification"}
    assert all(name.partition(".")[2].startswith("view_") for name in viewer)
    assert not viewer & {"integrations.view_secret", "integrations.view_accesstoken", "deliveries.view_idempotencykey"}


def test_an_operator_resolves_and_replays_but_sets_nothing_up() -> None:
    operator = permissions("Operator")
    assert operator - permissions("Viewer") == {
        "deliveries.resolve_delivery",
        "deliveries.replay_delivery",
        "deliveries.release_delivery",
        "deliveries.add_simulation",
        "notifications.change_notification",
    }


def test_a_manager_sets_up_and_approves() -> None:
    manager = permissions("Manager")
    assert manager > permissions("Operator")
    assert manager >= {
        "deliveries.approve_revision",
        "integrations.add_accesstoken",
        "integrations.change_integration",
        "subscriptions.delete_subscription",
        "notifications.add_channel",
    }
    assert not any("user" in name or "auth." in name for name in manager)
    assert "deliveries.change_delivery" not in manager
    assert "deliveries.delete_event" not in manager


def test_a_user_of_the_group_has_its_permissions() -> None:
    user = UserFactory(is_superuser=False)
    user.groups.add(Group.objects.get(name="Operator"))
    assert user.has_perm("deliveries.resolve_delivery")
    assert not user.has_perm("deliveries.approve_revision")


def test_making_them_again_changes_nothing_and_leaves_what_an_administrator_added() -> None:
    extra = Permission.objects.get(codename="add_user")
    Group.objects.get(name="Viewer").permissions.add(extra)
    before = {name: permissions(name) for name in ("Viewer", "Operator", "Manager")}
    make_groups()
    assert {name: permissions(name) for name in before} == before
    assert "auth.add_user" in permissions("Viewer")
