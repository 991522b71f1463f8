"""Everything below /accounts/. The names are those that django-allauth and Django look for."""

from __future__ import annotations

from allauth.mfa.base.views import authenticate
from allauth.mfa.recovery_codes.views import generate_recovery_codes, view_recovery_codes
from allauth.mfa.totp.views import deactivate_totp
from allauth.mfa.webauthn.views import login_webauthn, remove_webauthn
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from config.accounts import oidc_views, password_reset, security_page
from config.accounts.factor_views import add_app, add_passkey
from config.accounts.pages import open_page, staff_page

_to_security = RedirectView.as_view(pattern_name="account_security")

urlpatterns = [
    path("", _to_security),
    path("login/", RedirectView.as_view(pattern_name="admin:login", query_string=True), name="account_login"),
    path("logout/", RedirectView.as_view(pattern_name="admin:logout"), name="account_logout"),
    path("security/", staff_page(security_page.security_view, _("Login and security")), name="account_security"),
    path("sessions/end/", staff_page(security_page.end_sessions_view, _("Sessions")), name="account_end_sessions"),
    # --- Second factors ---------------------------------------------------------------------------------
    path("2fa/", _to_security, name="mfa_index"),
    path("2fa/authenticate/", open_page(authenticate, _("Second factor")), name="mfa_authenticate"),
    path("2fa/totp/activate/", staff_page(add_app, _("Set up an authenticator app")), name="mfa_activate_totp"),
    path(
        "2fa/totp/deactivate/",
        staff_page(security_page.only_if_not_last(deactivate_totp), _("Remove the authenticator app")),
        name="mfa_deactivate_totp",
    ),
    path("2fa/webauthn/", _to_security, name="mfa_list_webauthn"),
    path("2fa/webauthn/add/", staff_page(add_passkey, _("Add a passkey")), name="mfa_add_webauthn"),
    path(
        "2fa/webauthn/keys/<int:pk>/remove/",
        staff_page(security_page.only_if_not_last(remove_webauthn), _("Remove a passkey")),
        name="mfa_remove_webauthn",
    ),
    path("2fa/webauthn/login/", open_page(login_webauthn, _("Log in with a passkey")), name="mfa_login_webauthn"),
    path("2fa/recovery-codes/", staff_page(view_recovery_codes, _("Recovery codes")), name="mfa_view_recovery_codes"),
    path(
        "2fa/recovery-codes/generate/",
        staff_page(generate_recovery_codes, _("New recovery codes")),
        name="mfa_generate_recovery_codes",
    ),
    # --- Single sign-on ---------------------------------------------------------------------------------
    path("oidc/sso/login/", open_page(oidc_views.start_view, _("Single sign-on")), name="account_sso"),
    path(
        "oidc/<slug:provider_id>/login/callback/",
        open_page(oidc_views.callback_view, _("Single sign-on")),
        name="openid_connect_callback",
    ),
    path(
        "oidc/sso/disconnect/",
        staff_page(security_page.disconnect_view, _("Single sign-on")),
        name="account_sso_disconnect",
    ),
    # --- Forgotten passwords; the admin's login page links the first one by its name ---------------------
    path(
        "password/reset/",
        open_page(password_reset.AskView.as_view(), _("Forgotten password")),
        name="admin_password_reset",
    ),
    path(
        "password/reset/sent/",
        open_page(password_reset.SentView.as_view(), _("E-mail sent")),
        name="password_reset_done",
    ),
    path(
        "password/reset/<uidb64>/<token>/",
        open_page(password_reset.NewPasswordView.as_view(), _("New password")),
        name="password_reset_confirm",
    ),
    path(
        "password/reset/complete/",
        open_page(password_reset.CompleteView.as_view(), _("Password changed")),
        name="password_reset_complete",
    ),
]
