"""Authenticator apps, recovery codes, roles that need one, and what happens when it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from config.desk.login_throttle import PAIR
from config.key_rotation import rotate_keys
from integrations.models import AuditEntry
from tests.config.accounts.steps import ACTIVATE, PASSWORD, code_of, enter, is_in, person, set_up_app

pytestmark = pytest.mark.django_db
CODE = "/accounts/2fa/authenticate/"
SECURITY = "/accounts/security/"
CONFIRM = "/admin/desk/confirm/"


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel("2026-03-01T12:00:05Z", tick=False) as traveller:
        yield traveller


@pytest.fixture
def ada(clock: Any) -> User:
    return person("Manager", username="ada")


@pytest.fixture
def app(ada: User, clock: Any) -> tuple[str, list[str]]:
    client = Client()
    enter(client, ada)
    found = set_up_app(client)
    clock.shift(120)
    return found


def test_a_password_alone_logs_nobody_in_who_has_an_app(ada: User, app: tuple[str, list[str]], clock: Any) -> None:
    client = Client()
    answer = enter(client, ada, wanted="/admin/deliveries/delivery/")
    assert answer.url == CODE
    before = client.session.session_key
    assert not is_in(client)
    assert "One more step" in client.get(CODE).content.decode()
    done = client.post(CODE, {"code": code_of(app[0])})
    assert done.url == "/admin/deliveries/delivery/"
    assert is_in(client)
    assert client.session.session_key != before


def test_a_code_of_a_clock_that_is_half_a_minute_off_is_right_and_an_older_one_is_not(
    ada: User, app: tuple[str, list[str]], clock: Any
) -> None:
    now = 1772366525.0  # 2026-03-01T12:02:05Z
    for shift, is_right in ((-90, False), (90, False), (-30, True), (30, True)):
        client = Client()
        enter(client, ada)
        assert client.post(CODE, {"code": code_of(app[0], now + shift)}).status_code == (302 if is_right else 200)


def test_a_code_works_once_whichever_process_saw_it(ada: User, app: tuple[str, list[str]], settings: Any) -> None:
    # Another process has another memory.
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    answers = []
    for _ in range(2):
        client = Client()
        enter(client, ada)
        answers.append(client.post(CODE, {"code": code_of(app[0])}).status_code)
    assert answers == [302, 200]


def test_guessing_codes_is_slow_and_a_right_password_makes_no_room_for_more(
    ada: User, app: tuple[str, list[str]], clock: Any
) -> None:
    looked_at = 0
    for _ in range(12):
        client = Client()
        assert enter(client, ada).url == CODE
        looked_at += "Try again in" not in client.post(CODE, {"code": "000000"}).content.decode()
    assert looked_at == PAIR.free
    assert "Try again in" in client.post(CODE, {"code": code_of(app[0])}).content.decode()
    clock.shift(31)
    enter(client, ada)
    assert client.post(CODE, {"code": code_of(app[0])}).status_code == 302


def test_each_recovery_code_works_once(ada: User, app: tuple[str, list[str]]) -> None:
    codes = app[1]
    assert len(set(codes)) == 10
    answers = []
    for code in (codes[3], codes[3], codes[4]):
        client = Client()
        enter(client, ada)
        answers.append(client.post(CODE, {"code": code}).status_code)
    assert answers == [302, 200, 302]
    assert "8 of 10 left" in client.get(SECURITY).content.decode()
    assert codes[5] not in client.get("/accounts/2fa/recovery-codes/").content.decode()


def test_secrets_are_encrypted_at_rest_and_rotate_with_the_keys(ada: User, clock: Any, settings: Any) -> None:
    client = Client()
    enter(client, ada)
    page = client.get(ACTIVATE).content.decode()
    pending = page.split("<pre")[1].split(">")[1].split("<")[0]
    assert pending not in str([session.get_decoded() for session in Session.objects.all()])
    secret, codes = set_up_app(client)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert not any(code in stored for code in codes)
    settings.ENCRYPTION_KEYS = ["a second key for the tests", *settings.ENCRYPTION_KEYS]
    assert rotate_keys().changed >= 2
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    clock.shift(120)
    client = Client()
    enter(client, ada)
    assert client.post(CODE, {"code": code_of(secret)}).status_code == 302


def test_setting_one_up_is_audited_told_by_mail_and_ends_the_other_sessions(
    ada: User, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr("django_q.tasks.async_task", lambda *args: sent.append(args))
    old, client = Client(), Client()
    enter(old, ada)
    enter(client, ada)
    secret, codes = set_up_app(client)
    assert not is_in(old)
    assert is_in(client)
    actions = set(AuditEntry.objects.filter(user=ada).values_list("action", flat=True))
    assert {"add authenticator app", "add recovery codes"} <= actions
    assert [each[:2] for each in sent] == [("config.accounts.mail.send_by_id", ada.pk)]
    assert secret not in str(sent)
    assert not any(code in str(sent) for code in codes)


@pytest.mark.parametrize("path", [ACTIVATE, "/accounts/2fa/webauthn/add/", "/accounts/2fa/recovery-codes/"])
def test_changing_how_one_logs_in_asks_again_who_it_is(ada: User, clock: Any, path: str) -> None:
    client = Client()
    enter(client, ada)
    clock.shift(11 * 60)
    assert client.get(path).url.startswith(CONFIRM)


def test_a_code_confirms_as_well_as_a_password(ada: User, app: tuple[str, list[str]], clock: Any) -> None:
    client = Client()
    enter(client, ada)
    client.post(CODE, {"code": code_of(app[0])})
    clock.shift(11 * 60)
    asked = client.get(ACTIVATE.replace("activate", "deactivate"))
    page = client.get(asked.url).content.decode()
    assert 'name="password"' in page
    assert 'name="code"' in page
    wanted = asked.url.partition("next=")[2].replace("%2F", "/")
    assert "wrong or has already been used" in client.post(CONFIRM, {"code": "123456", "next": wanted}).content.decode()
    assert client.post(CONFIRM, {"code": code_of(app[0]), "next": wanted}).url == wanted
    assert client.post(wanted).url == "/accounts/2fa/"
    assert not Authenticator.objects.exists()


def test_a_session_that_is_older_than_the_factor_confirms_with_the_factor_only(ada: User, clock: Any) -> None:
    client = Client()
    client.force_login(ada)
    Authenticator.objects.create(user=ada, type="totp", data={"secret": "x"})
    asked = client.get("/accounts/2fa/webauthn/add/")
    assert asked.url.startswith(CONFIRM)
    assert 'name="password"' not in client.get(asked.url).content.decode()
    answer = client.post(CONFIRM, {"password": PASSWORD})
    assert answer.status_code == 200


@pytest.mark.parametrize(("role", "is_blocked"), [("Manager", True), (None, True), ("Operator", False)])
def test_a_role_that_needs_a_second_factor_sees_nothing_before_there_is_one(
    clock: Any, settings: Any, role: str | None, is_blocked: bool
) -> None:
    settings.REQUIRE_SECOND_FACTOR = ["manager"]
    user = person(role)
    client = Client()
    enter(client, user)
    lists = reverse("admin:deliveries_delivery_changelist")
    assert (getattr(client.get(lists), "url", "") == SECURITY) is is_blocked
    posted = client.post(reverse("admin:desk_zone"), {"zone": "UTC"})
    assert (posted.url == SECURITY) is is_blocked
    part = client.get(reverse("admin:desk_heartbeat"), headers={"X-Requested-With": "fetch"})
    assert part.status_code == (403 if is_blocked else 200)
    if is_blocked:
        assert "Your role requires a second factor" in client.get(SECURITY).content.decode()
        set_up_app(client)
        assert client.get(lists).status_code == 200


def test_who_needs_a_factor_cannot_remove_the_last_one(
    ada: User, app: tuple[str, list[str]], settings: Any, clock: Any
) -> None:
    settings.REQUIRE_SECOND_FACTOR = ["Manager"]
    client = Client()
    enter(client, ada)
    client.post(CODE, {"code": code_of(app[0])})
    assert client.post("/accounts/2fa/totp/deactivate/").url == SECURITY
    assert Authenticator.objects.filter(type="totp").exists()


def test_an_old_session_passes_the_factor_when_the_role_begins_to_need_one(
    ada: User, app: tuple[str, list[str]], settings: Any, clock: Any
) -> None:
    client = Client()
    client.force_login(ada)
    assert is_in(client)
    settings.REQUIRE_SECOND_FACTOR = ["Manager"]
    asked = client.get("/admin/")
    assert asked.url.startswith(CONFIRM)
    assert client.post(CONFIRM, {"password": PASSWORD}).status_code == 200
    assert client.post(CONFIRM, {"code": code_of(app[0])}).status_code == 302
    assert is_in(client)


def test_a_superuser_resets_a_lost_factor_and_says_why(ada: User, app: tuple[str, list[str]], clock: Any) -> None:
    theirs, boss = Client(), person()
    theirs.force_login(ada)
    client = Client()
    client.force_login(boss)
    page = f"/admin/auth/user/{ada.pk}/second-factor/"
    assert page in client.get(f"/admin/auth/user/{ada.pk}/change/").content.decode()
    assert "Say how you know" in client.post(page, {"reason": " "}).content.decode()
    assert Authenticator.objects.filter(user=ada).exists()
    client.post(page, {"reason": "showed her badge"})
    assert not Authenticator.objects.filter(user=ada).exists()
    assert not is_in(theirs)
    entry = AuditEntry.objects.get(action="reset second factor")
    assert (entry.user, entry.target_name, entry.reason) == (boss, "ada", "showed her badge")
    assert enter(Client(), ada).url == "/admin/"


def test_nobody_else_resets_it_and_a_superuser_confirms_first(
    ada: User, app: tuple[str, list[str]], clock: Any
) -> None:
    page = f"/admin/auth/user/{ada.pk}/second-factor/"
    manager, boss = Client(), Client()
    manager.force_login(person("Manager"))
    assert manager.post(page, {"reason": "x"}).status_code == 403
    boss.force_login(person())
    clock.shift(11 * 60)
    assert boss.post(page, {"reason": "x"}).url.startswith(CONFIRM)
    assert Authenticator.objects.filter(user=ada).exists()


def test_the_command_resets_the_last_superusers(ada: User, app: tuple[str, list[str]], capsys: Any) -> None:
    call_command("resetsecondfactor", "ada", reason="phone drowned")
    assert not Authenticator.objects.exists()
    assert AuditEntry.objects.get(action="reset second factor").actor == "manage.py resetsecondfactor"
    with pytest.raises(CommandError, match="no member of staff"):
        call_command("resetsecondfactor", "eve", reason="x")


@pytest.mark.parametrize(
    "document", ["", "{}", "[]", '"x"', '{"id":"a","rawId":"YQ","type":"public-key","response":{}}', "{"]
)
def test_what_is_no_passkey_is_refused_in_words(document: str, ada: User, app: tuple[str, list[str]]) -> None:
    client = Client()
    client.get(
        "/accounts/2fa/webauthn/login/", headers={"Accept": "application/json", "X-Requested-With": "XMLHttpRequest"}
    )
    assert client.post("/accounts/2fa/webauthn/login/", {"credential": document}).url == "/accounts/login/"
    enter(client, ada)
    assert client.post(CODE, {"credential": document}).status_code == 200
    assert not is_in(client)


def test_who_is_no_staff_is_told_so_even_with_the_right_code(ada: User, app: tuple[str, list[str]], clock: Any) -> None:
    client = Client()
    enter(client, ada)
    User.objects.filter(pk=ada.pk).update(is_staff=False)
    client.post(CODE, {"code": code_of(app[0])})
    assert not is_in(client)
