"""Logging in, in a browser: a passkey that Chromium's virtual authenticator keeps, and pages that everybody can use."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from playwright.sync_api import expect

from tests.config.accounts.steps import code_of
from tests.e2e.desk.accessibility import violations
from tests.e2e.desk.conftest import PASSWORD, picture
from tests.e2e.desk.test_pages import misplaced, show

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def add_key(page: Any) -> None:
    """A device that keeps passkeys and always finds its user's finger."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def faults(page: Any, name: str) -> list[str]:
    found = []
    for theme, width in (("light", 1280), ("dark", 1280), ("dark", 390), ("light", 390)):
        show(page, theme=theme, width=width)
        picture(page, f"login-{name}-{theme}-{width}")
        found += [f"{name} {theme} {width}: {each}" for each in [*misplaced(page), *violations(page)]]
    show(page, theme="light", width=1280)
    return found


def test_a_passkey_is_added_logs_in_and_confirms(visit: Callable[..., Any], live_server: Any, settings: Any) -> None:
    # Passkeys belong to names: 127.0.0.1 is none.
    local = live_server.url.replace("127.0.0.1", "localhost")
    settings.CSRF_TRUSTED_ORIGINS = [local]
    page = visit(name="ada", can_complain=True)
    add_key(page)
    page.context.clear_cookies()
    page.goto(f"{local}/admin/login/?next=/accounts/2fa/webauthn/add/")
    page.fill("#id_username", "ada")
    page.fill("#id_password", PASSWORD)
    page.click("#login-form input[type=submit]")
    found = faults(page, "passkey")
    page.fill("#id_name", "work laptop")
    page.click("button:has-text('Add a passkey')")
    expect(page.get_by_text("Shown only once.")).to_be_visible()
    found += faults(page, "codes")
    page.click("text=I have saved them")
    expect(page.get_by_text("work laptop")).to_be_visible()
    found += faults(page, "security")

    page.context.clear_cookies()
    page.goto(f"{local}/admin/login/")
    found += faults(page, "login")
    page.click("text=Log in with a passkey")
    expect(page).to_have_url(re.compile("/admin/$"))
    assert Authenticator.objects.get(type="webauthn").last_used_at is not None

    settings.CONFIRM_MINUTES = -1
    page.goto(f"{local}/accounts/2fa/webauthn/add/")
    found += faults(page, "confirm")
    settings.CONFIRM_MINUTES = 10
    page.click("text=Confirm with a passkey")
    expect(page).to_have_url(re.compile("/webauthn/add/$"))

    page.context.clear_cookies()
    page.goto(f"{local}/admin/login/")
    page.fill("#id_username", "ada")
    page.fill("#id_password", PASSWORD)
    page.click("#login-form input[type=submit]")
    found += faults(page, "second-factor")
    page.click("button:has-text('Use a passkey')")
    expect(page).to_have_url(re.compile("/admin/$"))
    assert found == []


def test_an_authenticator_app_is_set_up_and_every_page_of_the_login_is_accessible(
    visit: Callable[..., Any], settings: Any
) -> None:
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = "https://sso.example", "hookdesk"
    page = visit(name="ada", can_complain=True)
    page.goto("/accounts/2fa/totp/activate/")
    found = faults(page, "app")
    page.fill("#id_code", "000000")
    page.click("button:has-text('Set up')")
    found += faults(page, "app-wrong")
    page.fill("#id_code", code_of(page.locator(".command pre").inner_text()))
    page.click("button:has-text('Set up')")
    expect(page.get_by_text("Shown only once.")).to_be_visible()
    for name, path in {
        "codes-again": "/accounts/2fa/recovery-codes/",
        "new-codes": "/accounts/2fa/recovery-codes/generate/",
        "remove-app": "/accounts/2fa/totp/deactivate/",
        "security-app": "/accounts/security/",
    }.items():
        page.goto(path)
        found += faults(page, name)
    page.context.clear_cookies()
    for name, path in {
        "login-sso": "/admin/login/?next=/admin/",
        "reset": "/accounts/password/reset/",
        "sent": "/accounts/password/reset/sent/",
        "used": "/accounts/password/reset/a/b/",
        "refused": "/accounts/oidc/sso/login/callback/?code=a",
    }.items():
        page.goto(path)
        found += faults(page, name)
    assert found == []
