"""Single sign-on by OpenID Connect: code flow with PKCE, an ID token that is always verified, groups as roles.

Three purposes share the way to the server and back: logging in, connecting it to somebody who is logged in, and
confirming that it is still them (they log in there again, which the token's `auth_time` proves).
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base import AuthError, AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from jwt import get_unverified_header
from jwt.exceptions import PyJWTError

from config.accounts import people
from config.accounts.oidc_http import IssuerSession
from config.accounts.pages import refusal
from config.desk.reauthentication import confirm, ways_to_confirm

logger = logging.getLogger("hookdesk.login")
PROVIDER = "sso"
#: Signatures that a key of the server makes. Not `none`, and not those that anybody with the public key could make.
ALGORITHMS = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
#: What a SocialAccount keeps of the claims.
KEPT = ("iss", "sub", "preferred_username", "email", "name", "given_name", "family_name", "amr", "auth_time")
CLOCK_SKEW = 60.0  #: seconds by which the server's clock may differ
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


def is_set_up() -> bool:
    return bool(settings.OIDC_ISSUER and settings.OIDC_CLIENT_ID)


class IssuerAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # no types
    @property
    def openid_config(self) -> dict[str, Any]:
        """The server's description of itself. Raises OAuth2Error if it is another's or not complete."""
        found = super().openid_config
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in ENDPOINTS):
            raise OAuth2Error("The single sign-on server's description is not complete.")
        if str(found.get("issuer", "")).rstrip("/") != settings.OIDC_ISSUER.rstrip("/"):
            raise OAuth2Error(
                f"OIDC_ISSUER is {settings.OIDC_ISSUER}, but the server calls itself {found.get('issuer')}."
            )
        return dict(found)

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """The one that is registered at the server, by whichever name this request came."""
        return str(settings.PUBLIC_URL) + reverse("openid_connect_callback", kwargs={"provider_id": PROVIDER})

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> Any:
        id_token = kwargs["response"].get("id_token")
        if not isinstance(id_token, str):
            raise OAuth2Error("The single sign-on server sent no ID token.")
        claims = self._verified(id_token)
        if "userinfo_endpoint" in self.openid_config:
            more = self._fetch_user_info(token.token)
            if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
                raise OAuth2Error("The user info is about somebody else than the ID token.")
            # The token's own claims count: they are signed.
            claims = {**more, **claims}
        return self.get_provider().sociallogin_from_response(request, claims)

    def _verified(self, id_token: str) -> dict[str, Any]:
        """Its claims. allauth would trust a token that came over TLS, whoever signed it."""
        try:
            algorithm = get_unverified_header(id_token).get("alg")
        except PyJWTError as error:
            raise OAuth2Error("The ID token cannot be read.") from error
        if algorithm not in ALGORITHMS:
            raise OAuth2Error(f"The ID token's signature is of the kind {algorithm!r}, which is not accepted.")
        claims: dict[str, Any] = jwtkit.verify_and_decode(
            credential=id_token,
            keys_url=self.openid_config["jwks_uri"],
            issuer=self.openid_config["issuer"],
            audience=settings.OIDC_CLIENT_ID,
            lookup_kid=jwtkit.lookup_kid_jwk,
        )
        if not isinstance(claims.get("sub"), str) or not claims["sub"] or "exp" not in claims:
            raise OAuth2Error("The ID token names nobody, or never expires.")
        if claims.get("azp", settings.OIDC_CLIENT_ID) != settings.OIDC_CLIENT_ID:
            raise OAuth2Error("The ID token was made for another client.")
        return claims


class SingleSignOn(OpenIDConnectProvider):  # type: ignore[misc]  # no types
    oauth2_adapter_class = IssuerAdapter

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Of issuer and subject: the same subject at another server is somebody else."""
        return hashlib.sha256(f"{data['iss']}\n{data['sub']}".encode()).hexdigest()

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        names = (*KEPT, settings.OIDC_GROUPS_CLAIM)
        return {name: data[name] for name in names if name in data}


class SingleSignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # no types
    def get_requests_session(self) -> IssuerSession:
        return IssuerSession()

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> list[Any]:
        """The one of the settings, and none that a database has."""
        if not is_set_up() or provider not in (None, PROVIDER, SingleSignOn.id):
            return []
        app = SocialApp(
            provider=SingleSignOn.id,
            provider_id=PROVIDER,
            name="single sign-on",
            client_id=settings.OIDC_CLIENT_ID,
            secret=settings.OIDC_CLIENT_SECRET,
            settings={
                "server_url": settings.OIDC_ISSUER.rstrip("/"),
                "oauth_pkce_enabled": True,
                "scope": settings.OIDC_SCOPES.split(),
            },
        )
        return [app]

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> SingleSignOn:
        return SingleSignOn(request, app=self.get_app(request, provider, client_id))

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """The token is verified. Decides what it means here; raises ImmediateHttpResponse for all but a login."""
        purpose = sociallogin.state.get("process")
        try:
            if purpose == AuthProcess.CONNECT:
                _connect(request, sociallogin)
            elif purpose == AuthProcess.REDIRECT:
                _confirm(request, sociallogin)
            else:
                _log_in(sociallogin)
        except people.Refused as refused:
            logger.warning("Single sign-on refused: %s", refused.english)
            raise ImmediateHttpResponse(refusal(request, str(refused), status=403)) from refused

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        if error == AuthError.CANCELLED:
            raise ImmediateHttpResponse(refusal(request, str(_("You cancelled single sign-on.")), status=403))
        logger.warning(
            "Single sign-on failed: %.300s", exception or "the answer belongs to no login that was begun here"
        )
        raise ImmediateHttpResponse(
            refusal(
                request,
                str(_("Single sign-on failed. Try again; if it fails again, the log of Hookdesk says why.")),
                status=401,
            )
        )


def _log_in(sociallogin: Any) -> None:
    claims = sociallogin.account.extra_data
    is_known = sociallogin.is_existing
    try:
        grant = people.grant_for(claims)
    except people.Refused:
        if is_known:
            people.take_away(sociallogin.user)
        raise
    if not is_known:
        person = people.create_person(claims)
        people.connect(person, sociallogin.account)
        sociallogin.user = person
    elif not (sociallogin.user.is_active and sociallogin.user.is_staff):
        raise people.Refused(_("This account is switched off. Ask a superuser."))
    people.give(sociallogin.user, grant)
    sociallogin.state["is_second_factor"] = "mfa" in _methods(claims)


def _connect(request: HttpRequest, sociallogin: Any) -> None:
    if not request.user.is_authenticated:
        raise people.Refused(_("You were logged out in the meantime. Log in and connect single sign-on again."))
    people.grant_for(sociallogin.account.extra_data)
    people.connect(request.user, sociallogin.account)
    raise ImmediateHttpResponse(redirect("account_security"))


def _confirm(request: HttpRequest, sociallogin: Any) -> None:
    from config.accounts import ways  # which asks this module whether it is set up

    if not request.user.is_authenticated or not sociallogin.is_existing or sociallogin.user.pk != request.user.pk:
        raise people.Refused(_("This is not the single sign-on account of whoever is logged in here."))
    if ways.SINGLE_SIGN_ON not in ways_to_confirm(request):
        raise people.Refused(_("This session is older than your second factor: confirm with the second factor."))
    claims = sociallogin.account.extra_data
    asked_at = (sociallogin.state.get("data") or {}).get("asked_at", time.time())
    logged_in_at = claims.get("auth_time")
    if not isinstance(logged_in_at, int | float) or logged_in_at < asked_at - CLOCK_SKEW:
        raise people.Refused(
            _(
                "The single sign-on server did not ask for your login again (no new auth_time), so it proves nothing. "
                "Log out and in again, or set up a second factor under “Login and security” and confirm with that."
            )
        )
    people.give(request.user, people.grant_for(claims))
    confirm(request)
    raise ImmediateHttpResponse(redirect(sociallogin.get_redirect_url(request) or reverse("admin:index")))


def _methods(claims: dict[str, Any]) -> list[Any]:
    found = claims.get("amr")
    return found if isinstance(found, list) else []
