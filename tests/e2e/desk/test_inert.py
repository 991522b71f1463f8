"""What others wrote stays text, on every page: no script runs, the policy refuses nothing, nothing is fetched elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from playwright.sync_api import Error as PlaywrightError

from tests.doors.addresses import WALKS, Route, keys_of, routes, some
from tests.doors.world import make_shared, make_side
from tests.e2e.desk.hostile import CORPUS, WATCHER, corpus, make_hostile_world, watch
from tests.factories import UserFactory
from tests.receiver import answer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: The session's own pages; files for scripts; what the browser would download.
LEFT_OUT = {
    "deliveries_replay_repair_result",  # a part of a page that asks for it with the delivery it is about
    "login",
    "logout",
    "jsi18n",
    "autocomplete",
    "deliveries_bulkfix_export",
    "deliveries_delivery_raw",
    "deliveries_delivery_payload",
    "deliveries_delivery_revision",
}
PAGES = [route for route in routes() if route.name not in LEFT_OUT and "(?P" not in route.pattern]
#: Pages that read more than which row they are of.
READING = ("changelist", "_add", "index", "confirm", "fragment", "_turn")
#: What pages read from their query.
PARAMETERS = (
    "tab",
    "store",
    "window",
    "kind",
    "action",
    "next",
    "kept",
    "group",
    "integration",
    "status",
    "since",
    "p",
    "o",
    "topics",
)
#: Forms that go to this installation and do not end the session, of a page.
FORMS = "() => Array.from(document.querySelectorAll('main form[method=post], #content form[method=post]')).length"
FILL_AND_SEND = """
([number, text]) => {
  const form = document.querySelectorAll("main form[method=post], #content form[method=post]")[number];
  for (const field of form.elements) {
    if (field.type === "checkbox") { field.checked = true; }
    else if (/^(text|search|url|email|number|textarea|date|time)$/.test(field.type)) { field.type === "number" && (field.type = "text"); field.value = text; }
  }
  HTMLFormElement.prototype.submit.call(form);
}
"""
ORDER = range(len(CORPUS))


def in_short(*chosen: int) -> list[Any]:
    return [number if number in chosen else pytest.param(number, marks=pytest.mark.slow) for number in ORDER]


@pytest.fixture
def hostile_page(visit: Callable[..., Any], live_server: Any) -> Callable[..., Any]:
    """A page whose browser is watched, with the check to run on each of its addresses, and what that found."""

    def make(text: str, *, can_complain: bool = False) -> tuple[Any, Callable[[str], None], list[str]]:
        page = visit(first_name=text[:150], can_complain=can_complain)
        found: list[str] = []
        return page, watch(page, live_server.url, found), found

    return make


def address_of(route: Route, rows: dict[str, Any]) -> str:
    return route.filled(keys_of(route, rows))


def answering(rows: dict[str, Any], one_in: int) -> list[Route]:
    """Of the pages that can be looked at, one in so many: all others are for forms that are sent."""
    client = Client()
    client.force_login(UserFactory())
    answers = {route: client.get(address_of(route, rows)).status_code for route in some(PAGES, one_in)}
    assert set(answers.values()) <= {200, 302, 405}, {route.name: status for route, status in answers.items()}
    return [route for route, status in answers.items() if status != 405]


@pytest.mark.parametrize("one_in", WALKS)
@pytest.mark.parametrize("first", in_short(0, 8))
def test_rows_are_text_on_every_page(hostile_page: Callable[..., Any], first: int, one_in: int) -> None:
    text = corpus(first)
    page, look, found = hostile_page(text)
    rows = make_hostile_world(text)
    shown = 0
    for route in answering(rows, one_in):
        assert page.goto(address_of(route, rows)).status == 200, route.name
        look(route.name)
        shown += text[:30] in page.content() or "x-xss" in page.inner_text("body")
    assert found == []
    assert shown > len(PAGES) / one_in / 4


def test_what_escaped_would_be_seen(hostile_page: Callable[..., Any]) -> None:
    """Each text of the corpus, put into a page as markup on purpose; those that are no markup where they can act."""
    page, look, found = hostile_page("", can_complain=True)
    for name, text in CORPUS.items():
        try:
            page.goto("/admin/")
            found.clear()
            page.evaluate(
                "(text) => { document.querySelector('main').innerHTML ="
                ' `<p>${text}</p><input value="${text}"><input value=\'${text}\'><textarea>${text}</textarea><a href="${text}">a</a>`; }',
                text,
            )
            look(name)
        except PlaywrightError as error:
            if "because of a navigation" not in str(error) and "by another navigation" not in str(error):
                raise
            # It has acted: it led the page elsewhere.
            page.wait_for_load_state()
            continue
        assert found or name == "encodings", name


@pytest.mark.parametrize("one_in", WALKS)
@pytest.mark.parametrize("first", in_short(3))
def test_what_was_typed_into_an_address_is_text(hostile_page: Callable[..., Any], first: int, one_in: int) -> None:
    """Searches, filters and paths: each page, also those that say what cannot be read and what is not there."""
    text = corpus(first)
    page, look, found = hostile_page(text, can_complain=True)
    rows = {**make_shared(), **make_side("ALPHA").rows}
    typed = quote(text, safe="")
    queries = [f"q={quote(text[:200])}&tab=all", "&".join(f"{name}={typed}" for name in PARAMETERS)]
    for route in [each for each in answering(rows, one_in) if each.name.endswith(READING)]:
        for query in [*queries, *(f"{name}={typed}" for name in ("action", "kind", "group"))]:
            assert page.goto(f"{address_of(route, rows)}?{query}").status in (200, 400, 404), route.name
            look(f"{route.name}?{query[:10]}")
    for address in (f"/admin/{typed}/", f"/{typed}", f"/admin/login/?next={typed}", f"/admin/confirm/?next={typed}"):
        page.goto(address)
        look(address[:30])
    assert found == []


@pytest.mark.parametrize("one_in", WALKS)
@pytest.mark.parametrize("first", in_short(9))
def test_what_was_typed_into_a_form_is_text(hostile_page: Callable[..., Any], first: int, one_in: int) -> None:
    """Each form of each page, sent with the text in each of its fields: the errors, previews and messages that follow."""
    text = corpus(first)
    page, look, found = hostile_page(text, can_complain=True)
    rows = {**make_shared(), **make_side("ALPHA").rows}
    # Whatever ends a row comes last.
    for route in sorted(answering(rows, one_in), key=lambda each: each.name.endswith(("delete", "confirm", "switch"))):
        address = address_of(route, rows)
        for query in ("", "?kind=hub") if route.name.endswith("_add") else ("",):
            page.goto(address + query)
            number = 0
            while number < page.evaluate(FORMS):  # what is sent may end a form
                with page.expect_navigation():
                    page.evaluate(FILL_AND_SEND, [number, text])
                look(f"{route.name} form {number}")
                page.goto(address + query)
                number += 1
    assert found == []


def test_no_other_site_shows_the_desk_in_a_frame(visit: Callable[..., Any], live_server: Any, receiver: Any) -> None:
    frame = f"<h1>Win</h1><iframe src='{live_server.url}/admin/'></iframe>".encode()
    receiver.script(answer(200, frame, headers={"Content-Type": "text/html"}))
    page = visit(can_complain=True)
    page.goto(receiver.url("/"))
    page.get_by_role("heading", name="Win").wait_for()
    assert [each.url for each in page.frames[1:]] == ["chrome-error://chromewebdata/"]


def test_a_form_that_was_smuggled_in_sends_nothing_elsewhere(visit: Callable[..., Any], receiver: Any) -> None:
    page = visit(can_complain=True)
    page.add_init_script(WATCHER)
    page.goto("/admin/")
    page.evaluate(
        "(where) => { const form = document.createElement('form'); form.action = where; form.method = 'post';"
        " document.body.append(form); form.submit(); }",
        receiver.url("/steal"),
    )
    for _ in range(500):
        if refused := page.evaluate("window.__refused"):
            break
        page.wait_for_timeout(20)
    assert [what.split()[0] for what in refused] == ["form-action"]
    assert receiver.requests == []
