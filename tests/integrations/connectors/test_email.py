"""The e-mail connector: what it hands to Django's mail."""

from __future__ import annotations

import json

import pytest

from integrations.connectors.email import Email
from integrations.wire_formats.base import PayloadError
from tests.integrations.messages import message, ping, response

email = Email()
TEMPLATES = {
    "to": "{customer.email}",
    "from": "Shop <shop@shop.example>",
    "subject": "Order {number}\nfor {customer.name}{missing}",
    "body": "Paid: {paid}, {total}",
}


def mail_of(data, **changes):
    return json.loads(email.build(message(data, **changes)).body)


def test_the_objects_own_fields_are_sent():
    data = {"to": "joe@example.com", "subject": "Hi", "body": "Dear Joe,\n…"}
    request = email.build(message(data))
    assert (request.method, request.url) == ("MAIL", "mailto:joe@example.com")
    assert json.loads(request.body) == {
        "from": None,
        "to": ["joe@example.com"],
        "subject": "Hi",
        "body": "Dear Joe,\n…",
    }
    assert mail_of({"email": data}) == json.loads(request.body)


def test_parameters_are_templates_for_what_the_object_lacks():
    data = {"number": 7, "paid": True, "total": 5.5, "customer": {"email": "joe@example.com", "name": "Joe"}}
    assert mail_of(data, endpoint={"parameters": TEMPLATES}) == {
        "from": "Shop <shop@shop.example>",
        "to": ["joe@example.com"],
        "subject": "Order 7 for Joe",
        "body": "Paid: true, 5.5",
    }


def test_without_subject_and_body_the_topic_and_the_data_are_sent():
    mail = mail_of({"to": "joe@example.com", "a": 1})
    assert mail["subject"] == "shipment.updated"
    assert json.loads(mail["body"]) == {"to": "joe@example.com", "a": 1}


@pytest.mark.parametrize("to", ["a@b.example, c@d.example", ["a@b.example", "c@d.example"]])
def test_several_recipients(to):
    request = email.build(message({"to": to}))
    assert request.url == "mailto:a@b.example,c@d.example"
    assert json.loads(request.body)["to"] == ["a@b.example", "c@d.example"]


@pytest.mark.parametrize("to", [None, "", [], {}, " , "])
def test_nobody_to_send_to_is_a_visible_failure(to):
    with pytest.raises(PayloadError, match="no recipient"):
        email.build(message({"to": to}))


@pytest.mark.parametrize("to", ["joe", "a@b\r\nBcc: c@d.example", "@b", "a@", "a b@c", "Joe <a@b.example>"])
def test_what_is_no_address_is_a_visible_failure(to):
    with pytest.raises(PayloadError, match="not an e-mail address"):
        email.build(message({"to": to}))


def test_too_many_recipients_are_refused():
    with pytest.raises(PayloadError, match="at most 50"):
        email.build(message({"to": [f"a{number}@b.example" for number in range(51)]}))


def test_the_subject_stays_on_one_line():
    assert mail_of({"to": "a@b.example", "subject": "a\r\nBcc: x"})["subject"] == "a Bcc: x"


def test_there_is_no_ping():
    with pytest.raises(PayloadError) as raised:
        email.build(ping())
    assert raised.value.kind == "no_ping"


@pytest.mark.parametrize(
    ("status", "is_success", "is_permanent"), [(250, True, False), (451, False, False), (550, False, True)]
)
def test_the_mail_servers_codes_are_read_as_smtp_has_them(status, is_success, is_permanent):
    outcome = email.read(message(), response(status, b"mailbox full"))
    assert (outcome.is_success, outcome.is_permanent) == (is_success, is_permanent)
    assert is_success or outcome.message == f"The mail server answered {status}: mailbox full"
