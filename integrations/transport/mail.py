"""Requests to `mailto:` URLs, sent through the mail backend configured in Django.

The request body is a JSON object: `from` (null: `DEFAULT_FROM_EMAIL`), `to` (list of addresses), `subject`, `body`,
and optionally `html`.
"""

from __future__ import annotations

import json
import smtplib
import socket
from typing import Any

from integrations.transport.base import Request, Response, TransportError

_PERMANENT_SMTP = range(500, 600)
_SENT = Response(250, (("Content-Type", "application/json"),), b'{"sent":1}')


def is_mail(request: Request) -> bool:
    """Return whether `request` is sent by mail instead of HTTP."""
    return request.url[:7].lower() == "mailto:"


def send_mail_request(request: Request, timeout: float) -> Response:
    """Send the mail within about `timeout` seconds and return a response with status 250; raises TransportError."""
    message = _read_message(request.body)
    from django.core.mail import EmailMultiAlternatives, get_connection

    try:
        mail = EmailMultiAlternatives(
            subject=message["subject"],
            body=message["body"],
            from_email=message.get("from"),  # None: DEFAULT_FROM_EMAIL
            to=message["to"],
            connection=get_connection(timeout=timeout),
        )
        if message.get("html"):
            mail.attach_alternative(message["html"], "text/html")
        sent = mail.send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise _classify(error) from error
    if not sent:
        raise TransportError(TransportError.PROTOCOL, "The mail server accepted none of the recipients.")
    return _SENT


def _read_message(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
        is_complete = all(isinstance(message[key], str) for key in ("subject", "body"))
        is_complete = is_complete and isinstance(message.get("from"), str | None)
        recipients = message["to"]
    except (ValueError, TypeError, KeyError):
        is_complete, recipients, message = False, [], {}
    if not is_complete or not isinstance(recipients, list) or not recipients:
        raise TransportError(TransportError.PROTOCOL, "The mail needs to (a list), subject and body.", permanent=True)
    return dict(message)


def _classify(error: Exception) -> TransportError:
    if isinstance(error, TimeoutError):
        return TransportError(TransportError.TIMEOUT, "The mail server did not respond in time.")
    if isinstance(error, socket.gaierror):
        return TransportError(TransportError.DNS, "The name of the mail server does not resolve. Check EMAIL_URL.")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = {code for code, _ in error.recipients.values()}
        shown = ", ".join(map(str, sorted(codes)))
        return TransportError(
            TransportError.PROTOCOL,
            f"The mail server refused the recipients ({shown}).",
            permanent=bool(codes) and all(code in _PERMANENT_SMTP for code in codes),
        )
    if isinstance(error, smtplib.SMTPResponseException):
        return TransportError(
            TransportError.PROTOCOL,
            f"The mail server answered {error.smtp_code}.",
            permanent=error.smtp_code in _PERMANENT_SMTP,
        )
    if isinstance(error, ValueError):
        return TransportError(TransportError.PROTOCOL, f"The mail cannot be sent: {error}.", permanent=True)
    return TransportError(TransportError.CONNECTION, f"The mail server cannot be reached: {error}.")
