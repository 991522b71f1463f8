"""Twilio SMS: the request is what Twilio's own package sends; its refusals open the wizard."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import pytest
from twilio.rest import Client

from integrations.connectors.twilio_sms import TwilioSms
from integrations.wire_formats.base import PayloadError
from tests.integrations.messages import headers_of, message, ping, response

TO = {"parameters": {"account_sid": "AC0123456789", "auth_token": "auth-token-1", "from": "+15550009999"}}
SMS = {"from": "+15550001111", "phone": "(123)-456-7890", "message": "Order R12345 was shipped! é&="}
twilio = TwilioSms("http://127.0.0.1:9")


@contextmanager
def recording_server():
    """A loopback server that keeps the requests it gets."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.command, self.path, dict(self.headers), body))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(b'{"sid":"SM1"}')

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_request_is_the_one_that_the_package_sends_by_itself():
    with recording_server() as (url, seen):
        client = Client("AC0123456789", "auth-token-1")
        client.api.base_url = url
        client.messages.create(from_=SMS["from"], to=SMS["phone"], body=SMS["message"])
    [(method, path, headers, body)] = seen
    ours = TwilioSms(url).build(message(SMS, endpoint=TO))
    assert (ours.method, ours.url, ours.body) == (method, url + path, body)
    our_headers = headers_of(ours)
    for name in ("Authorization", "Content-Type", "Accept", "Accept-Charset"):
        assert our_headers[name] == headers[name]


def test_the_form_holds_from_to_and_body():
    request = twilio.build(message(SMS, endpoint=TO))
    assert request.url == "http://127.0.0.1:9/2010-04-01/Accounts/AC0123456789/Messages.json"
    assert parse_qs(request.body.decode()) == {
        "From": [SMS["from"]],
        "To": [SMS["phone"]],
        "Body": [SMS["message"]],
    }


@pytest.mark.parametrize("data", [SMS, {"sms": SMS}])
def test_the_fields_may_stand_at_the_top_or_under_sms(data):
    assert twilio.build(message(data, endpoint=TO)).body == twilio.build(message(SMS, endpoint=TO)).body


def test_the_sender_may_come_from_the_parameters():
    for sender in ({}, {"from": ""}, {"from": None}):
        request = twilio.build(message({"phone": "1", "message": "m"} | sender, endpoint=TO))
        assert parse_qs(request.body.decode())["From"] == ["+15550009999"]


def test_a_subscriptions_parameters_go_before_the_integrations():
    request = twilio.build(
        message({"phone": "1", "message": "m"}, endpoint=TO, parameters=TO["parameters"] | {"from": "7"})
    )
    assert parse_qs(request.body.decode())["From"] == ["7"]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"message": "m"}, "no phone"),
        ({"phone": " ", "message": "m"}, "no phone"),
        ({"phone": "1"}, "no message"),
        ({"phone": None, "message": True}, "no phone and no message"),
        ({"phone": ["1"], "message": {"a": 1}}, "no phone and no message"),
    ],
)
def test_a_missing_field_is_named(data, named):
    with pytest.raises(PayloadError, match=named) as raised:
        twilio.build(message(data, endpoint=TO))
    assert raised.value.kind == "payload"


def test_a_number_given_as_a_number_is_written_out():
    request = twilio.build(message({"phone": 15551234567, "message": "m"}, endpoint=TO))
    assert parse_qs(request.body.decode())["To"] == ["15551234567"]


def test_the_environment_of_the_process_has_no_say(monkeypatch):
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_EDGE", "TWILIO_REGION"):
        monkeypatch.setenv(name, "elsewhere")
    assert "elsewhere" not in twilio.build(message(SMS, endpoint=TO)).url


def test_an_invalid_number_is_permanent_and_says_so_in_twilios_words():
    body = {
        "code": 21211,
        "message": "The 'To' number 0000000000 is not a valid phone number.",
        "more_info": "https://www.twilio.com/docs/errors/21211",
        "status": 400,
    }
    outcome = twilio.read(message(SMS, endpoint=TO), response(400, body))
    assert outcome.kind == "twilio_21211"
    assert outcome.is_permanent
    assert outcome.message == (
        "Twilio answered 400: The 'To' number 0000000000 is not a valid phone number. (Twilio error 21211)"
    )


@pytest.mark.parametrize(
    ("status", "is_permanent"), [(400, True), (401, True), (404, True), (429, False), (500, False), (503, False)]
)
def test_only_refusals_are_permanent(status, is_permanent):
    assert twilio.read(message(), response(status, {"code": 1, "message": "m"})).is_permanent is is_permanent


@pytest.mark.parametrize("body", [{"code": "x", "message": "no"}, {"code": True, "message": "no"}, {"message": "no"}])
def test_an_error_without_a_code_is_known_by_its_status(body):
    outcome = twilio.read(message(), response(400, body))
    assert (outcome.kind, outcome.summary) == ("http_400", "no")


def test_a_success_names_the_messages_sid():
    outcome = twilio.read(message(), response(201, {"sid": "SM12", "status": "queued"}))
    assert outcome.is_success
    assert outcome.summary == "SMS handed to Twilio (SM12, queued)"
    assert twilio.read(message(), response(201, b"")).summary == "SMS handed to Twilio"


def test_a_ping_asks_for_the_account():
    request = twilio.build(ping(endpoint=TO))
    assert (request.method, request.url) == ("GET", "http://127.0.0.1:9/2010-04-01/Accounts/AC0123456789.json")
    assert "Authorization" in headers_of(request)
    assert twilio.read(ping(), response(200, {"sid": "AC"})).summary == "Twilio accepts the credentials."
    assert not twilio.read(ping(), response(401, {"code": 20003, "message": "Authenticate"})).is_success
