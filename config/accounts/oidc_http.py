"""The HTTP session that allauth uses towards the single sign-on server: over our transport instead of `requests`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.conf import settings

from integrations.transport import Request, TransportError, current_policy
from integrations.transport.named import send_to_named
from integrations.wire_formats.base import USER_AGENT

TIMEOUT = 10.0  #: seconds for each request


@dataclass(frozen=True, slots=True)
class IssuerResponse:
    """What allauth reads of a response of `requests`."""

    status_code: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise OAuth2Error("The single sign-on server's answer is no JSON.") from error

    def raise_for_status(self) -> None:
        if self.status_code >= 300:
            raise OAuth2Error(f"The single sign-on server answered {self.status_code}.")


class IssuerSession:
    """`with IssuerSession() as session: session.get(url)`. Every failure is an OAuth2Error."""

    def __enter__(self) -> IssuerSession:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get(self, url: str, headers: dict[str, str] | None = None) -> IssuerResponse:
        return self.request("GET", url, headers=headers)

    def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        auth: Any = None,
    ) -> IssuerResponse:
        sent = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
        body = b""
        if data is not None:
            body = urlencode(data).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        if auth is not None:
            pair = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
            sent["Authorization"] = f"Basic {pair}"
        request = Request(method, url, tuple(sent.items()), body, timeout=TIMEOUT)
        try:
            found = send_to_named(request, named_url=settings.OIDC_ISSUER, policy=current_policy())
        except TransportError as error:
            raise OAuth2Error(f"The single sign-on server cannot be reached: {error.message}") from error
        if found.is_truncated:
            raise OAuth2Error("The single sign-on server's answer is too long.")
        kept = {"content-type": "application/json", **{name.lower(): value for name, value in found.headers}}
        return IssuerResponse(found.status, kept, found.body)
