"""Settings of django-allauth, of which the desk uses second factors, passkeys, sessions and OpenID Connect."""

from __future__ import annotations

from typing import Any


def allauth_settings() -> dict[str, Any]:
    """What never differs between installations, by the names that allauth reads."""
    return {
        "ACCOUNT_ADAPTER": "config.accounts.adapters.AccountAdapter",
        "ACCOUNT_EMAIL_VERIFICATION": "none",
        "ACCOUNT_LOGIN_METHODS": {"username"},
        "ACCOUNT_SIGNUP_FIELDS": ["username*"],
        # Its limits are counted per process. Ours are in the database: see config.desk.login_throttle.
        "ACCOUNT_RATE_LIMITS": False,
        "MFA_ADAPTER": "config.accounts.adapters.SecondFactorAdapter",
        "MFA_FORMS": {
            "authenticate": "config.accounts.codes.CodeForm",
            "authenticate_webauthn": "config.accounts.passkeys.PasskeyForm",
            "login_webauthn": "config.accounts.passkeys.PasskeyLoginForm",
            "activate_totp": "config.accounts.codes.AuthenticatorAppForm",
            "add_webauthn": "config.accounts.passkeys.AddPasskeyForm",
        },
        "MFA_SUPPORTED_TYPES": ["totp", "webauthn", "recovery_codes"],
        "MFA_PASSKEY_LOGIN_ENABLED": True,
        "MFA_TOTP_ISSUER": "Hookdesk",
        # Clocks of phones differ: the code before and after the current one are right too, each once.
        "MFA_TOTP_TOLERANCE": 1,
        # Ten digits: with the limit on tries, no one guesses one of ten.
        "MFA_RECOVERY_CODE_DIGITS": 10,
        "MFA_RECOVERY_CODES_SHOW_ONCE": True,
        # Django's own: links of forgotten passwords work for an hour.
        "PASSWORD_RESET_TIMEOUT": 3600,
        "LOGIN_REDIRECT_URL": "admin:index",
        "SOCIALACCOUNT_ADAPTER": "config.accounts.single_sign_on.SingleSignOnAdapter",
        "SOCIALACCOUNT_EMAIL_VERIFICATION": "none",
        # An e-mail address proves nothing here: nobody is logged in as the person who has the same one.
        "SOCIALACCOUNT_EMAIL_AUTHENTICATION": False,
        "SOCIALACCOUNT_STORE_TOKENS": False,
    }
