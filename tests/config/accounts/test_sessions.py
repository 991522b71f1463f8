"""Where somebody is logged in, logging out everywhere else, and new passwords by e-mail."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.urls import reverse

from config.accounts import password_reset
from integrations.models import AuditEntry
from tests.config.accounts.steps import PASSWORD, enter, is_in, person, set_up_app
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
SECURITY, END = "/accounts/security/", "/accounts/sessions/end/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Version/17.0 Safari/604"
RESET = "/accounts/password/reset/"


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr("django_q.tasks.async_task", lambda *args, **_: found.append(args))
    return found


def ask(tasks: list[Any], address: str) -> None:
    """For a new password; and the task does its work."""
    Client().post(RESET, {"email": address})
    _, *given = next(task for task in reversed(tasks) if task[0].endswith("send_links"))
    password_reset.send_links(*given)


def test_log_out_everywhere_ends_all_others_and_nobody_elses() -> None:
    ada, bob = person(), person()
    here, phone, theirs = Client(headers={"User-Agent": FIREFOX}), Client(headers={"User-Agent": PHONE}), Client()
    for client, user in ((here, ada), (phone, ada), (theirs, bob)):
        enter(client, user)
    page = here.get(SECURITY).content.decode()
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert page.count("this session") == 1
    here.post(END)
    assert (is_in(here), is_in(phone), is_in(theirs)) == (True, False, True)
    assert AuditEntry.objects.get(action="end sessions").after == {"ended": 1}
    assert UserSession.objects.filter(user=ada).count() == 1


def test_one_session_is_ended_and_not_that_of_somebody_else() -> None:
    ada, bob = person(), person()
    here, phone, theirs = Client(), Client(), Client()
    for client, user in ((here, ada), (phone, ada), (theirs, bob)):
        enter(client, user)
    row = UserSession.objects.get(session_key=phone.session.session_key).pk
    foreign = UserSession.objects.get(session_key=theirs.session.session_key).pk
    here.post(END, {"session": foreign})
    assert (is_in(phone), is_in(theirs)) == (True, True)
    here.post(END, {"session": row})
    assert (is_in(here), is_in(phone)) == (True, False)
    assert here.post(END, {"session": "x"}).status_code == 404


def test_a_session_is_found_after_its_key_was_changed() -> None:
    ada = person()
    here, other = Client(), Client()
    enter(here, ada)
    enter(other, ada)
    other.post("/admin/desk/confirm/", {"password": PASSWORD})
    other.post(reverse("admin:password_change"),
               {"old_password": PASSWORD, "new_password1": "another long one 1", "new_password2": "another long one 1"})  # fmt: skip
    assert is_in(other)
    enter(here, ada, "another long one 1")
    here.post(END)
    assert (is_in(here), is_in(other)) == (True, False)


def test_whether_an_address_has_an_account_cannot_be_told(tasks: list[Any]) -> None:
    ada = person(email="ada@example.com")
    pages = []
    for address in (ada.email, "nobody@example.com"):
        client = Client()
        client.get(RESET)
        pages.append(client.post(RESET, {"email": address}, follow=True).content.decode())
    assert re.sub(r'value="[^"]*"', "", pages[0]) == re.sub(r'value="[^"]*"', "", pages[1])
    assert tasks == [("config.accounts.password_reset.send_links", each, "en") for each in ([ada.pk], [])]


def test_a_link_sets_a_new_password_once_and_logs_out_everywhere(tasks: list[Any], settings: Any) -> None:
    settings.PUBLIC_URL = "https://desk.example"
    ada = person(email="ada@example.com")
    old = Client()
    enter(old, ada)
    ask(tasks, "ADA@example.com")
    link = re.search(r"https://desk\.example(/accounts/\S+)", mail.outbox[0].body)[1]  # type: ignore[index]
    client = Client()
    form = client.get(link).url
    done = client.post(form, {"new_password1": "brand new words 7", "new_password2": "brand new words 7"})
    assert done.url == "/accounts/password/reset/complete/"
    assert not is_in(old)
    assert not is_in(client)
    assert enter(Client(), ada, "brand new words 7").url == "/admin/"
    assert "already been used" in Client().get(link).content.decode()
    assert AuditEntry.objects.filter(action="reset password", user=ada).exists()
    assert [task[1] for task in tasks[1:]] == [ada.pk]


def test_a_new_password_does_not_get_round_the_second_factor(tasks: list[Any]) -> None:
    ada = person(email="ada@example.com")
    client = Client()
    enter(client, ada)
    set_up_app(client)
    ask(tasks, ada.email)
    link = re.search(r"(/accounts/password/\S+)", mail.outbox[0].body)[1]  # type: ignore[index]
    fresh = Client()
    fresh.post(fresh.get(link).url, {"new_password1": "brand new words 7", "new_password2": "brand new words 7"})
    assert not is_in(fresh)
    assert enter(fresh, ada, "brand new words 7").url == "/accounts/2fa/authenticate/"


def test_who_has_no_password_or_is_no_staff_gets_no_link(tasks: list[Any], settings: Any) -> None:
    User.objects.filter(pk=UserFactory(email="sso@example.com").pk).update(password=make_password(None))
    person(email="out@example.com", is_active=False)
    person(email="guest@example.com", is_staff=False)
    for address in ("sso@example.com", "out@example.com", "guest@example.com"):
        ask(tasks, address)
    assert mail.outbox == []
    settings.LOGIN_PASSWORDS = False
    assert Client().get(RESET).status_code == 404


def test_asking_again_and_again_is_slowed_down(tasks: list[Any]) -> None:
    answers = [Client().post(RESET, {"email": "a@example.com"}).status_code for _ in range(7)]
    assert answers == [302] * 5 + [429] * 2


def test_without_passwords_the_right_one_opens_nothing(settings: Any) -> None:
    settings.LOGIN_PASSWORDS = False
    ada = person()
    client = Client()
    assert 'name="password"' not in client.get(reverse("admin:login")).content.decode()
    assert enter(client, ada).status_code == 200
    assert not is_in(client)


def test_expired_sessions_are_cleared_by_later_logins() -> None:
    ada = person()
    client = Client()
    enter(client, ada)
    Session.objects.update(expire_date="2020-01-01T00:00Z")
    enter(Client(), ada)
    assert (Session.objects.count(), UserSession.objects.count()) == (1, 1)


@pytest.mark.parametrize("path", ["/api/v1/tokens", "/in/nothing"])
def test_what_programs_call_reads_no_session(path: str, django_assert_num_queries: Any) -> None:
    client = Client()
    enter(client, person())
    with django_assert_num_queries(1 if path.startswith("/in/") else 0):
        client.get(path)
