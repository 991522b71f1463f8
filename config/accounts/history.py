"""What happens to second factors: audited, and told to the person by e-mail."""

from __future__ import annotations

from typing import Any

from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.accounts import second_factor
from config.accounts.mail import send_to
from config.accounts.sessions import end_sessions
from integrations.foundation.audit import Actor, record_change

#: As the audit trail has them.
CODES = {
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}
#: As people read them.
NAMES = {
    Authenticator.Type.TOTP: gettext_lazy("authenticator app"),
    Authenticator.Type.WEBAUTHN: gettext_lazy("passkey"),
    Authenticator.Type.RECOVERY_CODES: gettext_lazy("recovery codes"),
}


def listen() -> None:
    signals.authenticator_added.connect(_on_added, dispatch_uid="hookdesk")
    signals.authenticator_removed.connect(_on_removed, dispatch_uid="hookdesk")
    signals.authenticator_reset.connect(_on_renewed, dispatch_uid="hookdesk")


def _on_added(sender: Any, request: HttpRequest, user: Any, authenticator: Authenticator, **_signal: Any) -> None:
    _record(user, "add", authenticator)
    if authenticator.type not in second_factor.FACTORS:
        return
    # Other sessions have not passed it.
    end_sessions(user, but=request.session.session_key)
    _tell(user, _("A second factor was added: %(kind)s") % {"kind": NAMES[authenticator.type]})


def _on_removed(sender: Any, request: HttpRequest, user: Any, authenticator: Authenticator, **_signal: Any) -> None:
    _record(user, "remove", authenticator)
    _tell(user, _("A second factor was removed: %(kind)s") % {"kind": NAMES[authenticator.type]})


def _on_renewed(sender: Any, request: HttpRequest, user: Any, authenticator: Authenticator, **_signal: Any) -> None:
    _record(user, "renew", authenticator)
    _tell(user, _("You have new recovery codes"))


def _tell(user: Any, subject: str) -> None:
    """In the language of the page on which it happened."""
    text = _("This happened to your account %(name)s. If it was not you, tell a superuser at once.")
    send_to(user, subject, text % {"name": user.get_username()})


def _record(user: Any, what: str, authenticator: Authenticator) -> None:
    record_change(
        actor=Actor.of_user(user),
        action=f"{what} {CODES[authenticator.type]}",
        target=user,
        store=None,
    )
