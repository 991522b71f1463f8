"""SMS through Twilio: the `twilio` package builds the request and reads the response, Hookdesk's transport sends it."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.connectors.base import base_url
from integrations.transport import Request
from integrations.wire_formats.base import USER_AGENT
from notifications.channels.base import TIMEOUT, ChannelError, Field, OutgoingMessage, Provider, transmit

if TYPE_CHECKING:
    from notifications.models import Channel

VENDOR_URL = "https://api.twilio.com"
_NUMBER = re.compile(r"\+[1-9][0-9]{5,14}")


class TwilioSms(Provider):
    """Uses the channel's credentials and sender, or those of the installation (`TWILIO_…`)."""

    name = "sms"
    label = "SMS (Twilio)"
    description = gettext_lazy("Text messages to phones, through Twilio.")
    icon = '<path d="M8 3h8v18H8zM11 18h2"/>'
    fields = (
        Field("sender", gettext_lazy("From"), gettext_lazy("Empty: the installation’s number."), is_required=False),
        Field(
            "account_sid",
            gettext_lazy("Twilio account SID"),
            gettext_lazy("Empty: the installation’s."),
            is_required=False,
        ),
        Field(
            "auth_token",
            gettext_lazy("Twilio auth token"),
            gettext_lazy("Empty: the installation’s token."),
            is_required=False,
            is_secret=True,
        ),
    )
    columns = frozenset({"sender", "account_sid", "auth_token"})
    has_recipients = True

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._account_sid = channel.account_sid or settings.TWILIO_ACCOUNT_SID
        self._auth_token = channel.auth_token or settings.TWILIO_AUTH_TOKEN
        self._sender = channel.sender or settings.TWILIO_FROM

    def check_recipient(self, recipient: str) -> None:
        if not _NUMBER.fullmatch(recipient):
            raise ValueError(
                _("%(number)r is not a phone number in international form, such as +15551234567.")
                % {"number": recipient}
            )

    def send(self, message: OutgoingMessage) -> str:
        missing = [
            name
            for name, value in (
                ("account SID (TWILIO_ACCOUNT_SID)", self._account_sid),
                ("auth token (TWILIO_AUTH_TOKEN)", self._auth_token),
                ("sender (TWILIO_FROM)", self._sender),
            )
            if not value
        ]
        if missing:
            raise ChannelError(f"The Twilio {' and '.join(missing)} is not set.", permanent=True)
        # Imported on first use, because the import takes a fifth of a second.
        from twilio.base.exceptions import TwilioRestException
        from twilio.rest import Client

        # A dict that is not empty keeps the package from reading TWILIO_EDGE and TWILIO_REGION of this process.
        client = Client(
            self._account_sid, self._auth_token, http_client=_TransportClient(), environment={"TWILIO_EDGE": ""}
        )
        client.api.base_url = base_url("TWILIO_BASE_URL", VENDOR_URL)
        try:
            client.messages.create(from_=self._sender, to=message.recipient, body=message.text)
        except TwilioRestException as error:
            is_permanent = 400 <= error.status < 500 and error.status not in (408, 429)
            raise ChannelError(f"Twilio answered {error.status}: {error.msg}", permanent=is_permanent) from error
        return ""


class _TransportClient:
    """Replaces the package's HTTP client; the request goes through Hookdesk's transport."""

    is_async = False

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        **_more: Any,
    ) -> Any:
        from twilio.http.response import Response

        url = f"{uri}?{urlencode(params, doseq=True)}" if params else uri
        credentials = b64encode(":".join(auth or ("", "")).encode()).decode()
        sent = {**(headers or {}), "User-Agent": USER_AGENT, "Authorization": f"Basic {credentials}"}
        body = urlencode(data or {}, doseq=True, errors="replace").encode()
        answer = transmit(Request(method, url, tuple(sent.items()), body, TIMEOUT, (credentials, *(auth or ()))))
        text = answer.body.decode("utf-8", "replace")
        if 300 <= answer.status < 600 and not text.lstrip().startswith("{"):
            # The package expects an object, but a proxy may return an HTML page.
            text = "{}"
        return Response(answer.status, text, dict(answer.headers))
