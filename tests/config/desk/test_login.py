"""Guessing passwords is slow, and nobody can be locked out for good by others."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, connections
from django.test import Client, RequestFactory
from django.urls import reverse

from config.desk import login_throttle
from config.desk.login_throttle import ADDRESS, DEVICE, NAME, PAIR, WINDOW, Throttled, charge, settle
from config.models import LoginLimit
from integrations.security.client_address import client_address, client_network
from tests.factories import UserFactory

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = "correct horse battery"


@pytest.fixture
def ada(db: None) -> Any:
    user = UserFactory(username="Ada")
    user.set_password(PASSWORD)
    user.save()
    return user


def login(client: Client, name: str = "Ada", password: str = "wrong", address: str = "203.0.113.1") -> Any:
    data = {"username": name, "password": password, "next": "/admin/"}
    return client.post(reverse("admin:login"), data, REMOTE_ADDR=address)


def fail(times: int, now: datetime, *, name: str = "ada", address: str = "203.0.113.1", device: str = "") -> int:
    """How many of so many tries were looked at."""
    looked_at = 0
    for _ in range(times):
        try:
            charge(name=name, address=address, device=device, now=now)
            looked_at += 1
        except Throttled:
            pass
    return looked_at


def test_after_a_few_wrong_passwords_the_right_one_is_not_looked_at_either(ada: Any) -> None:
    client = Client()
    for _ in range(PAIR.free):
        assert login(client).status_code == 200
    refused = login(client, password=PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 30
    assert "Try again in" in refused.content.decode()
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=31), tick=True):
        assert login(client, password=PASSWORD).status_code == 302


def test_the_owner_logs_in_from_elsewhere_meanwhile(ada: Any) -> None:
    for _ in range(30):
        login(Client())
    assert login(Client(), password=PASSWORD, address="198.51.100.9").status_code == 302


def test_a_browser_that_is_known_is_not_kept_waiting_by_others(ada: Any) -> None:
    mine = Client()
    assert login(mine, password=PASSWORD).status_code == 302
    mine.post(reverse("admin:logout"))
    for number in range(300):
        charge_or_not("Ada", f"198.51.{number % 200}.{number // 200}")
    for _ in range(60):
        login(Client())
    assert login(mine, password=PASSWORD).status_code == 302


def charge_or_not(name: str, address: str) -> None:
    with suppress(Throttled):
        charge(name=name, address=address)


def test_the_cookie_of_a_known_browser_is_no_licence_to_guess(ada: Any) -> None:
    stolen = Client()
    login(stolen, password=PASSWORD)
    stolen.post(reverse("admin:logout"))
    statuses = [login(stolen, address=f"198.51.100.{number}").status_code for number in range(20)]
    assert statuses == [200] * DEVICE.free + [429] * 10
    other = UserFactory(username="bob")
    assert other.username == "bob"
    assert [login(stolen, "bob").status_code for _ in range(7)] == [200] * PAIR.free + [429] * 2


def test_a_forged_cookie_is_none(ada: Any) -> None:
    client = Client()
    client.cookies["hookdesk_browser"] = "eyJhIjoiYiJ9:1abc:xyz"
    assert [login(client).status_code for _ in range(6)][-1] == 429


def test_a_name_that_does_not_exist_is_answered_in_the_same_way(ada: Any) -> None:
    answers = {}
    for name, address in (("Ada", "203.0.113.1"), ("nobody", "203.0.113.2")):
        responses = [login(Client(), name, address=address) for _ in range(8)]
        answers[name] = [
            (response.status_code, [str(error) for error in response.context_data["form"].non_field_errors()])
            for response in responses
        ]
    assert [status for status, _ in answers["Ada"]] == [200] * 5 + [429] * 3
    assert answers["Ada"][:5] == answers["nobody"][:5]
    assert all("Try again in" in errors[0] for name in answers for _, errors in answers[name][5:])


@pytest.mark.django_db
def test_other_spellings_of_a_name_are_the_same_name() -> None:
    assert sum(fail(1, NOW, name=name) for name in ("ada", "ADA", " ada ", "Ada", "ａｄａ", "aDa", "adA")) == PAIR.free


@pytest.mark.django_db
def test_waits_double_up_to_a_quarter_of_an_hour_and_tries_meanwhile_do_not_prolong_them() -> None:
    at, waits = NOW, []
    assert fail(PAIR.free, at) == PAIR.free
    for _ in range(8):
        with pytest.raises(Throttled) as caught:
            charge(name="ada", address="203.0.113.1", now=at)
        assert fail(50, at) == 0
        waits.append(caught.value.seconds)
        at += timedelta(seconds=caught.value.seconds)
        assert fail(1, at) == 1
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]


@pytest.mark.django_db
def test_one_password_tried_on_many_names_is_slowed_by_address() -> None:
    looked_at = sum(fail(1, NOW, name=f"name{number}") for number in range(200))
    assert looked_at == ADDRESS.free
    assert fail(1, NOW, name="other", address="198.51.100.7") == 1


@pytest.mark.django_db
def test_one_name_tried_from_many_addresses_is_slowed_by_name_but_never_for_long() -> None:
    looked_at = sum(fail(2, NOW, address=f"198.51.{number % 250}.{number // 250}") for number in range(1_000))
    assert looked_at <= login_throttle.FIRST_TRY_UNTIL + NAME.free
    with pytest.raises(Throttled) as caught:
        charge(name="ada", address="203.0.113.200", now=NOW)
    assert caught.value.seconds <= 60
    assert fail(1, NOW + timedelta(seconds=60), address="203.0.113.200") == 1


@pytest.mark.django_db
def test_a_login_takes_only_its_own_failures_back() -> None:
    for number in range(ADDRESS.free - 1):
        fail(1, NOW, name=f"name{number}")
    for _ in range(30):  # somebody with an account of their own logs in between the guesses
        settle(charge(name="mallory", address="203.0.113.1", now=NOW))
    assert fail(10, NOW, name="victim") == 1


@pytest.mark.django_db
def test_failures_are_forgotten_and_their_rows_cleared_away(monkeypatch: pytest.MonkeyPatch) -> None:
    fail(PAIR.free, NOW)
    assert fail(PAIR.free, NOW + WINDOW + timedelta(seconds=1)) == PAIR.free
    later = NOW + 3 * WINDOW
    fail(1, later, name="bob", address="198.51.100.1")
    assert not LoginLimit.objects.filter(updated_at__lt=later).exists()
    monkeypatch.setattr(login_throttle, "MOST_ROWS", 30)
    for number in range(100):
        fail(1, later + timedelta(seconds=number), name=f"n{number}", address=f"198.51.100.{number}")
    assert LoginLimit.objects.count() <= 33


@pytest.mark.django_db
def test_what_is_typed_as_a_name_is_not_kept() -> None:
    fail(1, NOW, name="my-password-by-mistake")
    assert not any("password" in str(row) for row in LoginLimit.objects.values())


@pytest.mark.django_db(transaction=True)
def test_many_tries_at_once_are_no_way_round() -> None:
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        assert fail(40, NOW) == PAIR.free
        return
    looked_at = []

    def run() -> None:
        looked_at.append(fail(5, NOW))
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(looked_at) == PAIR.free


def test_a_page_that_was_left_by_a_person_who_may_not_log_in_here_counts_as_a_failure(db: None) -> None:
    customer = UserFactory(username="customer", is_staff=False, is_superuser=False)
    customer.set_password(PASSWORD)
    customer.save()
    assert [login(Client(), "customer", PASSWORD).status_code for _ in range(6)] == [200] * 5 + [429]


@pytest.mark.parametrize(
    ("remote", "forwarded", "trusted", "expected"),
    [
        ("203.0.113.1", "198.51.100.1", [], "203.0.113.1"),
        ("127.0.0.1", "198.51.100.1", [], "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", ["127.0.0.0/8"], "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1", ["127.0.0.0/8"], "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 10.0.0.2", ["127.0.0.0/8", "10.0.0.0/8"], "198.51.100.1"),
        ("203.0.113.1", "198.51.100.1", ["127.0.0.0/8"], "203.0.113.1"),
        ("127.0.0.1", "nonsense", ["127.0.0.0/8"], "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, nonsense", ["127.0.0.0/8"], "127.0.0.1"),
        ("127.0.0.1", "", ["127.0.0.0/8"], "127.0.0.1"),
        ("", "198.51.100.1", ["127.0.0.0/8"], "198.51.100.1"),
        ("::ffff:127.0.0.1", "::ffff:198.51.100.1", ["127.0.0.0/8"], "198.51.100.1"),
    ],
)
def test_only_proxies_that_are_trusted_say_who_the_client_is(
    settings: Any, remote: str, forwarded: str, trusted: list[str], expected: str
) -> None:
    settings.TRUSTED_PROXIES = trusted
    request = RequestFactory().get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == expected


def test_the_addresses_of_one_ipv6_network_are_one_client(settings: Any) -> None:
    found = {
        client_network(RequestFactory().get("/", REMOTE_ADDR=f"2001:db8:1:2:{number:x}::1")) for number in range(9)
    }
    assert found == {"2001:db8:1:2::/64"}
