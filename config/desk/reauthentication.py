"""Re-authentication: before sensitive actions, and after an idle or long session.

Nothing typed is lost: the submitted form is kept, encrypted, in the session and submitted again when the
password has been confirmed. Only people who may change something are asked; others keep an ordinary session.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from config.accounts import second_factor, sessions
from integrations.security.encryption import DecryptionError, decrypt_text, encrypt_text

#: Forms that need a recently confirmed password: tokens, secrets, approval settings, users and roles.
DELICATE = {
    "password_change",
    "integrations_store_add",
    "integrations_store_change",
    "integrations_store_issue",
    "integrations_store_approval_rule",
    "integrations_store_retention",
    "deliveries_erasure_decide",
    "integrations_integration_add",
    "integrations_integration_secret",
    "integrations_source_add",
    "integrations_source_secret",
    "integrations_source_address",
}
DELICATE_PREFIXES = ("auth_user_", "auth_group_")
#: Pages that are delicate to look at already: they show secrets or begin to change how one logs in.
FACTOR_PAGES = {
    "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_add_webauthn",
    "mfa_remove_webauthn",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "account_sso_disconnect",
}
#: What people see who must set up a second factor first.
WITHOUT_FACTOR = {"account_security", "mfa_activate_totp", "mfa_add_webauthn", "mfa_view_recovery_codes"}
#: Reachable however old the session is.
ALWAYS = {"desk_confirm", "logout", "jsi18n"}

SIGNED_IN, CONFIRMED, SEEN, KEPT = "signed_in_at", "confirmed_at", "seen_at", "kept_forms"
#: Resolution of `seen_at`: writing it on each request would write the session with each page.
SEEN_EVERY = 60
KEPT_FORMS = 3
KEPT_BYTES = 1_000_000


def guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view of the desk that first asks for the password if that is due."""

    @wraps(view)
    def guard(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name = str(request.resolver_match.url_name) if request.resolver_match else ""
        if name in ALWAYS or not request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if is_locked(request) or (_is_delicate(request, name) and not is_confirmed(request)):
            return _ask(request)
        if name in FACTOR_PAGES and second_factor.is_owed(request):
            return _ask(request)
        if name not in WITHOUT_FACTOR and second_factor.is_missing(request):
            return _ask_for_factor(request)
        _see(request)
        return view(request, *args, **kwargs)

    return guard


def is_locked(request: HttpRequest) -> bool:
    """Has this session been idle or open too long for someone who may change things?"""
    now, session = time.time(), request.session
    is_idle = now - session.get(SEEN, 0) > settings.STAFF_IDLE_MINUTES * 60
    is_old = now - session.get(SIGNED_IN, 0) > settings.STAFF_SESSION_HOURS * 3600
    return (is_idle or is_old) and _may_change(request.user)


def is_confirmed(request: HttpRequest) -> bool:
    return bool(time.time() - request.session.get(CONFIRMED, 0) <= settings.CONFIRM_MINUTES * 60)


def confirm(request: HttpRequest) -> None:
    """The password, or what stands for it, was right: renew the session, keeping its contents."""
    old = request.session.session_key
    request.session.cycle_key()
    sessions.rename(old, request)
    _begin(request)


def take_kept(request: HttpRequest, key: str) -> tuple[str, list[tuple[str, str]]] | None:
    """Pop the form stored under `key`: where it was submitted to, and its fields."""
    kept = dict(request.session.get(KEPT, {}))
    found = kept.pop(key, None)
    if found is None:
        return None
    request.session[KEPT] = kept
    try:
        document = json.loads(decrypt_text(found))
    except DecryptionError:
        return None
    return document["path"], [(name, value) for name, value in document["fields"]]


def _begin(request: HttpRequest) -> None:
    now = int(time.time())
    request.session.update({SIGNED_IN: now, CONFIRMED: now, SEEN: now})


def on_login(sender: Any, request: HttpRequest | None, user: Any, **_signal: Any) -> None:
    """Receiver of `user_logged_in`."""
    if request is not None and hasattr(request, "session"):
        _begin(request)
        sessions.track(request, user)
        sessions.clear_expired(timezone.now())


def _see(request: HttpRequest) -> None:
    """Parts that a page polls do not count as user activity."""
    now = int(time.time())
    if request.headers.get("X-Requested-With") == "fetch":
        return
    is_due = now - request.session.get(SEEN, 0) > SEEN_EVERY
    if is_due:
        request.session[SEEN] = now
    if is_due or not sessions.is_tracked(request):
        sessions.track(request, request.user)


def _is_delicate(request: HttpRequest, name: str) -> bool:
    if name in FACTOR_PAGES:
        return True
    return request.method not in ("GET", "HEAD", "OPTIONS") and (name in DELICATE or name.startswith(DELICATE_PREFIXES))


def _may_change(user: Any) -> bool:
    return user.is_superuser or any(
        not permission.partition(".")[2].startswith("view_") for permission in user.get_all_permissions()
    )


def _ask(request: HttpRequest) -> HttpResponse:
    if request.headers.get("X-Requested-With") == "fetch":
        return HttpResponseForbidden(_("Confirm that it is you: reload the page."))
    if not ways_to_confirm(request):
        # There is nothing to confirm with: they log in again.
        logout(request)
        return redirect(f"{reverse('admin:login')}?{urlencode({'next': request.get_full_path()})}")
    wanted = {"next": request.get_full_path()}
    if request.method not in ("GET", "HEAD"):
        wanted = {"kept": key} if (key := _keep(request)) else {"next": reverse("admin:index")}
    return redirect(f"{reverse('admin:desk_confirm')}?{urlencode(wanted)}")


def ways_to_confirm(request: HttpRequest) -> set[str]:
    """Any of `password`, `code`, `passkey` and `single_sign_on`.

    In a session that is older than the person's second factor, only that factor: it has never been passed here.
    """
    from config.accounts.ways import factors_of, first_factors_of

    factors = factors_of(request.user)
    if factors and not second_factor.is_passed(request):
        return factors
    return factors | first_factors_of(request.user)


def _ask_for_factor(request: HttpRequest) -> HttpResponse:
    """Their role requires a second factor: they pass the one they have, or set one up."""
    if request.headers.get("X-Requested-With") == "fetch":
        return HttpResponseForbidden(_("Your role requires a second factor: reload the page."))
    return _ask(request) if second_factor.has_factor(request.user) else redirect("account_security")


def _keep(request: HttpRequest) -> str:
    """Store the form; returns its key, or an empty text, with a message, if it is too large."""
    fields = [(name, value) for name, values in request.POST.lists() for value in values]
    text = json.dumps(
        {"path": request.get_full_path(), "fields": [pair for pair in fields if pair[0] != "csrfmiddlewaretoken"]}
    )
    if len(text) > KEPT_BYTES or request.FILES:
        messages.warning(
            request,
            _("The form was too large to keep. Confirm that it is you, go back in your browser and submit it again."),
        )
        return ""
    key = secrets.token_urlsafe(8)
    kept = {**request.session.get(KEPT, {}), key: encrypt_text(text)}
    request.session[KEPT] = dict(list(kept.items())[-KEPT_FORMS:])
    return key
