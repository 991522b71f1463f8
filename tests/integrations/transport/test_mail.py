"""Requests to `mailto:` go out by the mail backend that Django is configured with."""

from __future__ import annotations

import json
import os
import smtplib
import socket
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import override_settings

from integrations.transport import current_policy, make_transport
from integrations.transport.base import Request, Transport, TransportError
from integrations.transport.guard.addresses import AddressPolicy, parse_allow
from tests.integrations.transport.conftest import exchange

if not settings.configured and "DJANGO_SETTINGS_MODULE" not in os.environ:
    settings.configure()

MESSAGE = {"from": "hub@shop.example", "to": ["a@shop.example", "b@shop.example"], "subject": "Order ☃", "body": "Hi"}


class FailingBackend(BaseEmailBackend):
    """Raises what the test puts here."""

    error: Exception = OSError()

    def send_messages(self, email_messages: Any) -> int:
        raise self.error


@pytest.fixture(autouse=True)
def outbox() -> Any:
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        yield


def mail_request(timeout: float = 2.0, **changes: Any) -> Request:
    return Request("POST", "mailto:", (), json.dumps({**MESSAGE, **changes}).encode(), timeout)


def test_a_mail_is_sent_and_answered(transport: Transport) -> None:
    result = exchange(transport, mail_request(html="<p>Hi</p>"))
    assert result.response is not None
    assert (result.response.status, result.response.body) == (250, b'{"sent":1}')
    (sent,) = mail.outbox
    assert (sent.from_email, sent.to, sent.subject, sent.body) == tuple(MESSAGE.values())
    assert sent.alternatives[0][0] == "<p>Hi</p>"


@pytest.mark.parametrize(
    ("error", "kind", "is_permanent", "words"),
    [
        (ConnectionRefusedError(111, "refused"), TransportError.CONNECTION, False, "cannot be reached"),
        (TimeoutError(), TransportError.TIMEOUT, False, "did not respond in time"),
        (socket.gaierror(-2, "unknown"), TransportError.DNS, False, "Check EMAIL_URL"),
        (smtplib.SMTPServerDisconnected("gone"), TransportError.CONNECTION, False, "gone"),
        (smtplib.SMTPDataError(451, b"later"), TransportError.PROTOCOL, False, "answered 451"),
        (smtplib.SMTPDataError(554, b"spam"), TransportError.PROTOCOL, True, "answered 554"),
        (
            smtplib.SMTPRecipientsRefused({"a@x": (550, b"unknown"), "b@x": (550, b"unknown"), "c@x": (553, b"")}),
            TransportError.PROTOCOL,
            True,
            "refused the recipients (550, 553).",
        ),
        (
            smtplib.SMTPRecipientsRefused({"a@x": (550, b"unknown"), "b@x": (450, b"busy")}),
            TransportError.PROTOCOL,
            False,
            "(450, 550)",
        ),
        (smtplib.SMTPRecipientsRefused({}), TransportError.PROTOCOL, False, "refused the recipients"),
        (RuntimeError("a bug in a backend"), TransportError.CONNECTION, False, "RuntimeError"),
    ],
)
def test_errors_of_the_mail_server_are_classified(
    transport: Transport,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: str,
    is_permanent: bool,
    words: str,
) -> None:
    monkeypatch.setattr(FailingBackend, "error", error)
    with override_settings(EMAIL_BACKEND=f"{__name__}.FailingBackend"):
        result = exchange(transport, mail_request())
    assert result.error is not None
    assert (result.error.kind, result.error.permanent) == (kind, is_permanent)
    assert words in result.error.message


def test_a_mail_server_that_accepts_no_recipient_is_an_error_that_is_retried(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FailingBackend, "send_messages", lambda *_: 0)
    with override_settings(EMAIL_BACKEND=f"{__name__}.FailingBackend"):
        result = exchange(transport, mail_request())
    assert result.error is not None
    assert (result.error.kind, result.error.permanent) == (TransportError.PROTOCOL, False)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7"])
def test_a_body_that_is_no_mail_is_a_permanent_error(transport: Transport, body: bytes) -> None:
    result = exchange(transport, Request("POST", "mailto:", (), body, 2.0))
    assert result.error is not None
    assert result.error.permanent
    assert "needs to (a list), subject and body" in result.error.message


@pytest.mark.parametrize(
    "changes", [{"to": []}, {"to": "a@x"}, {"subject": None}, {"subject": "a\nBcc: b@x"}, {"from": 1}]
)
def test_a_mail_that_can_never_be_sent_is_a_permanent_error(transport: Transport, changes: dict[str, Any]) -> None:
    result = exchange(transport, mail_request(**changes))
    assert result.error is not None
    assert result.error.permanent
    assert mail.outbox == []


def test_the_policy_is_that_of_the_setting() -> None:
    with override_settings(OUTBOUND_ALLOW=["127.0.0.0/8"]):
        assert current_policy() == AddressPolicy(parse_allow("127.0.0.0/8"))
        assert current_policy() is current_policy()
    with override_settings(OUTBOUND_ALLOW=[]):
        assert not current_policy().permits("127.0.0.1")


@pytest.mark.parametrize("name", ["requests", "curl"])
def test_a_transport_is_made_by_its_name(name: str) -> None:
    transport = make_transport(name, AddressPolicy(), 7)
    assert transport.capacity == 7
    transport.close()
    assert make_transport(name, AddressPolicy()).capacity >= 256
    with pytest.raises(ValueError, match="'requests' and 'curl'"):
        make_transport(f"{name}x", AddressPolicy())
