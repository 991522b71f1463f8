"""The password once more: before what is delicate, and after an idle or a long session. Nothing typed is lost."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from integrations.foundation.audit import HOOKDESK
from integrations.models import AccessToken, Integration, Secret, Source, SourceAddress, SourceSecret, Store
from integrations.services import create_source
from tests.factories import IntegrationFactory, SecretFactory, StoreFactory, UserFactory

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
CONFIRM = "/admin/desk/confirm/"


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as traveller:
        yield traveller


def person(role: str | None = None, **values: Any) -> User:
    user: User = UserFactory(is_superuser=role is None, **values)
    user.set_password(PASSWORD)
    user.save()
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def client_of(user: User) -> Client:
    client = Client(enforce_csrf_checks=False)
    client.force_login(user)
    return client


def confirmed(client: Client, asked: Any, password: str = PASSWORD) -> Any:
    """Answer the page that `asked` leads to."""
    assert asked.status_code == 302, asked.content[:300]
    assert asked.url.startswith(CONFIRM), asked.url
    page = client.get(asked.url).content.decode()
    fields = dict(re.findall(r'name="(next|kept)" value="([^"]*)"', page))
    return client.post(CONFIRM, {**{k: html.unescape(v) for k, v in fields.items()}, "password": password})


def resume(client: Client, response: Any) -> Any:
    """What the browser does with the page that carries the kept form."""
    page = response.content.decode()
    path = html.unescape(re.search(r'action="([^"]+)"[^>]*data-resubmit', page)[1])  # type: ignore[index]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    data: dict[str, list[str]] = {}
    for name, value in found:
        data.setdefault(html.unescape(name), []).append(html.unescape(value))
    assert data.pop("csrfmiddlewaretoken", None)
    return client.post(path, data)


def delicate() -> dict[str, tuple[str, dict[str, Any]]]:
    store = StoreFactory(is_approval_required=True)
    integration = IntegrationFactory(store=store)
    SecretFactory(integration=integration)
    source = create_source(store=store, actor=HOOKDESK, name="GitHub", kind="github")
    other = UserFactory(username="other")
    return {
        "token": (reverse("admin:integrations_store_issue", args=[store.pk]), {"name": "x", "scopes": ["manage"]}),
        "rule": (reverse("admin:integrations_store_approval_rule", args=[store.pk]), {"decision": "ask"}),
        "store": (reverse("admin:integrations_store_change", args=[store.pk]), {"name": "y"}),
        "secret": (reverse("admin:integrations_integration_secret", args=[integration.pk]), {}),
        "source": (
            reverse("admin:integrations_source_add") + "?kind=hub",
            {"store": store.pk, "name": "New", "mode": "record"},
        ),
        "source's secret": (reverse("admin:integrations_source_secret", args=[source.pk]), {}),
        "source's address": (reverse("admin:integrations_source_address", args=[source.pk]), {}),
        "integration": (
            reverse("admin:integrations_integration_add") + "?kind=standard",
            {"store": store.pk, "name": "New", "url": "http://127.0.0.1:9/x"},
        ),
        "user": (reverse("admin:auth_user_change", args=[other.pk]), {"is_superuser": "on"}),
        "new user": (reverse("admin:auth_user_add"), {"username": "z"}),
        "user's password": (reverse("admin:auth_user_password_change", args=[other.pk]), {"password1": "z"}),
        "users": (reverse("admin:auth_user_changelist"), {"action": "delete_selected", "_selected_action": other.pk}),
        "role": (reverse("admin:auth_group_add"), {"name": "z"}),
        "own password": (reverse("admin:password_change"), {"old_password": PASSWORD}),
    }


def counts() -> tuple[int, ...]:
    models = (AccessToken, Integration, Secret, Source, SourceAddress, SourceSecret, Store, User, Group)
    return tuple(model.objects.count() for model in models)


@pytest.mark.parametrize(
    "what",
    ["token", "rule", "store", "secret", "source", "source's secret", "source's address", "integration", "user", "new user", "user's password", "users", "role",
     "own password"],
)  # fmt: skip
def test_delicate_forms_ask_unless_the_password_was_given_lately(clock: Any, what: str) -> None:
    path, data = delicate()[what]
    client = client_of(person())
    clock.shift(timedelta(minutes=9))
    assert not getattr(client.post(path, data), "url", "").startswith(CONFIRM)
    clock.shift(timedelta(minutes=2))
    before = counts()
    assert client.post(path, data).url.startswith(CONFIRM)
    assert counts() == before


def test_what_was_sent_goes_on_after_the_password(clock: Any) -> None:
    store = StoreFactory()
    client = client_of(person())
    clock.shift(timedelta(minutes=30))
    path = reverse("admin:integrations_store_issue", args=[store.pk])
    asked = client.post(path, {"name": 'a "quoted" <name> ü', "scopes": ["push", "manage"]})
    assert AccessToken.objects.count() == 0
    assert resume(client, confirmed(client, asked)).status_code == 302
    token = AccessToken.objects.get()
    assert (token.name, token.scopes) == ('a "quoted" <name> ü', ["push", "manage"])
    # Confirmed for the next minutes; what was kept is gone.
    assert client.post(path, {"name": "second", "scopes": ["push"]}).url.endswith("/change/")
    assert not client.session["kept_forms"]


def test_what_is_kept_is_not_readable_in_the_database(clock: Any) -> None:
    client = client_of(person())
    clock.shift(timedelta(minutes=30))
    store = StoreFactory()
    data = {"store": store.pk, "name": "New", "url": "http://127.0.0.1:9/x", "token": "CANARY-TOKEN"}
    client.post(reverse("admin:integrations_integration_add") + "?kind=standard", data)
    assert "CANARY" not in str(client.session["kept_forms"])
    assert all("CANARY" not in str(session.get_decoded()) for session in Session.objects.all())


def test_a_wrong_password_changes_nothing_and_is_counted_like_a_login(clock: Any) -> None:
    store = StoreFactory()
    client = client_of(person())
    clock.shift(timedelta(minutes=30))
    asked = client.post(reverse("admin:integrations_store_issue", args=[store.pk]), {"name": "x", "scopes": ["push"]})
    statuses = [confirmed(client, asked, "wrong").status_code for _ in range(5)]
    assert statuses == [200] * 5
    late = confirmed(client, asked)
    assert late.status_code == 429
    assert AccessToken.objects.count() == 0
    clock.shift(timedelta(seconds=31))
    assert resume(client, confirmed(client, asked)).status_code == 302
    assert AccessToken.objects.count() == 1


def test_the_password_of_somebody_else_does_not_do(clock: Any) -> None:
    person(username="bob")
    ada = person(username="ada")
    ada.set_password("another one entirely")
    ada.save()
    client = client_of(ada)
    clock.shift(timedelta(minutes=30))
    asked = client.post(reverse("admin:auth_group_add"), {"name": "z"})
    assert confirmed(client, asked, PASSWORD).status_code == 200


@pytest.mark.parametrize("role", ["Operator", "Manager", None])
def test_an_idle_session_of_who_may_change_things_asks_before_it_shows_anything(clock: Any, role: str | None) -> None:
    client = client_of(person(role))
    clock.shift(timedelta(minutes=61))
    page = reverse("admin:deliveries_delivery_changelist")
    asked = client.get(page + "?status=failed")
    before = client.session.session_key
    gone_on = confirmed(client, asked)
    assert (gone_on.status_code, gone_on.url) == (302, page + "?status=failed")
    assert client.session.session_key != before
    assert client.get(page).status_code == 200


def test_who_may_only_look_stays(clock: Any) -> None:
    client = client_of(person("Viewer"))
    clock.shift(timedelta(days=2))
    assert client.get(reverse("admin:deliveries_delivery_changelist")).status_code == 200


def test_doing_something_keeps_the_session_alive_and_parts_that_refresh_themselves_do_not(clock: Any) -> None:
    client = client_of(person("Manager"))
    for _ in range(4):
        clock.shift(timedelta(minutes=50))
        assert client.get(reverse("admin:index")).status_code == 200
    for _ in range(7):
        clock.shift(timedelta(minutes=10))
        part = client.get(reverse("admin:desk_heartbeat"), headers={"X-Requested-With": "fetch"})
    assert part.status_code == 403
    assert client.get(reverse("admin:index")).url.startswith(CONFIRM)


def test_a_session_does_not_last_for_ever_however_busy(clock: Any) -> None:
    client = client_of(person("Manager"))
    for _ in range(15):
        clock.shift(timedelta(minutes=50))
        answer = client.get(reverse("admin:index"))
    assert answer.url.startswith(CONFIRM)


def test_the_wizards_draft_survives_an_idle_session(clock: Any) -> None:
    client = client_of(person("Manager"))
    session = client.session
    session["wizard"] = {"x": {"text": "typed"}}
    session.save()
    clock.shift(timedelta(hours=3))
    confirmed(client, client.get(reverse("admin:index")))
    assert client.session["wizard"] == {"x": {"text": "typed"}}


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_it_leads_nowhere_else(wanted: str) -> None:
    client = client_of(person())
    assert client.post(CONFIRM, {"next": wanted, "password": PASSWORD}).url == reverse("admin:index")


def test_whoever_has_no_password_logs_in_again(clock: Any) -> None:
    user = person()
    user.set_unusable_password()
    user.save()
    client = client_of(user)
    clock.shift(timedelta(hours=2))
    assert client.get(reverse("admin:index")).url.startswith(reverse("admin:login"))
    assert "_auth_user_id" not in client.session


def test_a_form_of_another_session_cannot_be_taken(clock: Any) -> None:
    ada, bob = client_of(person()), client_of(person())
    clock.shift(timedelta(minutes=30))
    asked = ada.post(reverse("admin:auth_group_add"), {"name": "z"})
    key = asked.url.partition("kept=")[2]
    assert bob.post(CONFIRM, {"kept": key, "password": PASSWORD}).status_code == 302
