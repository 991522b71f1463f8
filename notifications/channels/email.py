"""E-mail through Django's mail backend (`EMAIL_URL`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.transport import Request
from notifications.channels.base import TIMEOUT, ChannelError, Field, OutgoingMessage, Provider, transmit

if TYPE_CHECKING:
    from notifications.models import Channel

_TAKEN = 250  #: status returned by the mail transport


class Email(Provider):
    """Sends from the channel's sender, or from `DEFAULT_FROM_EMAIL`."""

    name = "email"
    label = gettext_lazy("E-mail")
    description = gettext_lazy("E-mail to one or more addresses, through the installation’s mail server.")
    icon = '<path d="M4 6h16v12H4zM4 7l8 6 8-6"/>'
    fields = (
        Field("sender", gettext_lazy("From"), gettext_lazy("Empty: the installation’s sender."), is_required=False),
    )
    columns = frozenset({"sender"})
    has_recipients = True

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._sender = channel.sender or settings.DEFAULT_FROM_EMAIL

    def check_recipient(self, recipient: str) -> None:
        try:
            validate_email(recipient)
        except ValidationError:
            raise ValueError(_("%(address)r is not an e-mail address.") % {"address": recipient}) from None

    def send(self, message: OutgoingMessage) -> str:
        mail = {
            "from": self._sender,
            "to": [message.recipient],
            # A line break in a subject would start another header.
            "subject": " ".join(message.subject.split()),
            "body": message.text,
        }
        url = f"mailto:{quote(message.recipient, safe='@+')}"
        answer = transmit(Request("MAIL", url, (), json.dumps(mail).encode(), TIMEOUT))
        self.status = answer.status
        if answer.status != _TAKEN:
            raise ChannelError(f"The mail server answered {answer.status}.", permanent=answer.status >= 500)
        return ""
