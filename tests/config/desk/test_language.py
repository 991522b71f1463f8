"""Each page in the language of whoever looks at it; the API in English always."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from integrations.foundation.languages import staff_language
from tests.factories import UserFactory

PAGE = "/admin/desk/time-zone/"


def spoken(client: Client, accept: str = "") -> str:
    """The language in which a page is answered."""
    response = client.get(PAGE, headers={"Accept-Language": accept} if accept else {})
    language = response["Content-Language"]
    assert f'<html lang="{language}"' in response.content.decode()
    return str(language)


def test_the_browser_is_answered_in_the_first_of_its_languages_that_the_desk_speaks(ada: Client) -> None:
    assert spoken(ada, "de-AT,de;q=0.9,en;q=0.8") == "de"
    assert spoken(ada, "ja,fr;q=0.5,en;q=0.3") == "fr"
    assert spoken(ada, "en-GB") == "en"


def test_a_browser_that_asks_for_no_language_of_the_desk_gets_the_installations(ada: Client, settings: Any) -> None:
    assert spoken(ada, "ja") == spoken(ada) == "en"
    settings.DESK_LANGUAGE = "fr"
    assert spoken(ada, "ja") == spoken(ada) == "fr"


def test_what_somebody_chose_wins_until_they_take_it_back(ada: Client) -> None:
    chosen = ada.post(PAGE, {"zone": "", "language": "de"}).cookies["hookdesk_language"]
    assert chosen["httponly"]
    assert spoken(ada, "fr") == "de"
    ada.post(PAGE, {"zone": "", "language": ""})
    assert spoken(ada, "fr") == "fr"


def test_a_language_that_the_desk_does_not_speak_is_refused(ada: Client) -> None:
    response = ada.post(PAGE, {"zone": "Asia/Tokyo", "language": "tlh"})
    assert response.status_code == 200
    assert "does not speak this language" in response.content.decode()
    assert not {"hookdesk_language", "hookdesk_zone_choice"} & set(response.cookies)


def test_no_page_leaves_its_language_to_the_next(ada: Client) -> None:
    assert spoken(ada, "de") == "de"
    assert translation.get_language() == "en"


def test_the_api_answers_in_english_whatever_is_asked_for(client: Client, settings: Any, db: None) -> None:
    settings.DESK_LANGUAGE = "fr"
    plain = client.get("/api/v1/events")
    french = client.get("/api/v1/events", headers={"Accept-Language": "fr"})
    assert french.json()["errors"] == plain.json()["errors"]
    assert "Content-Language" not in french


def test_what_is_written_for_all_of_the_staff_is_in_the_installations_language(settings: Any) -> None:
    settings.DESK_LANGUAGE = "de"
    with staff_language():
        assert translation.get_language() == "de"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/admin/login/", 200),
        ("/accounts/password/reset/", 200),
        ("/api/v1/docs/", 200),
        ("/admin/nowhere/", 302),
        ("/admin/login/?a=%00", 400),
        ("/nowhere/", 404),
    ],
)
def test_pages_before_a_login_and_those_that_refuse_say_their_language_too(address: str, status: int, db: None) -> None:
    response = Client().get(address, headers={"Accept-Language": "de"})
    assert response.status_code == status
    assert response["Content-Language"] == "de"
    if status != 302:
        assert '<html lang="de" dir="ltr"' in response.content.decode()


def test_a_language_that_is_read_from_right_to_left_says_so(settings: Any, db: None) -> None:
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "العربية")]
    response = Client().get("/admin/login/", headers={"Accept-Language": "ar"})
    assert '<html lang="ar" dir="rtl"' in response.content.decode()


def test_who_may_not_do_something_is_told_in_their_language(db: None) -> None:
    client = Client()
    client.force_login(UserFactory(is_superuser=False))
    response = client.get("/admin/auth/user/", headers={"Accept-Language": "fr"})
    assert response.status_code == 403
    assert '<html lang="fr"' in response.content.decode()


def test_a_form_that_django_does_not_accept_leads_back_to_the_desk(db: None) -> None:
    response = Client(enforce_csrf_checks=True).post("/admin/login/", {}, headers={"Accept-Language": "fr"})
    page = response.content.decode()
    assert response.status_code == 403
    assert '<html lang="fr"' in page
    assert "hookdesk/desk.css" in page


def test_the_menu_leads_to_language_and_zone(ada: Client) -> None:
    page = ada.get("/admin/").content.decode()
    assert f'href="{PAGE}"' in page
    assert "Language and time zone" in page


def test_a_link_for_a_forgotten_password_is_in_the_language_of_the_page(db: None, monkeypatch: Any) -> None:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr("django_q.tasks.async_task", lambda *task, **_: sent.append(task))
    UserFactory(is_staff=True, email="ada@example.com")
    Client().post("/accounts/password/reset/", {"email": "ada@example.com"}, headers={"Accept-Language": "fr"})
    assert [task[-1] for task in sent if task[0].endswith("send_links")] == ["fr"]
