"""What happens to second factors: audited, and told to the person by e-mail."""

from __future__ import annotations

from typing import Any

from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from django.http import HttpRequest

from config.accounts import second_factor
from config.accounts.mail import send_to
from config.accounts.sessions import end_sessions
from integrations.foundation.audit import Actor, record_change

NAMES = {
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}
TEXT = "This happened to your account {name}. If it was not you, tell a superuser at once."


def listen() -> None:
    signals.authenticator_added.connect(_on_added, dispatch_uid="hookdesk")
    signals.authenticator_removed.connect(_on_removed, dispatch_uid="hookdesk")
    signals.authenticator_reset.connect(_on_renewed, dispatch_uid="hookdesk")


def _on_added(sender: Any, request: HttpRequest, user: Any, authenticator: Authenticator, **_: Any) -> None:
    _record(user, "add", authenticator)
    if authenticator.type not in second_factor.FACTORS:
        return
    # Other sessions have not passed it.
    end_sessions(user, but=request.session.session_key)
    send_to(user, f"A second factor was added: {NAMES[authenticator.type]}", TEXT.format(name=user.get_username()))


def _on_removed(sender: Any, request: HttpRequest, user: Any, authenticator: Authenticator, **_: Any) -> None:
    _record(user, "remove", authenticator)
    send_to(user, f"A second factor was removed: {NAMES[authenticator.type]}", TEXT.format(name=user.get_username()))


def _on_renewed(sender: Any, request: HttpRequest, user: Any, authenticator: Authenticator, **_: Any) -> None:
    _record(user, "renew", authenticator)
    send_to(user, "You have new recovery codes", TEXT.format(name=user.get_username()))


def _record(user: Any, what: str, authenticator: Authenticator) -> None:
    record_change(
        actor=Actor.of_user(user),
        action=f"{what} {NAMES[authenticator.type]}",
        target=user,
        store=None,
    )
