"""Every page of the admin says what it says in the language of whoever looks at it.

Each text that is translated is marked here, as a language would change it. What a page says besides is data, code, or a
text that somebody forgot to mark.
"""

from __future__ import annotations

import html
import re

import pytest
from django.apps import apps
from django.conf import settings
from django.utils import translation

from config.desk.time_zone import choices
from tests.doors.addresses import WALKS, keys_of, routes, some
from tests.doors.conftest import SUPERUSER, World
from tests.translations import NAMES, Reader

WORD = re.compile(r"[^\W\d_]{3,}")
MARKED = re.compile("⟦[^⟦⟧]*⟧")


def mark(message: str) -> str:
    return f"⟦{message}⟧" if message else message


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every translated text stands between marks."""
    translation.gettext("")  # the functions are there from the first use on
    trans = translation._trans  # type: ignore[attr-defined]
    monkeypatch.setattr(trans, "gettext", mark)
    monkeypatch.setattr(trans, "pgettext", lambda context, message: mark(message))
    monkeypatch.setattr(trans, "ngettext", lambda one, many, number: mark(one if number == 1 else many))
    monkeypatch.setattr(trans, "npgettext", lambda context, one, many, number: mark(one if number == 1 else many))


def words_of_data() -> set[str]:
    """All words of all rows."""
    found: set[str] = set()
    for model in apps.get_models():
        for row in model._default_manager.values_list():
            for value in row:
                found.update(WORD.findall(str(value)))
    return found


def left_over(page: str, known: set[str]) -> list[str]:
    """What the page says outside of marks that is no data either."""
    while page != (shorter := MARKED.sub(" ", page)):
        page = shorter
    reader = Reader()
    reader.feed(page)
    return [
        text
        for text in (html.unescape(re.sub("^[a-z-]+=", "", one)) for one in reader.found)
        if not DATA.fullmatch(text.strip()) and any(word not in known for word in WORD.findall(NAMES.sub("", text)))
    ]


#: Names and codes, which are the same in every language.
CODES = "true false Authorization Bearer Token Hub shipment Slack Microsoft Teams Discord PagerDuty Opsgenie Webhook"
#: Ids, and samples of what is sent.
DATA = re.compile(r"[a-z]{3}_[0-9a-f]+….*|[\"{].*|shipment [0-9a-f]{32}")
#: Pages, or parts of them, that Django and django-q write, and not in other languages.
OF_OTHERS = re.compile(r"django_q/.*|auth/user/.*/password/|(auth/group|notifications/channel)/.*/delete/")


def names() -> set[str]:
    """Of languages and time zones, which one page lists."""
    return set(WORD.findall(" ".join([*choices(), *dict(settings.LANGUAGES).values(), CODES])))


@pytest.mark.parametrize("one_in", WALKS)
def test_no_page_has_a_text_that_is_in_english_always(world: World, marked: None, one_in: int) -> None:
    client, known = world.client(SUPERUSER), words_of_data() | names()
    found = {}
    for route in some(routes(), one_in):
        if "(?P" in route.pattern or OF_OTHERS.fullmatch(route.pattern):
            continue
        response = client.get(route.filled(keys_of(route, world.rows(world.alpha))))
        is_page = response.status_code == 200 and response["Content-Type"].startswith("text/html")
        if is_page and (left := left_over(response.content.decode(), known)):
            found[route.pattern] = left
    assert found == {}
