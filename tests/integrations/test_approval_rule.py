"""Switching the second approver off takes two people, by whichever door; what waits goes on waiting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, LiftRequest, StaffProfile, Store
from integrations.services.approval_rule import (
    VALID_FOR,
    ask_to_lift,
    confirm_lifting,
    refuse_lifting,
    require_approval,
)
from tests.factories import StoreFactory, UserFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store() -> Store:
    made: Store = StoreFactory(name="Shop", is_approval_required=True)
    return made


@pytest.fixture
def manager() -> Callable[[], User]:
    def make() -> User:
        user: User = UserFactory(is_superuser=False)
        user.groups.add(Group.objects.get(name="Manager"))
        StaffProfile.objects.create(user=user, sees_all_stores=True)
        return user

    return make


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def is_on(store: Store) -> bool:
    return Store.objects.get(pk=store.pk).is_approval_required


def decide(client: Client, store: Store, decision: str, **values: Any) -> int:
    data = {"decision": decision, **values}
    return client.post(reverse("admin:integrations_store_approval_rule", args=[store.pk]), data).status_code


def actions(store: Store) -> list[tuple[str, str]]:
    return list(AuditEntry.objects.filter(store=store).order_by("id").values_list("actor", "action"))


def test_the_store_form_cannot_switch_it_off(store: Store, manager: Callable[[], User]) -> None:
    for user in (manager(), UserFactory()):
        page = reverse("admin:integrations_store_change", args=[store.pk])
        for spelling in ({}, {"is_approval_required": ""}, {"is_approval_required": "false"}):
            data = {"name": "Shop 2", "singular_overrides": "{}", **spelling}
            assert client_of(user).post(page, data).status_code == 302
            assert is_on(store)
    assert Store.objects.get().name == "Shop 2"


def test_it_takes_two_people(store: Store, manager: Callable[[], User]) -> None:
    ada, bob = manager(), manager()
    decide(client_of(ada), store, "ask", reason="only we two are left")
    asked = LiftRequest.objects.get()
    for _ in range(2):
        decide(client_of(ada), store, "confirm", request=asked.pk)
        assert is_on(store)
    page = client_of(bob).get(reverse("admin:integrations_store_change", args=[store.pk])).content.decode()
    assert "only we two are left" in page
    assert "Confirm: turn it off" in page
    decide(client_of(bob), store, "confirm", request=asked.pk)
    assert not is_on(store)
    assert actions(store) == [(ada.username, "ask to lift approval"), (bob.username, "lift approval")]
    lifted = AuditEntry.objects.get(action="lift approval")
    assert (lifted.before, lifted.after) == (
        {"is_approval_required": True},
        {"is_approval_required": False, "asked_by": ada.username},
    )
    decide(client_of(ada), store, "on")
    assert is_on(store)


@pytest.mark.parametrize("role", ["Viewer", "Operator"])
def test_it_is_a_permission_of_its_own(store: Store, role: str) -> None:
    user = UserFactory(is_superuser=False)
    user.groups.add(Group.objects.get(name=role))
    waiting = ask_to_lift(store=store, actor=Actor.of_user(UserFactory()))
    for decision in ("on", "ask", "confirm", "refuse"):
        assert decide(client_of(user), store, decision, request=waiting.pk) == 403
    assert is_on(store)
    assert LiftRequest.objects.get().status == "waiting"


def test_staff_of_another_store_cannot_confirm(store: Store, manager: Callable[[], User]) -> None:
    waiting = ask_to_lift(store=store, actor=Actor.of_user(manager()))
    other = manager()
    StaffProfile.objects.filter(user=other).update(sees_all_stores=False)
    StoreFactory().staff.add(other)
    assert decide(client_of(other), store, "confirm", request=waiting.pk) == 404
    assert is_on(store)


def test_neither_program_nor_superuser_is_a_second_person_alone(store: Store) -> None:
    root = Actor.of_user(UserFactory())
    with pytest.raises(ValidationError, match="people"):
        ask_to_lift(store=store, actor=Actor(None, "token x"))
    waiting = ask_to_lift(store=store, actor=root)
    for actor in (root, Actor(None, "token x")):
        with pytest.raises(ValidationError):
            confirm_lifting(request=waiting, actor=actor)
    assert is_on(store)


@pytest.mark.parametrize("state", ["left", "lost the permission", "deleted"])
def test_who_asked_must_still_be_one_who_may(store: Store, manager: Callable[[], User], state: str) -> None:
    ada, bob = manager(), manager()
    waiting = ask_to_lift(store=store, actor=Actor.of_user(ada))
    if state == "left":
        User.objects.filter(pk=ada.pk).update(is_active=False)
    elif state == "lost the permission":
        ada.groups.clear()
    else:
        ada.delete()
    with pytest.raises(ValidationError, match="no longer"):
        confirm_lifting(request=waiting, actor=Actor.of_user(bob))
    assert is_on(store)


def test_a_request_is_decided_once_and_expires(store: Store, manager: Callable[[], User]) -> None:
    ada, bob = Actor.of_user(manager()), Actor.of_user(manager())
    first = ask_to_lift(store=store, actor=ada, now=NOW)
    with pytest.raises(ValidationError, match="already"):
        ask_to_lift(store=store, actor=bob, now=NOW)
    with pytest.raises(ValidationError, match="expired"):
        confirm_lifting(request=first, actor=bob, now=NOW + VALID_FOR)
    second = ask_to_lift(store=store, actor=ada, now=NOW + VALID_FOR + timedelta(seconds=1))
    refuse_lifting(request=second, actor=bob, now=second.asked_at)
    with pytest.raises(ValidationError, match="decided"):
        confirm_lifting(request=second, actor=bob, now=second.asked_at)
    assert is_on(store)
    with pytest.raises(ValidationError, match="already"):
        require_approval(store=store, actor=ada)


def test_saving_the_form_does_not_write_back_a_rule_that_was_read_before_it_was_switched_on(
    manager: Callable[[], User], monkeypatch: pytest.MonkeyPatch
) -> None:
    from integrations.admin.store import StoreAdmin

    store = StoreFactory()
    original = StoreAdmin.save_model

    def switched_on_meanwhile(self: Any, request: Any, obj: Any, form: Any, change: bool) -> None:
        Store.objects.filter(pk=store.pk).update(is_approval_required=True)
        original(self, request, obj, form, change)

    monkeypatch.setattr(StoreAdmin, "save_model", switched_on_meanwhile)
    page = reverse("admin:integrations_store_change", args=[store.pk])
    assert client_of(manager()).post(page, {"name": "New", "singular_overrides": "{}"}).status_code == 302
    assert is_on(store)
