"""Setting up a source in a browser: its page turns green by itself, and the mapping shows what a request becomes."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from deliveries.models import Event, SourceRequest
from integrations.models import Source
from tests.e2e.desk.conftest import picture
from tests.factories import StoreFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ISSUE = {"action": "opened", "issue": {"number": 7, "title": "It rains in"}, "repository": {"full_name": "acme/roof"}}


def post(live_server: Any, address: str, secret: str, number: int = 1) -> requests.Response:
    """As GitHub sends it."""
    body = json.dumps(ISSUE).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": f"72d3162e-cc78-11e3-81ab-4c9367dc095{number}",
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    return requests.post(live_server.url + urlsplit(address).path, data=body, headers=headers, timeout=10)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_from_the_card_to_the_first_event(visit: Callable[..., Any], live_server: Any, theme: str, width: int) -> None:
    StoreFactory(name="Roofs")
    page = visit(theme=theme, width=width)
    page.goto("/admin/integrations/source/add/")
    page.get_by_role("link", name="GitHub").click()
    page.get_by_label("Name", exact=True).fill("Our repositories")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("Waiting for the first request…").wait_for()
    address, secret = (
        page.locator(f"{place} [data-copy]").get_attribute("data-copy")
        for place in ("[aria-labelledby=address]", ".secret-once")
    )

    assert post(live_server, address, "not the secret").status_code == 401
    live = page.locator("[data-live]")
    live.get_by_text("The last request was refused").wait_for()
    assert post(live_server, address, secret).status_code == 202
    live.get_by_text("Receiving").wait_for()  # nobody has reloaded the page
    live.get_by_text("1 accepted").wait_for()
    assert Event.objects.get().topic == "issues.opened"

    page.locator("summary", has_text="Mapping").click()
    page.get_by_label("Topic").fill("join('.', ['roof', body.action])")
    preview = page.locator("[data-preview-of]")
    preview.get_by_text("roof.opened").wait_for()
    if width > 1000:
        picture(page, f"source-{theme}")
    page.get_by_label("Topic").fill("join('.'")
    preview.locator(".errorlist").wait_for()
    page.get_by_label("Topic").fill("join('.', ['roof', body.action])")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Used from the next request.").wait_for()
    assert post(live_server, address, secret, number=2).status_code == 202
    assert Event.objects.latest("id").topic == "roof.opened"
    assert Source.objects.get().mapping == {"topic": "join('.', ['roof', body.action])"}

    page.reload()
    page.locator("[data-live] a.what").first.click()
    page.get_by_text("x-hub-signature-256").wait_for()
    assert secret not in page.content()
    assert SourceRequest.objects.count() == 3
