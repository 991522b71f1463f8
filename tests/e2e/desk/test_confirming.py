"""The password once more, in a browser: what was typed goes on by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from config.desk.reauthentication import CONFIRMED
from integrations.models import AccessToken
from tests.e2e.desk.conftest import PASSWORD, picture
from tests.factories import StoreFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def forget_confirmations() -> None:
    """As if a quarter of an hour had passed since everybody's login."""
    for session in Session.objects.all():
        data = session.get_decoded() | {CONFIRMED: 0}
        session.session_data = Session.objects.encode(data)
        session.save()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_token_is_made_after_the_password(visit: Callable[..., Any], theme: str) -> None:
    store = StoreFactory(name="Shop", is_approval_required=True)
    page = visit(name="ada", theme=theme)
    page.goto(f"/admin/integrations/store/{store.pk}/change/")
    forget_confirmations()
    page.fill("#token-name", "shop “plugin” & more")
    page.click("text=Create token >> visible=true")
    assert "Confirm that it is you" in page.inner_text("#content-main")
    page.fill("#id_password", "wrong")
    page.click("input[type=submit]")
    assert "Wrong password" in page.inner_text("[role=alert]")
    picture(page, f"confirm-{theme}")
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    page.wait_for_selector(".secret-once")
    assert AccessToken.objects.get().name == "shop “plugin” & more"
    page.click("text=Ask to turn it off…")
    page.fill("#lift-reason", "only for the sale")
    page.click("button:has-text('Ask to turn it off')")
    assert "ada asked to turn this off" in page.inner_text("main, #content")
    picture(page, f"second-approver-{theme}")
    other = visit(name="bob", theme=theme)
    other.goto(f"/admin/integrations/store/{store.pk}/change/")
    other.click("text=Confirm: turn it off")
    store.refresh_from_db()
    assert not store.is_approval_required
