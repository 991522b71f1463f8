"""The interface of a channel's kind: it sends one message, or raises an error that says why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from django.utils.translation import gettext as _

from integrations.foundation.languages import english
from integrations.foundation.texts import shortened
from integrations.security.redaction import redact_text
from integrations.transport import (
    Headers,
    Request,
    Response,
    TransportError,
    UrlRefused,
    check_url,
    current_policy,
    send,
)
from integrations.wire_formats.base import USER_AGENT
from notifications.texts import Incident

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from notifications.models import Channel

#: Maximum seconds for sending one message.
TIMEOUT = 15.0
#: Characters of a receiver's own words in an error message.
WORDS_LIMIT = 200
_RETRIED = frozenset({408, 425, 429})

Event = Literal["opened", "acknowledged", "resolved", "test"]


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to one recipient. `text` is complete; `subject` is for kinds that use one.

    `incidents` are what it is about, for kinds that show more than a text; of a test there is none. `reference` is what
    `send` returned for the message that this one follows up; empty if there is none. `id` is the same for all attempts.
    """

    recipient: str
    subject: str
    text: str
    event: Event = "opened"
    incidents: tuple[Incident, ...] = ()
    link: str = ""
    reference: str = ""
    id: str = ""
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind. A secret one is never shown again. `help` is a sentence for the form."""

    name: str
    label: StrOrPromise
    help: StrOrPromise = ""
    is_required: bool = True
    is_secret: bool = False


class ChannelError(Exception):
    """The message was not sent. `permanent`: a retry cannot succeed. `status`: the receiver's HTTP status, if any.

    `message` is kept with the channel, and answered by the API: in English.
    """

    def __init__(self, message: str, *, permanent: bool, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.status = status


@dataclass(slots=True)
class Provider:
    """A kind of channel. A subclass says what its form asks for and how a message is sent.

    `follows`: the later events of an incident that its receiver is told too. `gathers`: whether several incidents may
    be one message; a pager needs each one by itself. `has_recipients`: whether staff enter recipients, rather than the
    fields saying it all. `columns`: fields that are kept in a column of their own.
    """

    channel: Channel = field(repr=False)
    #: The receiver's latest HTTP status, or the mail server's code; None where the kind does not learn it.
    status: int | None = field(default=None, init=False)

    name: ClassVar[str]
    label: ClassVar[StrOrPromise]
    description: ClassVar[StrOrPromise]
    icon: ClassVar[str] = '<path d="M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 20h4"/>'
    fields: ClassVar[tuple[Field, ...]] = ()
    follows: ClassVar[frozenset[Event]] = frozenset()
    gathers: ClassVar[bool] = True
    has_recipients: ClassVar[bool] = False
    columns: ClassVar[frozenset[str]] = frozenset()

    def send(self, message: OutgoingMessage) -> str:
        """Return when the message was accepted; raises ChannelError. The language of the staff is active.

        The result is what a follow-up needs to change this message; empty if it cannot be changed.
        """
        raise NotImplementedError

    def check_recipient(self, recipient: str) -> None:
        """Raises ValueError, with a message for staff, if nothing can be sent to `recipient`."""

    @classmethod
    def check(cls, options: Mapping[str, str]) -> dict[str, str]:
        """Return what is wrong with the fields, by field, in sentences for staff. `url` must be one to send to."""
        wrong = {
            each.name: _("%(label)s is required.") % {"label": each.label}
            for each in cls.fields
            if each.is_required and not options.get(each.name)
        }
        if (url := options.get("url")) and (error := url_error(url)):
            wrong["url"] = error
        return wrong

    @classmethod
    def target(cls, options: Mapping[str, str]) -> str:
        """Return where messages go, as shown to staff: nothing secret."""
        return str(cls.label)

    def call(
        self, method: str, url: str, body: Any, *, headers: Headers = (), secrets: tuple[str, ...] = ()
    ) -> Response:
        """Send `body` (JSON, unless it is bytes) and return the response if it is 2xx; raises ChannelError."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        common = (("Content-Type", "application/json"), ("Accept", "application/json"), ("User-Agent", USER_AGENT))
        response = transmit(Request(method, url, (*common, *headers), content, TIMEOUT, secrets))
        self.status = response.status
        if not 200 <= response.status < 300:
            raise refused(str(self.label), response, secrets)
        return response

    def option(self, name: str) -> str:
        """Return a field's value, or the empty string."""
        return str((self.channel.options or {}).get(name, ""))


def transmit(request: Request) -> Response:
    """Send through Hookdesk's transport, with its address guard and a deadline. Raises ChannelError."""
    try:
        with english():
            return send(request, current_policy())
    except TransportError as error:
        raise ChannelError(redact_text(error.message, request.secrets), permanent=error.permanent) from error


def refused(
    vendor: str, response: Response, secrets: tuple[str, ...], *, permanent: bool | None = None
) -> ChannelError:
    """Return the error for a response that says no, in the receiver's words. 4xx but 408, 425 and 429 is permanent."""
    words = " ".join(response.body.decode("utf-8", "replace").split())
    if permanent is None:
        permanent = response.status < 500 and response.status not in _RETRIED
    said = f": {redact_text(shortened(words, WORDS_LIMIT), secrets)}" if words else "."
    return ChannelError(f"{vendor} answered {response.status}{said}", permanent=permanent, status=response.status)


def json_object(response: Response) -> dict[str, Any]:
    """Return the response's JSON object; empty if it is none."""
    try:
        found = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def url_error(url: str) -> str | None:
    """Return what is wrong with a URL, for staff; None if messages can be sent there."""
    try:
        check_url(url, current_policy())
    except UrlRefused as error:
        return str(error)
    return None
