"""The interface of a channel's provider: it sends one message or raises an error that says why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from integrations.transport import Request, Response, TransportError, current_policy, send

#: Maximum seconds for sending one message.
TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to one recipient. `text` is complete; `subject` is for providers that use one."""

    recipient: str
    subject: str
    text: str


class ChannelError(Exception):
    """The message was not sent. `permanent`: a retry cannot succeed."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent


class Provider(Protocol):
    """A way of sending. `send` returns when the message has been accepted, or raises ChannelError."""

    def send(self, message: OutgoingMessage) -> None: ...

    def check_recipient(self, recipient: str) -> None:
        """Raises ValueError, with a message for staff, if nothing can be sent to `recipient`."""
        ...


def transmit(request: Request) -> Response:
    """Send through Hookdesk's transport, with its address guard and a deadline. Raises ChannelError."""
    try:
        return send(request, current_policy())
    except TransportError as error:
        raise ChannelError(error.message, permanent=error.permanent) from error
